"""PurchaseService: the catalogue, and what was bought from it."""

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple, TypedDict, cast
from uuid import UUID

from google.protobuf.empty_pb2 import Empty

from balance_service._generated.balance.v1 import purchase_pb2, reversal_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors, ids, money
from balance_service.domain.audit import Action, AuditEvent, yes_or_no
from balance_service.domain.catalogue import Service
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.messages import account_access, convert, fields, masks, page_bytes
from balance_service.messages.instructions.all_kinds import AllInstructions
from balance_service.messages.listing import Listing, read_query
from balance_service.messages.once import once
from balance_service.messages.page_tokens import PageTokens
from balance_service.messages.submission import Submission
from balance_service.reading.catalogue import ServiceReads
from balance_service.repositories import audit, catalogue, journal


class _Offer(NamedTuple):
    name: str
    description: str
    price: Money
    repeatable: bool


class _Creation(NamedTuple):
    service: _Offer


class _Changes(TypedDict, total=False):
    """New values of a Service's fields."""

    name: str
    description: str
    price: Decimal
    currency: str
    repeatable: bool


class _Values(NamedTuple):
    etag: str
    changes: _Changes


class _Update(NamedTuple):
    id: UUID
    service: _Values
    update_mask: frozenset[str]


class _Deletion(NamedTuple):
    service: UUID


class PurchaseServicer:
    """Keeps the catalogue and sells from it.

    Args:
        pool: For what is not gathered.
        services: Reads the services of many callers at once.
        submission: Takes commands to the ledger.
        listing: Lists purchases.
        instructions: How purchases are asked for, and refunded.
        page_tokens: Signs where the list of services goes on.
    """

    service = purchase_pb2.DESCRIPTOR.services_by_name["PurchaseService"]

    def __init__(
        self,
        pool: Pool,
        services: ServiceReads,
        submission: Submission,
        listing: Listing,
        instructions: AllInstructions,
        page_tokens: PageTokens,
    ) -> None:
        self._pool = pool
        self._services = services
        self._submission = submission
        self._listing = listing
        self._instructions = instructions
        self._page_tokens = page_tokens

    async def ListServices(
        self, request: purchase_pb2.ListServicesRequest, call: Call
    ) -> purchase_pb2.ListServicesResponse:
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        if request.currency:
            checks(money.parse_currency, request.currency, "currency")
        skip = checks(fields.skip, request.skip)
        checks.finish()

        query = (request.currency,)
        place = self._page_tokens.read(query, call, request.page_token)
        after = UUID(bytes=place) if place else None
        async with self._pool.connection() as conn:
            services = await catalogue.page(conn, request.currency, after, size + 1, skip)
            total = await catalogue.count(conn, request.currency) if request.count_total else 0

        shown = page_bytes.fit(services[:size], lambda service: (service.name, service.description))
        answer = purchase_pb2.ListServicesResponse(
            services=map(convert.service, shown), total_size=total
        )
        if len(services) > len(shown):
            last = shown[-1].service_id.bytes
            answer.next_page_token = self._page_tokens.write(query, call, last)
        return answer

    async def GetService(
        self, request: purchase_pb2.GetServiceRequest, call: Call
    ) -> purchase_pb2.Service:
        service_id = fields.identifier(request.service, "service")

        service = _check_offered(await self._services.get(service_id), service_id)

        return convert.service(service)

    async def CreateService(
        self, request: purchase_pb2.CreateServiceRequest, call: Call
    ) -> purchase_pb2.Service:
        async def act(conn: Connection, creation: _Creation) -> purchase_pb2.Service:
            now = datetime.now(UTC)
            offer = creation.service._asdict()
            service = Service(ids.new_id(), **offer, version=1, created_at=now, updated_at=now)
            await catalogue.insert(conn, service)
            target, offered = _target(service), _offer(service)
            event = AuditEvent(Action.SERVICE_CREATED, call.actor, target, after=offered)
            await audit.record(conn, event)
            return convert.service(service)

        return await once(
            self._pool,
            request,
            call,
            read=_read_creation,
            act=act,
            answer_type=purchase_pb2.Service,
        )

    async def UpdateService(
        self, request: purchase_pb2.UpdateServiceRequest, call: Call
    ) -> purchase_pb2.Service:
        async def act(conn: Connection, update: _Update) -> purchase_pb2.Service:
            before = _check_offered(await catalogue.lock(conn, update.id), update.id)
            masks.check_etag(update.service.etag, before.version)
            after = _change(before, update.service.changes)
            await catalogue.update(conn, after)
            offers = _offer(before), _offer(after)
            event = AuditEvent(Action.SERVICE_UPDATED, call.actor, _target(after), *offers)
            await audit.record(conn, event)
            return convert.service(after)

        return await once(
            self._pool, request, call, read=_read_update, act=act, answer_type=purchase_pb2.Service
        )

    async def DeleteService(self, request: purchase_pb2.DeleteServiceRequest, call: Call) -> Empty:
        async def act(conn: Connection, deletion: _Deletion) -> Empty:
            service_id = deletion.service
            before = _check_offered(await catalogue.lock(conn, service_id), service_id)
            now = datetime.now(UTC)
            after = dataclasses.replace(before, deleted_at=now, updated_at=now)
            await catalogue.update(conn, after)
            target, offered = _target(before), _offer(before)
            event = AuditEvent(Action.SERVICE_DELETED, call.actor, target, before=offered)
            await audit.record(conn, event)
            return Empty()

        return await once(
            self._pool, request, call, read=_read_deletion, act=act, answer_type=Empty
        )

    async def CreatePurchase(
        self, request: purchase_pb2.CreatePurchaseRequest, call: Call
    ) -> purchase_pb2.Purchase:
        return await self._submission.carry_out(self._instructions.create_purchase, request, call)

    async def GetPurchase(
        self, request: purchase_pb2.GetPurchaseRequest, call: Call
    ) -> purchase_pb2.Purchase:
        purchase_id = fields.identifier(request.purchase, "purchase")

        async with self._pool.connection() as conn:
            movement, _ = await account_access.get_movement(conn, call, purchase_id, Kind.PURCHASE)
            found = await journal.followed(conn, movement)

        return convert.purchase(found)

    async def ListPurchases(
        self, request: purchase_pb2.ListPurchasesRequest, call: Call
    ) -> purchase_pb2.ListPurchasesResponse:
        principal = call.principal

        checks = fields.Checks()
        account_id = checks(account_access.read_id_or_own, principal, request.account, "account")
        query = read_query(checks, request, account_id, Kind.PURCHASE)
        checks.finish()

        page = await self._listing.page(query, call)

        return purchase_pb2.ListPurchasesResponse(
            purchases=[convert.purchase(found) for found in page.followed],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
            archived_before=page.archived_before,
        )

    async def RefundPurchase(
        self, request: purchase_pb2.RefundPurchaseRequest, call: Call
    ) -> reversal_pb2.Reversal:
        return await self._submission.carry_out(self._instructions.refund_purchase, request, call)


