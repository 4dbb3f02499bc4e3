"""PurchaseService: the catalogue, and what was bought from it."""

import dataclasses
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from google.protobuf.empty_pb2 import Empty

from balance_service._generated.balance.v1 import purchase_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection
from balance_service.domain import commands, errors, ids, money
from balance_service.domain.catalogue import Service
from balance_service.domain.ledger import How
from balance_service.domain.money import DECIMALS, Money
from balance_service.domain.movements import Kind
from balance_service.domain.principals import Scope
from balance_service.messages import access, convert, fields, masks
from balance_service.messages.movements import Movements, origin
from balance_service.messages.once import once
from balance_service.messages.page_tokens import PageTokens
from balance_service.reading.rates import ExchangeRates
from balance_service.repositories import catalogue

_FIELDS = ("name", "description", "price", "currency")


class _Offer(NamedTuple):
    name: str
    description: str
    price: Money


class _Creation(NamedTuple):
    service: _Offer


class _Values(NamedTuple):
    etag: str
    changes: dict[str, Any]


class _Update(NamedTuple):
    id: UUID
    service: _Values
    update_mask: frozenset[str]


class _Deletion(NamedTuple):
    service: UUID


class PurchaseServicer:
    """Keeps the catalogue and sells from it."""

    service = purchase_pb2.DESCRIPTOR.services_by_name["PurchaseService"]

    def __init__(self, movements: Movements, page_tokens: PageTokens, rates: ExchangeRates) -> None:
        self._pool = movements.pool
        self._movements = movements
        self._page_tokens = page_tokens
        self._rates = rates

    async def ListServices(
        self, request: purchase_pb2.ListServicesRequest, call: Call
    ) -> purchase_pb2.ListServicesResponse:
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        if request.currency:
            checks(money.parse_currency, request.currency, "currency")
        skip = checks(fields.skip, request.skip)
        checks.finish()
        asked = (request.currency,)
        place = self._page_tokens.read(asked, call, request.page_token)
        after = UUID(bytes=place) if place else None
        async with self._pool.connection() as conn:
            found = await catalogue.page(conn, request.currency, after, size + 1, skip)
            total = await catalogue.count(conn, request.currency) if request.count_total else 0
        answer = purchase_pb2.ListServicesResponse(
            services=map(convert.service, found[:size]), total_size=total
        )
        if len(found) > size:
            last = found[size - 1].service_id.bytes
            answer.next_page_token = self._page_tokens.write(asked, call, last)
        return answer

    async def GetService(
        self, request: purchase_pb2.GetServiceRequest, call: Call
    ) -> purchase_pb2.Service:
        service_id = fields.identifier(request.service, "service")
        async with self._pool.connection() as conn:
            return convert.service(_present(await catalogue.get(conn, service_id), service_id))

    async def CreateService(
        self, request: purchase_pb2.CreateServiceRequest, call: Call
    ) -> purchase_pb2.Service:
        call.principal.require_admin()

        def read(sent: purchase_pb2.CreateServiceRequest) -> _Creation:
            return _Creation(_offer(sent.service))

        async def act(conn: Connection, asked: _Creation) -> purchase_pb2.Service:
            now = datetime.now(UTC)
            service = Service(ids.new_id(), *asked.service, 1, now, now)
            await catalogue.insert(conn, service)
            return convert.service(service)

        return await once(self._pool, request, call, read, act, purchase_pb2.Service)

    async def UpdateService(
        self, request: purchase_pb2.UpdateServiceRequest, call: Call
    ) -> purchase_pb2.Service:
        call.principal.require_admin()

        async def act(conn: Connection, asked: _Update) -> purchase_pb2.Service:
            before = _present(await catalogue.lock(conn, asked.id), asked.id)
            masks.check_etag(asked.service.etag, before.version)
            after = _changed(before, asked.service.changes)
            await catalogue.update(conn, after)
            return convert.service(after)

        return await once(self._pool, request, call, _update, act, purchase_pb2.Service)

    async def DeleteService(self, request: purchase_pb2.DeleteServiceRequest, call: Call) -> Empty:
        call.principal.require_admin()

        async def act(conn: Connection, asked: _Deletion) -> Empty:
            before = _present(await catalogue.lock(conn, asked.service), asked.service)
            now = datetime.now(UTC)
            await catalogue.update(
                conn, dataclasses.replace(before, deleted_at=now, updated_at=now)
            )
            return Empty()

        return await once(self._pool, request, call, _deletion, act, Empty)

    async def CreatePurchase(
        self, request: purchase_pb2.CreatePurchaseRequest, call: Call
    ) -> purchase_pb2.Purchase:
        principal = call.principal
        if principal.user_id is None:
            principal.require_scope(Scope.PURCHASES_WRITE)
        checks = fields.Checks()
        service_id = checks(fields.identifier, request.service, "service")
        account_id = checks(access.named, principal, request.account, "account")
        origin_ = origin(request, call, checks, principal.user_id)
        checks.finish()
        async with self._pool.connection() as conn:
            service = await catalogue.get(conn, service_id)
            if service is None:
                raise errors.ServiceNotFound(str(service_id))
            if account_id is None:
                account_id = await access.own(conn, principal, money.DEFAULT_CURRENCY)
        origin_ = dataclasses.replace(origin_, description=service.name)
        price = None if service.deleted_at else service.price
        rates = self._rates.current
        done = await self._movements.submit_one(
            commands.Purchase(origin_, account_id, service_id, price, rates), call
        )
        if again := done.how == How.ALREADY_PURCHASED:
            call.mark_existing()
        return convert.purchase(done.movement, already_purchased=again)

    async def GetPurchase(
        self, request: purchase_pb2.GetPurchaseRequest, call: Call
    ) -> purchase_pb2.Purchase:
        principal = call.principal
        purchase_id = fields.identifier(request.purchase, "purchase")
        async with self._pool.connection() as conn:
            movement, _ = await access.readable_movement(
                conn, principal, purchase_id, Kind.PURCHASE
            )
        return convert.purchase(movement)

    async def ListPurchases(
        self, request: purchase_pb2.ListPurchasesRequest, call: Call
    ) -> purchase_pb2.ListPurchasesResponse:
        page = await self._movements.page(request, call, Kind.PURCHASE)
        return purchase_pb2.ListPurchasesResponse(
            purchases=[convert.purchase(line.movement) for line in page.lines],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )


