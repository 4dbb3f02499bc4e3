"""Reversals, as they are asked for."""

import dataclasses
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service._generated.balance.v1 import (
    deposit_pb2,
    exchange_pb2,
    purchase_pb2,
    reversal_pb2,
    transfer_pb2,
    withdrawal_pb2,
)
from balance_service.calls.call import Call
from balance_service.domain import errors, money
from balance_service.domain.follow_up_commands import Reverse
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.principals import Principal, Scope
from balance_service.domain.state import Done
from balance_service.domain.users import Role
from balance_service.messages import convert, fields
from balance_service.messages.instructions.kind import Reading
from balance_service.messages.origin import SentId, read_effective_time, read_origin
from balance_service.reading.lookups import Lookups

ReverseRequest = (
    deposit_pb2.ReverseDepositRequest
    | withdrawal_pb2.ReverseWithdrawalRequest
    | purchase_pb2.RefundPurchaseRequest
    | transfer_pb2.ReverseTransferRequest
    | exchange_pb2.ReverseExchangeRequest
)

_SCOPES = {
    Kind.DEPOSIT: Scope.DEPOSITS_REVERSE,
    Kind.WITHDRAWAL: Scope.WITHDRAWALS_REVERSE,
    Kind.PURCHASE: Scope.PURCHASES_REFUND,
    Kind.TRANSFER: Scope.TRANSFERS_REVERSE,
    Kind.EXCHANGE: Scope.EXCHANGES_REVERSE,
}
# What who received it may send back.
_RECEIVED = {Kind.TRANSFER, Kind.EXCHANGE}


class _Found(NamedTuple):
    """A movement to take back, and until when the caller may; None for ever."""

    movement: Movement
    until: datetime | None = None


class ReversalInstructions:
    """Reversals of movements of a kind.

    Args:
        lookups: What they refer to.
        kind: What they reverse.
    """

    def __init__(self, lookups: Lookups, kind: Kind) -> None:
        self._lookups = lookups
        self._kind = kind

    def authorise(self, request: ReverseRequest, call: Call) -> None:
        self._may_reverse_any(call.principal)
        if request.force:
            call.principal.require_admin()

    def read(
        self,
        request: ReverseRequest,
        call: Call,
        checks: fields.Checks,
        default_id: SentId | None = None,
    ) -> Reading[Reverse]:
        principal = call.principal
        operating = self._may_reverse_any(principal)
        field = self._kind.name.lower()
        movement_id = checks(fields.identifier, getattr(request, field), field)
        if request.amount:
            checks(money.parse_number, request.amount, "amount")
        reason = checks(fields.text, request, "reason")
        effective_at = checks(read_effective_time, request)
        origin = checks(read_origin, request, call, reason, default_id, effective_at=effective_at)
        checks.finish()
        if operating:
            operator = call.actor if principal.role == Role.ADMIN else None
            origin = dataclasses.replace(origin, owner_id=None, reads_all=True, operator=operator)

        async def look_up() -> Reverse:
            original, until = await self._find(movement_id, principal, operating=operating)
            amount = None
            if request.amount:
                amount = money.parse_amount(request.amount, original.currency, "amount")
            return Reverse(origin, original, amount, request.force, until)

        return look_up()

    def answer(self, command: Reverse, done: Done) -> reversal_pb2.Reversal:
        return convert.reversal(done.movement)

    def _may_reverse_any(self, principal: Principal) -> bool:
        """Whether the caller may take back any movement of the kind, or only what they received.

        Raises:
            PermissionMissing: Neither.
        """
        if principal.user_id and self._kind in _RECEIVED and principal.role != Role.ADMIN:
            return False
        principal.require_admin_or(_SCOPES[self._kind])
        return True

    async def _find(self, movement_id: UUID, principal: Principal, *, operating: bool) -> _Found:
        """The movement that is to be taken back, if the caller may do that.

        Who received by a quote may give back only while it holds: the right to do so at any time,
        at a rate of the past, would be an option on the currency for nothing.

        Raises:
            MovementNotFound: There is none, as far as the caller may know.
            PermissionMissing: The caller sent it, and did not receive it.
            NotReversible: It is of another kind.
        """
        quote = None
        movement = await self._lookups.movements.get(movement_id)
        if movement is not None and not operating:
            sides = [movement.from_account_id, movement.to_account_id]
            owners = [await self._find_owner(account_id) for account_id in sides]
            if principal.user_id not in owners:
                movement = None
            elif owners[1] != principal.user_id:
                raise errors.PermissionMissing(required="who received it")
            elif movement.quote_id:
                quote = await self._lookups.quotes.get(movement.quote_id)
        if movement is None:
            raise errors.MovementNotFound(str(movement_id))
        if movement.kind != self._kind:
            raise errors.NotReversible(str(movement_id), movement.kind.name)
        return _Found(movement, quote.expires_at if quote else None)

    async def _find_owner(self, account_id: UUID) -> UUID | None:
        profile = await self._lookups.accounts.get(account_id)
        return profile.account.owner_id if profile else None
