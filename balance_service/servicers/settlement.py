"""Deposits and withdrawals: what DepositService and WithdrawalService have in common."""

from balance_service._generated.balance.v1 import deposit_pb2, withdrawal_pb2
from balance_service.calls.call import Call
from balance_service.domain.commands import Settle
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.principals import Principal, Scope
from balance_service.messages import access, fields
from balance_service.messages.movements import Movements, MovementsRequest, Page, origin

CreateRequest = deposit_pb2.CreateDepositRequest | withdrawal_pb2.CreateWithdrawalRequest


class Settlements:
    """Moves money between accounts and the outside world.

    Args:
        movements: What carries it out.
        kind: DEPOSIT or WITHDRAWAL.
        scope: What a service needs for it.
        users_may: Whether users may do it on their own accounts.
    """

    def __init__(self, movements: Movements, kind: Kind, scope: Scope, *, users_may: bool) -> None:
        self._movements = movements
        self._kind = kind
        self._scope = scope
        self._users_may = users_may

    async def create(self, request: CreateRequest, call: Call) -> Movement:
        principal = call.principal
        self._authorise(principal)
        checks = fields.Checks()
        amount = fields.amount(checks, request)
        account_id = checks(access.named, principal, request.account, "account")
        description = checks(fields.text, request, "description")
        source, reference = _reference(checks, request, principal)
        origin_ = origin(request, call, checks, principal.user_id, description)
        checks.finish()
        if account_id is None:
            async with self._movements.pool.connection() as conn:
                account_id = await access.own(conn, principal, amount.currency)
        command = Settle(origin_, self._kind, account_id, amount, source, reference)
        return (await self._movements.submit_one(command, call)).movement

    async def get(self, call: Call, text: str, field: str) -> Movement:
        principal = call.principal
        movement_id = fields.identifier(text, field)
        async with self._movements.pool.connection() as conn:
            movement, _ = await access.readable_movement(conn, principal, movement_id, self._kind)
        return movement

    async def page(self, request: MovementsRequest, call: Call) -> Page:
        return await self._movements.page(request, call, self._kind)

    def _authorise(self, principal: Principal) -> None:
        if principal.user_id is None or not self._users_may:
            principal.require_scope(self._scope)


def _reference(
    checks: fields.Checks, request: CreateRequest, principal: Principal
) -> tuple[str | None, str | None]:
    """The outside system and its reference; the caller is the system unless another is named."""
    source = request.source
    if source != principal.name:  # The default, spelled out, is longer.
        checks(fields.text, request, "source")
    reference = checks(fields.text, request, "reference")
    if source and not request.reference:
        checks.refuse("source", "must come with a reference")
    if not reference:
        return None, None
    return source or principal.name, reference