def _present(service: Service | None, service_id: UUID) -> Service:
    if service is None or service.deleted_at:
        raise errors.ServiceNotFound(str(service_id))
    return service


def _price(checks: fields.Checks, price: str, code: str) -> Money:
    """Reads a price of at least one whole unit."""
    currency = checks(money.parse_currency, code, "service.currency")
    if currency:
        least = 10 ** DECIMALS[currency]
        return checks(money.parse_amount, price, currency, "service.price", least)
    checks(money.parse_number, price, "service.price")
    return cast("Money", None)


def _offer(message: purchase_pb2.Service) -> _Offer:
    checks = fields.Checks()
    name = checks(fields.text, message, "name", "service.name")
    description = checks(fields.text, message, "description", "service.description")
    price = _price(checks, message.price, message.currency)
    checks.finish()
    return _Offer(name, description, price)


def _update(request: purchase_pb2.UpdateServiceRequest) -> _Update:
    """Reads a change by itself, before it is known whether the price will fit the currency."""
    message = request.service
    readers = {
        "name": lambda: fields.text(message, "name", "service.name"),
        "description": lambda: fields.text(message, "description", "service.description"),
        "price": lambda: money.parse_number(message.price, "service.price"),
        "currency": lambda: money.parse_currency(message.currency, "service.currency"),
    }
    checks = fields.Checks()
    service_id = checks(fields.identifier, request.id, "id")
    names = checks(masks.named, request.update_mask, _FIELDS) or frozenset(
        request.update_mask.paths
    )
    changes = {name: checks(readers[name]) for name in sorted(names) if name in readers}
    checks.finish()
    return _Update(service_id, _Values(message.etag, changes), names)


def _deletion(request: purchase_pb2.DeleteServiceRequest) -> _Deletion:
    return _Deletion(fields.identifier(request.service, "service"))


def _changed(before: Service, changes: dict[str, Any]) -> Service:
    """The service with what was read; a price must fit its currency, whichever of them is new."""
    after = {name: value for name, value in changes.items() if name in ("name", "description")}
    if "price" in changes or "currency" in changes:
        kept = money.format_minor(before.price.minor, before.price.currency)
        price = format(changes["price"], "f") if "price" in changes else kept
        checks = fields.Checks()
        after["price"] = _price(checks, price, changes.get("currency", before.price.currency))
        checks.finish()
    version = before.version + 1
    return dataclasses.replace(before, **after, version=version, updated_at=datetime.now(UTC))
