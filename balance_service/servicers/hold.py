"""HoldService: money reserved for a movement that is to come."""

import dataclasses
from datetime import UTC, datetime, timedelta
from uuid import UUID

from balance_service._generated.balance.v1 import hold_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors, money
from balance_service.domain.commands import Origin, Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Capture, Place, Release
from balance_service.domain.holds import Hold, HoldStatus, newly_placed
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.principals import Principal, Scope
from balance_service.domain.users import Role
from balance_service.messages import account_access, convert, fields, page_bytes
from balance_service.messages.listing import movement_texts
from balance_service.messages.page_tokens import PageTokens
from balance_service.messages.submission import Submission, read_effective_time, read_origin
from balance_service.reading.balances import AccountReads
from balance_service.reading.catalogue import ServiceReads
from balance_service.reading.rates import ExchangeRates
from balance_service.repositories import holds, journal

LIFE_DEFAULT = timedelta(days=7)
LIFE_MAX = timedelta(days=366)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class HoldServicer:
    """Holds money, captures it and gives it back.

    Args:
        pool: For what is not gathered.
        accounts: Reads the accounts of many callers at once.
        services: Reads the services of many callers at once.
        submission: Takes commands to the ledger.
        page_tokens: Signs where a list goes on.
        rates: Convert the price of a service that is to be bought.
    """

    service = hold_pb2.DESCRIPTOR.services_by_name["HoldService"]

    def __init__(
        self,
        pool: Pool,
        accounts: AccountReads,
        services: ServiceReads,
        submission: Submission,
        page_tokens: PageTokens,
        rates: ExchangeRates,
    ) -> None:
        self._pool = pool
        self._accounts = accounts
        self._services = services
        self._submission = submission
        self._page_tokens = page_tokens
        self._rates = rates

    async def CreateHold(self, request: hold_pb2.CreateHoldRequest, call: Call) -> hold_pb2.Hold:
        principal = call.principal
        if principal.user_id is None:
            principal.require_scope(Scope.HOLDS_WRITE)

        checks = fields.Checks()
        if principal.user_id and not (request.to_account or request.service):
            checks.refuse("to_account", "is required of users, unless there is a service")
        explicit = request.HasField("expire_time")
        expires_at = checks(_read_expiry, request)
        account_id = checks(account_access.read_id_or_own, principal, request.account, "account")
        description = checks(fields.text, request, "description")
        origin = checks(read_origin, request, call, description)
        purpose = await self._read_purpose(request, call, checks, origin, account_id)

        command = Place(purpose, expires_at, explicit=explicit)
        done = await self._submission.submit_one(command, call, validate_only=request.validate_only)
        # As it was made: the answer does not change when the request is repeated.
        return convert.hold(done.movement, newly_placed(done.movement))

    async def _read_purpose(
        self,
        request: hold_pb2.CreateHoldRequest,
        call: Call,
        checks: fields.Checks,
        origin: Origin,
        account_id: UUID | None,
    ) -> Transfer | Purchase | Settle:
        """Reads what money is to be held for, and looks up the accounts not given by id.

        Args:
            request: What is asked.
            call: Who asks.
            checks: What is wrong with the request so far; finished here.
            origin: Where the request comes from, already read.
            account_id: The account that pays, already read; None for the caller's own.
        """
        if request.service:
            service_id = checks(fields.identifier, request.service, "service")
            if request.to_account:
                checks.refuse("to_account", "must be empty where there is a service")
            if request.amount:
                checks.refuse("amount", "must be empty where there is a service, which has a price")
            currency = checks(money.parse_currency, request.currency, "currency")
            checks.finish()
            service = await self._services.get(service_id)
            async with self._pool.connection() as conn:
                account_id = await _own(conn, call.principal, account_id, currency)
            if service is None:
                raise errors.ServiceNotFound(str(service_id))
            origin = dataclasses.replace(origin, description=service.name)
            price = None if service.deleted_at else service.price
            rates, repeatable = self._rates.current, service.repeatable
            return Purchase(origin, account_id, service_id, price, rates, repeatable)
        amount = checks(fields.amount, request.amount, request.currency)
        receiver = None
        if request.to_account:
            receiver = checks(account_access.read_receiver, request.to_account)
        checks.finish()
        async with self._pool.connection() as conn:
            account_id = await _own(conn, call.principal, account_id, amount.currency)
            if request.to_account and receiver is None:
                receiver = await account_access.find_receiver(
                    conn, call.principal, request.to_account
                )
        if receiver:
            return Transfer(origin, account_id, receiver, amount)
        return Settle(origin, Kind.WITHDRAWAL, account_id, amount)

    async def CaptureHold(
        self, request: hold_pb2.CaptureHoldRequest, call: Call
    ) -> hold_pb2.Capture:
        principal = call.principal
        if principal.user_id is None:
            principal.require_scope(Scope.HOLDS_WRITE)

        checks = fields.Checks()
        hold_id = checks(fields.identifier, request.hold, "hold")
        if request.amount:
            checks(money.parse_number, request.amount, "amount")
        description = checks(fields.text, request, "description")
        effective_at = checks(read_effective_time, request)
        origin = checks(read_origin, request, call, description, effective_at=effective_at)
        checks.finish()

        placed = await self._find(hold_id, principal)
        amount = None
        if request.amount:
            amount = money.parse_amount(request.amount, placed.currency, "amount")
        origin = dataclasses.replace(origin, description=description or placed.description)
        command = Capture(origin, placed, amount, request.keep_rest)
        done = await self._submission.submit_one(command, call, validate_only=request.validate_only)
        return convert.capture(done.movement)

    async def VoidHold(self, request: hold_pb2.VoidHoldRequest, call: Call) -> hold_pb2.Hold:
        principal = call.principal
        if principal.user_id is None:
            principal.require_scope(Scope.HOLDS_WRITE)

        checks = fields.Checks()
        hold_id = checks(fields.identifier, request.hold, "hold")
        reason = checks(fields.text, request, "reason")
        origin = checks(read_origin, request, call, reason)
        checks.finish()

        placed = await self._find(hold_id, principal, operating=principal.role == Role.ADMIN)
        if principal.role == Role.ADMIN:
            origin = dataclasses.replace(origin, owner_id=None)
        command = Release(origin, placed)
        done = await self._submission.submit_one(command, call, validate_only=request.validate_only)
        return convert.hold(placed, _as_released(placed, done.movement))

    async def GetHold(self, request: hold_pb2.GetHoldRequest, call: Call) -> hold_pb2.Hold:
        principal = call.principal

        hold_id = fields.identifier(request.hold, "hold")

        async with self._pool.connection() as conn:
            try:
                placed, for_payer = await account_access.get_movement(
                    conn, principal, hold_id, Kind.HOLD
                )
            except errors.MovementNotFound:
                raise errors.HoldNotFound(str(hold_id)) from None
            left = await holds.get(conn, placed.from_account_id, hold_id)
            captured = await journal.followed(conn, placed)
        if left is None or not for_payer:
            raise errors.HoldNotFound(str(hold_id))
        return convert.hold(placed, left, captured.movement_ids)

    async def ListHolds(
        self, request: hold_pb2.ListHoldsRequest, call: Call
    ) -> hold_pb2.ListHoldsResponse:
        principal = call.principal

        checks = fields.Checks()
        account_id = checks(account_access.read_id_or_own, principal, request.account, "account")
        size = checks(fields.page_size, request.page_size)
        skip = checks(fields.skip, request.skip)
        status = checks(_read_status, request.status)
        checks.finish()

        query = (account_id, status)
        after = _read_place(self._page_tokens.read(query, call, request.page_token))
        profiles = await account_access.get_listed_accounts(
            self._pool, self._accounts, principal, account_id
        )
        account_ids = [profile.account.account_id for profile in profiles]
        async with self._pool.connection() as conn:
            listed = await holds.page(conn, account_ids, status, after, size + 1, skip)
            total = await holds.count(conn, account_ids, status) if request.count_total else 0
            placed = await journal.movements(conn, [left.hold_id for left in listed[:size]])
        shown = page_bytes.fit(listed[:size], lambda left: movement_texts(placed[left.hold_id]))
        answer = hold_pb2.ListHoldsResponse(
            holds=[convert.hold(placed[left.hold_id], left) for left in shown], total_size=total
        )
        if len(listed) > len(shown):
            place = _write_place(shown[-1])
            answer.next_page_token = self._page_tokens.write(query, call, place)
        return answer

    async def _find(
        self, hold_id: UUID, principal: Principal, *, operating: bool = False
    ) -> Movement:
        """The movement that made a hold, if the caller may decide what becomes of it.

        Args:
            hold_id: The hold's id.
            principal: Who asks.
            operating: Whether they may do so whoever made it.

        Raises:
            HoldNotFound: There is none, as far as the caller may know.
            PermissionMissing: The caller may read it alone.
        """
        async with self._pool.connection() as conn:
            placed = (await journal.movements(conn, [hold_id])).get(hold_id)
        if placed is None or placed.kind != Kind.HOLD:
            raise errors.HoldNotFound(str(hold_id))
        if operating or Scope.HOLDS_WRITE in principal.scopes:
            return placed
        if principal.name == placed.principal:
            return placed
        account_id = placed.from_account_id
        try:
            account_access.check_readable(
                await self._accounts.get(account_id), principal, account_id
            )
        except errors.AccountNotFound:
            raise errors.HoldNotFound(str(hold_id)) from None
        raise errors.PermissionMissing(required=f"who made the hold, or scope {Scope.HOLDS_WRITE}")