def _target(service: Service) -> str:
    return f"catalogue_service:{service.service_id}"


def _offer(service: Service) -> dict[str, str]:
    """What a service is and costs, for the audit log."""
    return {
        "name": service.name,
        "price": str(service.price),
        "currency": service.price.currency,
        "repeatable": yes_or_no(value=service.repeatable),
    }


def _check_offered(service: Service | None, service_id: UUID) -> Service:
    """A service that was looked up, if the catalogue has it still.

    Raises:
        ServiceNotFound: There was none, or it has left.
    """
    if service is None or service.deleted_at:
        raise errors.ServiceNotFound(str(service_id))
    return service


def _read_price(price: str, code: str) -> Money:
    """Reads a price of at least one whole unit."""
    return fields.amount(price, code, "service.price", "service.currency", units_min=1)


def _read_creation(request: purchase_pb2.CreateServiceRequest) -> _Creation:
    message = request.service
    checks = fields.Checks()
    name = checks(fields.text, message, "name", "service.name")
    description = checks(fields.text, message, "description", "service.description")
    price = checks(_read_price, message.price, message.currency)
    checks.finish()
    return _Creation(_Offer(name, description, price, message.repeatable))


def _read_update(request: purchase_pb2.UpdateServiceRequest) -> _Update:
    """Reads a change by itself, before it is known whether the price will fit the currency."""
    message = request.service
    readers = {
        "currency": lambda: money.parse_currency(message.currency, "service.currency"),
        "description": lambda: fields.text(message, "description", "service.description"),
        "name": lambda: fields.text(message, "name", "service.name"),
        "price": lambda: money.parse_number(message.price, "service.price"),
        "repeatable": lambda: message.repeatable,
    }
    checks = fields.Checks()
    service_id = checks(fields.identifier, request.id, "id")
    masked = masks.read(checks, request.update_mask, readers, readers.keys())
    checks.finish()
    changes = cast("_Changes", masked.values)
    return _Update(service_id, _Values(message.etag, changes), masked.names)


def _read_deletion(request: purchase_pb2.DeleteServiceRequest) -> _Deletion:
    return _Deletion(fields.identifier(request.service, "service"))


def _change(before: Service, changes: _Changes) -> Service:
    """The service with its changes.

    Raises:
        InvalidFields: The price does not fit the currency, whichever of them is new.
    """
    price = before.price
    if "price" in changes or "currency" in changes:
        amount = format(changes["price"], "f") if "price" in changes else str(price)
        price = _read_price(amount, changes.get("currency", price.currency))
    return dataclasses.replace(
        before,
        name=changes.get("name", before.name),
        description=changes.get("description", before.description),
        price=price,
        repeatable=changes.get("repeatable", before.repeatable),
        version=before.version + 1,
        updated_at=datetime.now(UTC),
    )
