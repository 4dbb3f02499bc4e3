"""Reversals: what the services of deposits, withdrawals, purchases and transfers have in common."""

import dataclasses
from uuid import UUID

from balance_service._generated.balance.v1 import (
    deposit_pb2,
    purchase_pb2,
    reversal_pb2,
    transfer_pb2,
    withdrawal_pb2,
)
from balance_service.calls.call import Call
from balance_service.database.pool import Pool
from balance_service.domain import errors, money
from balance_service.domain.follow_up_commands import Reverse
from balance_service.domain.movements import REVERSALS, Kind, Movement
from balance_service.domain.principals import Principal, Scope
from balance_service.domain.users import Role
from balance_service.messages import account_access, convert, fields
from balance_service.messages.submission import Submission, read_effective_time, read_origin
from balance_service.repositories import accounts, journal

ReverseRequest = (
    deposit_pb2.ReverseDepositRequest
    | withdrawal_pb2.ReverseWithdrawalRequest
    | purchase_pb2.RefundPurchaseRequest
    | transfer_pb2.ReverseTransferRequest
)

_SCOPES = {
    Kind.DEPOSIT: Scope.DEPOSITS_REVERSE,
    Kind.WITHDRAWAL: Scope.WITHDRAWALS_REVERSE,
    Kind.PURCHASE: Scope.PURCHASES_REFUND,
    Kind.TRANSFER: Scope.TRANSFERS_REVERSE,
}


class Reversals:
    """Takes movements back.

    Args:
        pool: For reads.
        submission: Takes commands to the ledger.
    """

    def __init__(self, pool: Pool, submission: Submission) -> None:
        self._pool = pool
        self._submission = submission

    async def reverse(
        self, request: ReverseRequest, call: Call, kind: Kind, text: str
    ) -> reversal_pb2.Reversal:
        """Takes the four steps for a movement of a kind.

        Args:
            request: What is asked.
            call: Who asks.
            kind: The kind of movement that the method reverses.
            text: The movement's id as it was sent.
        """
        principal = call.principal
        operating = _may_reverse_any(principal, kind)
        if request.force:
            principal.require_admin()

        checks = fields.Checks()
        movement_id = checks(fields.identifier, text, kind.name.lower())
        if request.amount:
            checks(money.parse_number, request.amount, "amount")
        reason = checks(fields.text, request, "reason")
        effective_at = checks(read_effective_time, request)
        origin = checks(read_origin, request, call, reason, effective_at=effective_at)
        checks.finish()

        original = await self._find(movement_id, principal, kind, operating=operating)
        amount = None
        if request.amount:
            amount = money.parse_amount(request.amount, original.currency, "amount")
        if operating:
            origin = dataclasses.replace(origin, owner_id=None, reads_all=True)
        command = Reverse(origin, original, amount, request.force)
        done = await self._submission.submit_one(command, call, validate_only=request.validate_only)
        return convert.reversal(done.movement)

    async def _find(
        self, movement_id: UUID, principal: Principal, kind: Kind, *, operating: bool
    ) -> Movement:
        """The movement that is to be taken back, if the caller may do that.

        Raises:
            MovementNotFound: There is none, as far as the caller may know.
            PermissionMissing: The caller sent it, and did not receive it.
            NotReversible: It is of another kind.
        """
        async with self._pool.connection() as conn:
            movement = (await journal.movements(conn, [movement_id])).get(movement_id)
            if movement is not None and not operating:
                sides = [movement.from_account_id, movement.to_account_id]
                owners = {
                    profile.account.account_id: profile.account.owner_id
                    for profile in await accounts.get(conn, sides)
                }
                if principal.user_id not in owners.values():
                    movement = None
                elif owners.get(movement.to_account_id) != principal.user_id:
                    raise errors.PermissionMissing(required="who received it")
        if movement is None:
            raise errors.MovementNotFound(str(movement_id))
        if movement.kind != kind:
            raise errors.NotReversible(str(movement_id), movement.kind.name)
        return movement


def _may_reverse_any(principal: Principal, kind: Kind) -> bool:
    """Whether the caller may take back any movement of a kind, or only transfers they received.

    Raises:
        PermissionMissing: Neither.
    """
    if principal.user_id and kind == Kind.TRANSFER and principal.role != Role.ADMIN:
        return False
    principal.require_admin_or(_SCOPES[kind])
    return True


class ReversalServicer:
    """Returns reversals."""

    service = reversal_pb2.DESCRIPTOR.services_by_name["ReversalService"]

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def GetReversal(
        self, request: reversal_pb2.GetReversalRequest, call: Call
    ) -> reversal_pb2.Reversal:
        principal = call.principal

        reversal_id = fields.identifier(request.reversal, "reversal")

        async with self._pool.connection() as conn:
            movement, for_account = await account_access.get_movement(
                conn, principal, reversal_id, *REVERSALS.values()
            )

        return convert.reversal(movement, for_account=for_account)