async def _own(
    conn: Connection, principal: Principal, account_id: UUID | None, currency: str
) -> UUID:
    return account_id or await account_access.find_own_account(conn, principal, currency)


def _read_expiry(request: hold_pb2.CreateHoldRequest) -> datetime:
    now = datetime.now(UTC)
    if not request.HasField("expire_time"):
        return now + LIFE_DEFAULT
    expires_at = fields.moment(request.expire_time, "expire_time")
    # One that is past is refused by the ledger, which knows a repeated request.
    if expires_at > now + LIFE_MAX:
        raise errors.invalid("expire_time", "must be at most a year away")
    return expires_at


def _read_status(value: int) -> HoldStatus | None:
    try:
        return HoldStatus(value) if value else None
    except ValueError:
        raise errors.invalid("status", "must be a known status of a hold") from None


def _as_released(placed: Movement, release: Movement) -> Hold:
    """A hold as a release left it, and as it then stays."""
    captured_minor = placed.amount_minor - release.amount_minor
    return newly_placed(placed)._replace(captured_minor=captured_minor).released(HoldStatus.VOIDED)


def _write_place(left: Hold) -> bytes:
    microseconds = (left.created_at - _EPOCH) // timedelta(microseconds=1)
    return microseconds.to_bytes(8, "big") + left.hold_id.bytes


def _read_place(place: bytes | None) -> holds.Place | None:
    if place is None:
        return None
    since_epoch = timedelta(microseconds=int.from_bytes(place[:8], "big"))
    return holds.Place(_EPOCH + since_epoch, UUID(bytes=place[8:]))
