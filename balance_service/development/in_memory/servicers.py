"""What the service in memory answers: the calls that move money, and reads of what they moved."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from google.protobuf.message import Message

from balance_service._generated.balance.v1 import (
    account_pb2,
    auth_pb2,
    deposit_pb2,
    hold_pb2,
    transfer_pb2,
    user_pb2,
    withdrawal_pb2,
)
from balance_service.calls.access import Condition
from balance_service.calls.call import Call
from balance_service.development.in_memory.ledger import MemoryLedger
from balance_service.domain import errors, money
from balance_service.domain.accounts import AccountProfile
from balance_service.domain.limits import Limits
from balance_service.domain.movements import Followed, Kind, Line, Movement
from balance_service.domain.paging import Order
from balance_service.domain.principals import Principal, Scope
from balance_service.domain.users import Role
from balance_service.messages import account_access, convert, fields
from balance_service.messages.account_messages import account_message
from balance_service.messages.instructions.all_kinds import AllInstructions
from balance_service.messages.submission import Submission

TOKEN_LIFE = timedelta(days=1)


class MemoryTokens:
    """Access tokens that say who calls, unsealed: `service:<client id>` or `user:<id>`."""

    async def verify(self, token: str) -> Principal:
        """Who a token stands for.

        Raises:
            TokenInvalid: It is none of these.
        """
        kind, _, name = token.partition(":")
        if kind == "service" and name:
            return Principal(token, None, None, frozenset(Scope))
        try:
            return Principal(token, UUID(name), Role.USER)
        except ValueError:
            raise errors.TokenInvalid from None


class AuthServicer:
    """Signs in sibling services, whatever their secret."""

    service = auth_pb2.DESCRIPTOR.services_by_name["AuthService"]

    async def CreateToken(self, request: auth_pb2.CreateTokenRequest, call: Call) -> auth_pb2.Token:  # noqa: ARG002
        seconds = int(TOKEN_LIFE.total_seconds())
        answer = auth_pb2.Token(token=f"service:{request.client_id}", expires_in_seconds=seconds)
        answer.expire_time.FromDatetime(datetime.now(UTC) + TOKEN_LIFE)
        return answer


class _Opening(NamedTuple):
    user: UUID
    currency: str


class AccountServicer:
    """Opens accounts, and reads them."""

    service = account_pb2.DESCRIPTOR.services_by_name["AccountService"]

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger
        self._answered: dict[tuple[str, UUID], tuple[_Opening, account_pb2.Account]] = {}

    async def CreateAccount(
        self, request: account_pb2.CreateAccountRequest, call: Call
    ) -> account_pb2.Account:
        principal = call.principal
        checks = fields.Checks()
        currency = checks(money.parse_currency, request.currency, "currency")
        user_id = checks(account_access.read_id_or_own, principal, request.user, "user")
        request_id = checks(fields.request_id, request.request_id)
        checks.finish()
        account_access.check_opened_for(call, user_id)
        opening = _Opening(user_id or principal.require_user(), currency)
        if request_id and (earlier := self._answered.get((principal.name, request_id))):
            before, answer = earlier
            if names := [n for n, v in opening._asdict().items() if getattr(before, n) != v]:
                raise errors.IdempotencyKeyReused(request.request_id, tuple(names))
            call.mark_replayed()
            return answer
        account_id, opened = self._ledger.open_account(*opening)
        if not opened:
            call.mark_existing()
        answer = self._message(account_id, call)
        if request_id:
            self._answered[principal.name, request_id] = opening, answer
        return answer

    async def GetAccount(
        self, request: account_pb2.GetAccountRequest, call: Call
    ) -> account_pb2.Account:
        account_id = fields.identifier(request.account, "account")
        self._ledger.expire()
        return self._message(account_id, call)

    async def ListEntries(
        self, request: account_pb2.ListEntriesRequest, call: Call
    ) -> account_pb2.ListEntriesResponse:
        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        size = checks(fields.page_size, request.page_size)
        order: Order = checks(fields.order, request.order_by)
        checks.finish()
        self._readable(account_id, call)
        token = request.page_token
        start, end = _read_place(token) or (0, len(self._ledger.entries.get(account_id, ())))
        entries = self._ledger.entries.get(account_id, [])[:end]
        if order.descending:
            entries.reverse()
        movements = self._ledger.state.movements
        shown = [Line(e, movements[e.movement_id]) for e in entries[start : start + size]]
        after = start + len(shown)
        return account_pb2.ListEntriesResponse(
            entries=map(convert.entry, shown),
            next_page_token=f"{after}.{end}" if after < end else "",
        )

    def _readable(self, account_id: UUID, call: Call) -> AccountProfile:
        profile = self._ledger.profile(account_id)
        return account_access.check_readable(profile, call, account_id)

    def _message(self, account_id: UUID, call: Call) -> account_pb2.Account:
        profile = self._readable(account_id, call)
        now = max(datetime.now(UTC), profile.account.changed_at)
        return account_message(profile, Limits().allowance(profile.account, now))


def _read_place(page_token: str) -> tuple[int, int] | None:
    """Where a page begins, and how many lines there were when the first page was read."""
    try:
        start, end = page_token.split(".")
        return int(start), int(end)
    except ValueError:
        if page_token:
            raise errors.PageTokenInvalid from None
        return None


class UserServicer:
    """Tells users who they are."""

    service = user_pb2.DESCRIPTOR.services_by_name["UserService"]

    async def GetMe(self, request: user_pb2.GetMeRequest, call: Call) -> user_pb2.User:  # noqa: ARG002
        return user_pb2.User(id=str(call.principal.require_user()))


class _Movements:
    """What servicers of movements have in common.

    Args:
        ledger: Where movements are read.
        submission: Takes commands to the ledger.
        asked: How requests are read.
    """

    def __init__(
        self, ledger: MemoryLedger, submission: Submission, asked: AllInstructions
    ) -> None:
        self.ledger = ledger
        self.submission = submission
        self.asked = asked

    def find(self, call: Call, movement_id: UUID, kind: Kind) -> tuple[Movement, bool]:
        """A movement that the caller may read, and whether it is told of the balance it left."""
        call.prove(Condition.OWNER if kind is Kind.HOLD else Condition.PARTY)
        movement = self.ledger.movement(movement_id)
        if movement is not None and movement.kind == kind:
            if call.unconditional:
                return movement, True
            sides = (movement.from_account_id, movement.to_account_id)
            profiles = {side: self.ledger.profile(side) for side in sides}
            owners = {side: p.account.owner_id for side, p in profiles.items() if p}
            user_id = call.principal.user_id
            if user_id in owners.values():
                return movement, owners.get(movement.account_id) == user_id
        raise errors.MovementNotFound(str(movement_id))


class DepositServicer(_Movements):
    """Brings money in."""

    service = deposit_pb2.DESCRIPTOR.services_by_name["DepositService"]

    async def CreateDeposit(
        self, request: deposit_pb2.CreateDepositRequest, call: Call
    ) -> deposit_pb2.Deposit:
        return await self.submission.carry_out(self.asked.create_deposit, request, call)

    async def GetDeposit(
        self, request: deposit_pb2.GetDepositRequest, call: Call
    ) -> deposit_pb2.Deposit:
        movement_id = fields.identifier(request.deposit, "deposit")
        movement, _ = self.find(call, movement_id, Kind.DEPOSIT)
        return convert.settlement(deposit_pb2.Deposit, Followed(movement))


class WithdrawalServicer(_Movements):
    """Sends money out."""

    service = withdrawal_pb2.DESCRIPTOR.services_by_name["WithdrawalService"]

    async def CreateWithdrawal(
        self, request: withdrawal_pb2.CreateWithdrawalRequest, call: Call
    ) -> withdrawal_pb2.Withdrawal:
        return await self.submission.carry_out(self.asked.create_withdrawal, request, call)

    async def GetWithdrawal(
        self, request: withdrawal_pb2.GetWithdrawalRequest, call: Call
    ) -> withdrawal_pb2.Withdrawal:
        movement_id = fields.identifier(request.withdrawal, "withdrawal")
        movement, _ = self.find(call, movement_id, Kind.WITHDRAWAL)
        return convert.settlement(withdrawal_pb2.Withdrawal, Followed(movement))


class TransferServicer(_Movements):
    """Moves money between accounts."""

    service = transfer_pb2.DESCRIPTOR.services_by_name["TransferService"]

    async def CreateTransfer(
        self, request: transfer_pb2.CreateTransferRequest, call: Call
    ) -> transfer_pb2.Transfer:
        return await self.submission.carry_out(self.asked.create_transfer, request, call)

    async def GetTransfer(
        self, request: transfer_pb2.GetTransferRequest, call: Call
    ) -> transfer_pb2.Transfer:
        movement_id = fields.identifier(request.transfer, "transfer")
        movement, for_sender = self.find(call, movement_id, Kind.TRANSFER)
        return convert.transfer(Followed(movement), for_sender=for_sender)


class HoldServicer(_Movements):
    """Holds money, captures it and gives it back."""

    service = hold_pb2.DESCRIPTOR.services_by_name["HoldService"]

    async def CreateHold(self, request: hold_pb2.CreateHoldRequest, call: Call) -> hold_pb2.Hold:
        return await self.submission.carry_out(self.asked.create_hold, request, call)

    async def CaptureHold(
        self, request: hold_pb2.CaptureHoldRequest, call: Call
    ) -> hold_pb2.Capture:
        return await self.submission.carry_out(self.asked.capture_hold, request, call)

    async def VoidHold(self, request: hold_pb2.VoidHoldRequest, call: Call) -> hold_pb2.Hold:
        return await self.submission.carry_out(self.asked.void_hold, request, call)

    async def GetHold(self, request: hold_pb2.GetHoldRequest, call: Call) -> hold_pb2.Hold:
        hold_id = fields.identifier(request.hold, "hold")
        self.ledger.expire()
        try:
            placed, for_payer = self.find(call, hold_id, Kind.HOLD)
        except errors.MovementNotFound:
            raise errors.HoldNotFound(str(hold_id)) from None
        if not for_payer:
            raise errors.HoldNotFound(str(hold_id))
        captures: Sequence[UUID] = self.ledger.captures.get(hold_id, ())
        return convert.hold(placed, self.ledger.state.holds[hold_id], captures)


# What is read of requests whose reading is written anew. A field that the contract gains is not
# among them, and so refused: an answer that leaves it out would be a wrong one.
KNOWN: Mapping[str, frozenset[str]] = {
    "CreateToken": frozenset({"client_id", "client_secret"}),
    "CreateAccount": frozenset({"currency", "user", "request_id"}),
    "GetAccount": frozenset({"account"}),
    "ListEntries": frozenset({"account", "page_size", "page_token", "order_by"}),
}
# What the service's own reading looks up, and is not in memory.
MISSING: Mapping[str, frozenset[str]] = {
    "CreateTransfer": frozenset({"quote"}),
    "CreateHold": frozenset({"service"}),
}


def find_unknown(method: str, request: Message) -> list[str]:
    """The fields of a request that memory has no answer to."""
    sent = [field.name for field, _ in request.ListFields()]
    missing = MISSING.get(method, frozenset())
    unknown = [name for name in sent if name in missing or name not in KNOWN.get(method, sent)]
    by_amount = getattr(request, "order_by", "").startswith("amount")
    return [*unknown, "order_by"] if by_amount else unknown
