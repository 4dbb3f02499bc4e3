"""What operators do by movements, for the audit log; the journal has each movement in full."""

from collections.abc import Iterable

from balance_service.domain import money
from balance_service.domain.audit import Action, AuditEvent, yes_or_no
from balance_service.domain.follow_up_commands import Reverse
from balance_service.domain.movements import Movement
from balance_service.domain.requests import Command


def select(commands: Iterable[Command]) -> list[Command]:
    """The commands that are asked for with an admin's rights."""
    return [command for command in commands if command.origin.operator]


def events(commands: Iterable[Command], movements: Iterable[Movement]) -> list[AuditEvent]:
    """What some commands of operators have done.

    Args:
        commands: As `select` has them.
        movements: Those that are new.
    """
    made = {movement.movement_id: movement for movement in movements}
    return [
        _event(command, made[command.origin.movement_id])
        for command in commands
        if command.origin.movement_id in made
    ]


def _event(command: Command, movement: Movement) -> AuditEvent:
    actor = command.origin.operator
    assert actor is not None, "selected so"
    action = Action.HOLD_VOIDED
    after = {"original": str(movement.original_id)}
    if isinstance(command, Reverse):
        action = Action.MOVEMENT_REVERSED
        after["amount"] = money.format_minor(movement.amount_minor, movement.currency)
        after["currency"] = movement.currency
        after["force"] = yes_or_no(value=command.forced)
    target = f"movement:{movement.movement_id}"
    return AuditEvent(action, actor, target, after=after, reason=movement.description)
