"""PurchaseService: the catalogue, and what was bought from it."""

import dataclasses
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

from google.protobuf.empty_pb2 import Empty

from balance_service._generated.balance.v1 import purchase_pb2, purchase_pb2_grpc
from balance_service.database.pool import Connection
from balance_service.domain import commands, errors, ids, money
from balance_service.domain.catalogue import Service
from balance_service.domain.ledger import How
from balance_service.domain.money import DECIMALS, Money
from balance_service.domain.movements import Kind
from balance_service.domain.principals import Scope
from balance_service.ledger.rates import ExchangeRates
from balance_service.repositories import services
from balance_service.servicers import access, call, convert, fields, masks
from balance_service.servicers.call import Context
from balance_service.servicers.movements import Movements, origin
from balance_service.servicers.once import once
from balance_service.servicers.page_tokens import PageTokens

_FIELDS = ("name", "description", "price", "currency")


class PurchaseServicer(purchase_pb2_grpc.PurchaseServiceServicer):
    """Keeps the catalogue and sells from it."""

    def __init__(self, movements: Movements, page_tokens: PageTokens, rates: ExchangeRates) -> None:
        self._pool = movements.pool
        self._movements = movements
        self._page_tokens = page_tokens
        self._rates = rates

    async def ListServices(
        self, request: purchase_pb2.ListServicesRequest, context: Context
    ) -> purchase_pb2.ListServicesResponse:
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        if request.currency:
            checks(money.parse_currency, request.currency, "currency")
        skip = checks(fields.skip, request.skip)
        checks.finish()
        place = self._page_tokens.read(request, request.page_token)
        after = UUID(str(place)) if place else None
        async with self._pool.connection() as conn:
            found = await services.page(conn, request.currency, after, size + 1, skip)
            total = await services.count(conn, request.currency) if request.count_total else 0
        answer = purchase_pb2.ListServicesResponse(
            services=map(convert.service, found[:size]), total_size=total
        )
        if len(found) > size:
            last = found[size - 1].service_id.hex
            answer.next_page_token = self._page_tokens.write(request, last)
        return answer

    async def GetService(
        self, request: purchase_pb2.GetServiceRequest, context: Context
    ) -> purchase_pb2.Service:
        service_id = fields.identifier(request.service, "service")
        async with self._pool.connection() as conn:
            return convert.service(_present(await services.get(conn, service_id), service_id))

    async def CreateService(
        self, request: purchase_pb2.CreateServiceRequest, context: Context
    ) -> purchase_pb2.Service:
        call.current.get().principal.require_admin()
        now = datetime.now(UTC)
        message = request.service
        checks = fields.Checks()
        name = checks(fields.text, message.name, "service.name", 50, 1)
        description = checks(fields.text, message.description, "service.description", 1000)
        price = _price(checks, message)
        checks(fields.request_id, request.request_id)
        checks.finish()
        service = Service(ids.new_id(), name, description, price, 1, now, now)

        async def act(conn: Connection) -> purchase_pb2.Service:
            await services.insert(conn, service)
            return convert.service(service)

        return await once(self._pool, request, purchase_pb2.Service, act)

    async def UpdateService(
        self, request: purchase_pb2.UpdateServiceRequest, context: Context
    ) -> purchase_pb2.Service:
        call.current.get().principal.require_admin()
        checks = fields.Checks()
        service_id = checks(fields.identifier, request.id, "id")
        names = checks(masks.named, request.update_mask, _FIELDS)
        _check_named(checks, request.service, names or set(request.update_mask.paths))
        checks(fields.request_id, request.request_id)
        checks.finish()

        async def act(conn: Connection) -> purchase_pb2.Service:
            before = _present(await services.lock(conn, service_id), service_id)
            masks.check_etag(request.service.etag, before.version)
            after = _changed(before, request.service, names)
            await services.update(conn, after)
            return convert.service(after)

        return await once(self._pool, request, purchase_pb2.Service, act)

    async def DeleteService(
        self, request: purchase_pb2.DeleteServiceRequest, context: Context
    ) -> Empty:
        call.current.get().principal.require_admin()
        checks = fields.Checks()
        service_id = checks(fields.identifier, request.service, "service")
        checks(fields.request_id, request.request_id)
        checks.finish()

        async def act(conn: Connection) -> Empty:
            before = _present(await services.lock(conn, service_id), service_id)
            now = datetime.now(UTC)
            await services.update(conn, dataclasses.replace(before, deleted_at=now, updated_at=now))
            return Empty()

        return await once(self._pool, request, Empty, act)

    async def CreatePurchase(
        self, request: purchase_pb2.CreatePurchaseRequest, context: Context
    ) -> purchase_pb2.Purchase:
        principal = call.current.get().principal
        if principal.user_id is None:
            principal.require_scope(Scope.PURCHASES_WRITE)
        checks = fields.Checks()
        service_id = checks(fields.identifier, request.service, "service")
        account_id = checks(access.named, principal, request.account, "account")
        origin_ = origin(request, checks, principal.user_id)
        checks.finish()
        async with self._pool.connection() as conn:
            service = await services.get(conn, service_id)
            if service is None:
                raise errors.ServiceNotFound(str(service_id))
            if account_id is None:
                account_id = await access.own(conn, principal, money.DEFAULT_CURRENCY)
        origin_ = dataclasses.replace(origin_, description=service.name)
        price = None if service.deleted_at else service.price
        rates = self._rates.current
        done = await self._movements.submit_one(
            commands.Purchase(origin_, account_id, service_id, price, rates)
        )
        if again := done.how == How.ALREADY_PURCHASED:
            call.current.get().mark_existing()
        return convert.purchase(done.movement, already_purchased=again)

    async def GetPurchase(
        self, request: purchase_pb2.GetPurchaseRequest, context: Context
    ) -> purchase_pb2.Purchase:
        principal = call.current.get().principal
        purchase_id = fields.identifier(request.purchase, "purchase")
        async with self._pool.connection() as conn:
            movement, _ = await access.readable_movement(
                conn, principal, purchase_id, Kind.PURCHASE
            )
        return convert.purchase(movement)

    async def ListPurchases(
        self, request: purchase_pb2.ListPurchasesRequest, context: Context
    ) -> purchase_pb2.ListPurchasesResponse:
        page = await self._movements.page(request, Kind.PURCHASE)
        return purchase_pb2.ListPurchasesResponse(
            purchases=[convert.purchase(line.movement) for line in page.lines],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )


