"""Deposits and withdrawals, as they are asked for."""

from typing import Generic, NamedTuple, TypeVar

from balance_service._generated.balance.v1 import deposit_pb2, withdrawal_pb2
from balance_service.calls.call import Call
from balance_service.domain.commands import Settle
from balance_service.domain.movements import Followed, Kind
from balance_service.domain.principals import Principal, Scope
from balance_service.domain.state import Done
from balance_service.messages import account_access, convert, fields
from balance_service.messages.instructions.kind import Reading
from balance_service.messages.origin import SentId, read_effective_time, read_origin
from balance_service.reading.lookups import Lookups

CreateRequest = deposit_pb2.CreateDepositRequest | withdrawal_pb2.CreateWithdrawalRequest
Settlement = TypeVar("Settlement", deposit_pb2.Deposit, withdrawal_pb2.Withdrawal)

_SCOPES = {Kind.DEPOSIT: Scope.DEPOSITS_WRITE, Kind.WITHDRAWAL: Scope.WITHDRAWALS_WRITE}


class _Reference(NamedTuple):
    """Names a settlement in an outside system; both are None, or neither."""

    source: str | None = None
    reference: str | None = None


class SettlementInstructions(Generic[Settlement]):
    """Deposits, or withdrawals.

    Args:
        lookups: What they refer to.
        kind: DEPOSIT or WITHDRAWAL.
        message: What tells one.
        users_may: Whether users may make them on their own accounts.
    """

    def __init__(
        self, lookups: Lookups, kind: Kind, message: type[Settlement], *, users_may: bool
    ) -> None:
        self._lookups = lookups
        self._kind = kind
        self._message: type[Settlement] = message
        self._users_may = users_may

    def authorise(self, request: object, call: Call) -> None:
        principal = call.principal
        if principal.user_id is None or not self._users_may:
            principal.require_scope(_SCOPES[self._kind])

    def read(
        self,
        request: CreateRequest,
        call: Call,
        checks: fields.Checks,
        default_id: SentId | None = None,
    ) -> Reading[Settle]:
        principal = call.principal
        amount = checks(fields.amount, request.amount, request.currency)
        account_id = checks(account_access.read_id_or_own, principal, request.account, "account")
        description = checks(fields.text, request, "description")
        reference = checks(_read_reference, request, principal)
        effective_at = checks(read_effective_time, request)
        origin = checks(
            read_origin, request, call, description, default_id, effective_at=effective_at
        )
        checks.finish()
        if account_id:
            return Settle(origin, self._kind, account_id, amount, *reference)

        async def look_up() -> Settle:
            own = await account_access.find_own_account(self._lookups, principal, amount.currency)
            return Settle(origin, self._kind, own, amount, *reference)

        return look_up()

    def answer(self, command: Settle, done: Done) -> Settlement:
        return convert.settlement(self._message, Followed(done.movement))


def _read_reference(request: CreateRequest, principal: Principal) -> _Reference:
    """Reads the outside system and its reference; the system is the caller unless it is named."""
    checks = fields.Checks()
    source = request.source
    if source != principal.name:  # The default may be spelled out, and is longer.
        checks(fields.text, request, "source")
    reference = checks(fields.text, request, "reference")
    if source and not request.reference:
        checks.refuse("source", "must come with a reference")
    checks.finish()
    return _Reference(source or principal.name, reference) if reference else _Reference()
