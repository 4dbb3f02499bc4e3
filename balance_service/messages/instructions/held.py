"""What becomes of holds, as it is asked for: captures and voids."""

import dataclasses
from uuid import UUID

from balance_service._generated.balance.v1 import hold_pb2
from balance_service.calls.access import Condition, Rule
from balance_service.calls.call import Call
from balance_service.domain import errors, money
from balance_service.domain.follow_up_commands import Capture, Release
from balance_service.domain.holds import HoldStatus, newly_placed
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.principals import Scope
from balance_service.domain.state import Done
from balance_service.domain.users import Role
from balance_service.messages import convert, fields
from balance_service.messages.instructions.kind import Reading
from balance_service.messages.origin import SentId, read_effective_time, read_origin
from balance_service.reading.lookups import Lookups


class CaptureInstructions:
    """Captures of holds.

    Args:
        lookups: What they refer to.
        rule: Who may.
    """

    def __init__(self, lookups: Lookups, rule: Rule) -> None:
        self._lookups = lookups
        self._rule = rule

    def read(
        self,
        request: hold_pb2.CaptureHoldRequest,
        call: Call,
        checks: fields.Checks,
        default_id: SentId | None = None,
    ) -> Reading[Capture]:
        hold_id = checks(fields.identifier, request.hold, "hold")
        if request.amount:
            checks(money.parse_number, request.amount, "amount")
        description = checks(fields.text, request, "description")
        effective_at = checks(read_effective_time, request)
        origin = checks(
            read_origin, request, call, description, default_id, effective_at=effective_at
        )
        checks.finish()

        async def look_up() -> Capture:
            operating = self._rule.admit(call.caller) is Condition.ALWAYS
            placed = await _find(self._lookups, hold_id, call, operating=operating)
            amount = None
            if request.amount:
                amount = money.parse_amount(request.amount, placed.currency, "amount")
            why = description or placed.description
            told = dataclasses.replace(origin, description=why)
            return Capture(told, placed, amount, request.keep_rest)

        return look_up()

    def answer(self, command: Capture, done: Done) -> hold_pb2.Capture:
        return convert.capture(done.movement)


class VoidInstructions:
    """Voids of holds.

    Args:
        lookups: What they refer to.
        rule: Who may.
    """

    def __init__(self, lookups: Lookups, rule: Rule) -> None:
        self._lookups = lookups
        self._rule = rule

    def read(
        self,
        request: hold_pb2.VoidHoldRequest,
        call: Call,
        checks: fields.Checks,
        default_id: SentId | None = None,
    ) -> Reading[Release]:
        hold_id = checks(fields.identifier, request.hold, "hold")
        reason = checks(fields.text, request, "reason")
        origin = checks(read_origin, request, call, reason, default_id)
        checks.finish()
        operating = self._rule.admit(call.caller) is Condition.ALWAYS
        asked = origin
        if operating:
            operator = call.actor if call.principal.role == Role.ADMIN else None
            asked = dataclasses.replace(origin, owner_id=None, operator=operator)

        async def look_up() -> Release:
            return Release(asked, await _find(self._lookups, hold_id, call, operating=operating))

        return look_up()

    def answer(self, command: Release, done: Done) -> hold_pb2.Hold:
        placed = command.hold
        # As the release left it, and as it then stays.
        captured_minor = placed.amount_minor - done.movement.amount_minor
        left = newly_placed(placed)._replace(captured_minor=captured_minor)
        return convert.hold(placed, left.released(HoldStatus.VOIDED))


async def _find(lookups: Lookups, hold_id: UUID, call: Call, *, operating: bool) -> Movement:
    """The movement that made a hold, if the caller may decide what becomes of it.

    Args:
        lookups: Where it is found.
        hold_id: The hold's id.
        call: Who asks.
        operating: Whether they may do so whoever made it.

    Raises:
        HoldNotFound: There is none, as far as the caller may know.
        PermissionMissing: The caller may read it alone.
    """
    placed = await lookups.movements.get(hold_id)
    if placed is None or placed.kind != Kind.HOLD:
        raise errors.HoldNotFound(str(hold_id))
    call.prove(Condition.MAKER)
    principal = call.principal
    if operating or principal.name == placed.principal:
        return placed
    payer = await lookups.accounts.get(placed.from_account_id)
    owner_id = payer.account.owner_id if payer else None
    if not principal.reads_all and owner_id != principal.user_id:
        raise errors.HoldNotFound(str(hold_id))
    raise errors.PermissionMissing(required=f"who made the hold, or scope {Scope.HOLDS_WRITE}")