def _present(service: Service | None, service_id: UUID) -> Service:
    if service is None or service.deleted_at:
        raise errors.ServiceNotFound(str(service_id))
    return service


def _price(checks: fields.Checks, message: purchase_pb2.Service) -> Money:
    """Reads a price of at least one whole unit."""
    currency = checks(money.parse_currency, message.currency, "service.currency")
    if currency:
        least = 10 ** DECIMALS[currency]
        return checks(money.parse_amount, message.price, currency, "service.price", least)
    checks(money.check_amount, message.price, "service.price")
    return cast("Money", None)


def _check_named(
    checks: fields.Checks, message: purchase_pb2.Service, names: Collection[str]
) -> None:
    """Checks what can be said of the named fields before the service is known."""
    readers: dict[str, Callable[[], object]] = {
        "name": lambda: fields.text(message.name, "service.name", 50, 1),
        "description": lambda: fields.text(message.description, "service.description", 1000),
        "price": lambda: money.check_amount(message.price, "service.price"),
        "currency": lambda: money.parse_currency(message.currency, "service.currency"),
    }
    for name, read in readers.items():
        if name in names:
            checks(read)


def _changed(before: Service, message: purchase_pb2.Service, names: set[str]) -> Service:
    """The service with the named fields taken from the message, checked as a whole."""
    whole = convert.service(before)
    for name in names:
        setattr(whole, name, getattr(message, name))
    checks = fields.Checks()
    name = checks(fields.text, whole.name, "service.name", 50, 1)
    description = checks(fields.text, whole.description, "service.description", 1000)
    price = _price(checks, whole)
    checks.finish()
    return dataclasses.replace(
        before,
        name=name,
        description=description,
        price=price,
        version=before.version + 1,
        updated_at=datetime.now(UTC),
    )
