"""Holds, as they are asked for."""

import dataclasses
from datetime import UTC, datetime, timedelta
from uuid import UUID

from balance_service._generated.balance.v1 import hold_pb2
from balance_service.calls.call import Call
from balance_service.domain import errors, money
from balance_service.domain.commands import Origin, Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Place
from balance_service.domain.holds import newly_placed
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.principals import Principal
from balance_service.domain.state import Done
from balance_service.messages import account_access, convert, fields
from balance_service.messages.instructions.kind import Reading
from balance_service.messages.origin import SentId, read_origin
from balance_service.reading.lookups import Lookups
from balance_service.reading.rates import ExchangeRates

LIFE_DEFAULT = timedelta(days=7)
LIFE_MAX = timedelta(days=366)


class HoldInstructions:
    """Holds.

    Args:
        lookups: What they refer to.
        rates: Convert the price of a service that is to be bought.
    """

    def __init__(self, lookups: Lookups, rates: ExchangeRates) -> None:
        self._lookups = lookups
        self._rates = rates

    def read(
        self,
        request: hold_pb2.CreateHoldRequest,
        call: Call,
        checks: fields.Checks,
        default_id: SentId | None = None,
    ) -> Reading[Place]:
        principal = call.principal
        if principal.user_id and not (request.to_account or request.service):
            checks.refuse("to_account", "is required of users, unless there is a service")
        expires_at = checks(_read_expiry, request)
        account_id = checks(account_access.read_id_or_own, principal, request.account, "account")
        description = checks(fields.text, request, "description")
        origin = checks(read_origin, request, call, description, default_id)
        service_id, amount, receiver, currency = None, None, None, ""
        if request.service:
            service_id = checks(fields.identifier, request.service, "service")
            if request.to_account:
                checks.refuse("to_account", "must be empty where there is a service")
            if request.amount:
                checks.refuse("amount", "must be empty where there is a service, which has a price")
            currency = checks(money.parse_currency, request.currency, "currency")
        else:
            amount = checks(fields.amount, request.amount, request.currency)
            if request.to_account:
                receiver = checks(account_access.read_receiver, request.to_account)
        checks.finish()
        explicit = request.HasField("expire_time")

        async def look_up() -> Place:
            purpose: Transfer | Purchase | Settle
            if service_id:
                purpose = await self._sale(origin, principal, account_id, service_id, currency)
            else:
                assert amount, "read so"
                to_account = request.to_account
                purpose = await self._payment(
                    origin, principal, account_id, amount, receiver, to_account
                )
            return Place(purpose, expires_at, explicit=explicit)

        return look_up()

    def answer(self, command: Place, done: Done) -> hold_pb2.Hold:
        # As it was made: the answer does not change when the request is repeated.
        return convert.hold(done.movement, newly_placed(done.movement))

    async def _sale(
        self,
        origin: Origin,
        principal: Principal,
        account_id: UUID | None,
        service_id: UUID,
        currency: str,
    ) -> Purchase:
        """The purchase that money is to be held for."""
        service = await self._lookups.services.get(service_id)
        account_id = account_id or await self._own(principal, currency)
        if service is None:
            raise errors.ServiceNotFound(str(service_id))
        origin = dataclasses.replace(origin, description=service.name)
        price = None if service.deleted_at else service.price
        rates, repeatable = self._rates.current, service.repeatable
        return Purchase(origin, account_id, service_id, price, rates, repeatable)

    async def _payment(
        self,
        origin: Origin,
        principal: Principal,
        account_id: UUID | None,
        amount: Money,
        receiver: UUID | None,
        to_account: str,
    ) -> Transfer | Settle:
        """The transfer that money is to be held for, or without a receiver the withdrawal."""
        account_id = account_id or await self._own(principal, amount.currency)
        if to_account and receiver is None:
            receiver = await account_access.find_receiver(self._lookups, principal, to_account)
        if receiver:
            return Transfer(origin, account_id, receiver, amount)
        return Settle(origin, Kind.WITHDRAWAL, account_id, amount)

    async def _own(self, principal: Principal, currency: str) -> UUID:
        return await account_access.find_own_account(self._lookups, principal, currency)


def _read_expiry(request: hold_pb2.CreateHoldRequest) -> datetime:
    now = datetime.now(UTC)
    if not request.HasField("expire_time"):
        return now + LIFE_DEFAULT
    expires_at = fields.moment(request.expire_time, "expire_time")
    # One that is past is refused by the ledger, which knows a repeated request.
    if expires_at > now + LIFE_MAX:
        raise errors.invalid("expire_time", "must be at most a year away")
    return expires_at
