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
from balance_service.calls.access import Condition, Rule
from balance_service.calls.call import Call
from balance_service.domain import errors, money
from balance_service.domain.follow_up_commands import Reverse
from balance_service.domain.movements import Kind, Movement
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


class _Found(NamedTuple):
    """A movement to take back, and until when the caller may; None for ever."""

    movement: Movement
    until: datetime | None = None


class ReversalInstructions:
    """Reversals of movements of a kind.

    Args:
        lookups: What they refer to.
        kind: What they reverse.
        rule: Who may.
    """

    def __init__(self, lookups: Lookups, kind: Kind, rule: Rule) -> None:
        self._lookups = lookups
        self._kind = kind
        self._rule = rule

    def read(
        self,
        request: ReverseRequest,
        call: Call,
        checks: fields.Checks,
        default_id: SentId | None = None,
    ) -> Reading[Reverse]:
        operating = self._rule.admit(call.caller) is Condition.ALWAYS
        if request.force:
            call.principal.require_admin()
        field = self._kind.name.lower()
        movement_id = checks(fields.identifier, getattr(request, field), field)
        if request.amount:
            checks(money.parse_number, request.amount, "amount")
        reason = checks(fields.text, request, "reason")
        effective_at = checks(read_effective_time, request)
        origin = checks(read_origin, request, call, reason, default_id, effective_at=effective_at)
        checks.finish()
        if operating:
            operator = call.actor if call.principal.role == Role.ADMIN else None
            origin = dataclasses.replace(origin, owner_id=None, reads_all=True, operator=operator)

        async def look_up() -> Reverse:
            original, until = await self._find(movement_id, call, operating=operating)
            amount = None
            if request.amount:
                amount = money.parse_amount(request.amount, original.currency, "amount")
            return Reverse(origin, original, amount, request.force, until)

        return look_up()

    def answer(self, command: Reverse, done: Done) -> reversal_pb2.Reversal:
        return convert.reversal(done.movement)

    async def _find(self, movement_id: UUID, call: Call, *, operating: bool) -> _Found:
        """The movement that is to be taken back, if the caller may do that.

        Who received by a quote may give back only while it holds: the right to do so at any time,
        at a rate of the past, would be an option on the currency for nothing.

        Raises:
            MovementNotFound: There is none, as far as the caller may know.
            PermissionMissing: The caller sent it, and did not receive it.
            NotReversible: It is of another kind.
        """
        call.prove(Condition.RECEIVER)
        user_id, quote = call.principal.user_id, None
        movement = await self._lookups.movements.get(movement_id)
        if movement is not None and not operating:
            sides = [movement.from_account_id, movement.to_account_id]
            owners = [await self._find_owner(account_id) for account_id in sides]
            if user_id not in owners:
                movement = None
            elif owners[1] != user_id:
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
