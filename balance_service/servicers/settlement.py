"""Deposits and withdrawals: what DepositService and WithdrawalService have in common."""

from typing import NamedTuple

from balance_service._generated.balance.v1 import deposit_pb2, withdrawal_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Pool
from balance_service.domain.commands import Settle
from balance_service.domain.movements import Followed, Kind, Movement
from balance_service.domain.principals import Principal, Scope
from balance_service.messages import account_access, fields
from balance_service.messages.listing import Listing, Page, read_query
from balance_service.messages.submission import Submission, read_effective_time, read_origin
from balance_service.repositories import journal

CreateRequest = deposit_pb2.CreateDepositRequest | withdrawal_pb2.CreateWithdrawalRequest
ListRequest = deposit_pb2.ListDepositsRequest | withdrawal_pb2.ListWithdrawalsRequest


class _Reference(NamedTuple):
    """Names a settlement in an outside system; both are None, or neither."""

    source: str | None = None
    reference: str | None = None


class Settlements:
    """Moves money between accounts and the outside world.

    Its methods take the steps of an RPC but for the last: the servicers answer.

    Args:
        pool: For reads.
        submission: Takes commands to the ledger.
        listing: Lists what came of them.
        kind: DEPOSIT or WITHDRAWAL.
        scope: What a service needs for it.
        users_may: Whether users may do it on their own accounts.
    """

    def __init__(
        self,
        pool: Pool,
        submission: Submission,
        listing: Listing,
        *,
        kind: Kind,
        scope: Scope,
        users_may: bool,
    ) -> None:
        self._pool = pool
        self._submission = submission
        self._listing = listing
        self._kind = kind
        self._scope = scope
        self._users_may = users_may

    async def create(self, request: CreateRequest, call: Call) -> Movement:
        principal = call.principal
        if principal.user_id is None or not self._users_may:
            principal.require_scope(self._scope)

        checks = fields.Checks()
        amount = checks(fields.amount, request.amount, request.currency)
        account_id = checks(account_access.read_id_or_own, principal, request.account, "account")
        description = checks(fields.text, request, "description")
        reference = checks(_read_reference, request, principal)
        effective_at = checks(read_effective_time, request)
        origin = checks(read_origin, request, call, description, effective_at=effective_at)
        checks.finish()

        if account_id is None:
            async with self._pool.connection() as conn:
                account_id = await account_access.find_own_account(conn, principal, amount.currency)
        command = Settle(origin, self._kind, account_id, amount, *reference)
        done = await self._submission.submit_one(command, call, validate_only=request.validate_only)
        return done.movement

    async def get(self, call: Call, text: str, field: str) -> Followed:
        principal = call.principal

        movement_id = fields.identifier(text, field)

        async with self._pool.connection() as conn:
            movement, _ = await account_access.get_movement(
                conn, principal, movement_id, self._kind
            )
            return await journal.followed(conn, movement)

    async def page(self, request: ListRequest, call: Call) -> Page:
        principal = call.principal

        checks = fields.Checks()
        account_id = checks(account_access.read_id_or_own, principal, request.account, "account")
        query = read_query(checks, request, account_id, self._kind)
        checks.finish()

        return await self._listing.page(query, call)


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
