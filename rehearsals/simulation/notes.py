"""What a client of the simulation records of its requests."""

from uuid import UUID

from balance_service.calls.refusals import TABLE
from balance_service.domain import errors
from balance_service.domain.commands import Exchange, Settle, Transfer
from balance_service.domain.follow_up_commands import Place
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Done, Outcome
from rehearsals.operation import Operation

# What commands of clients may be refused for.
REFUSALS = (
    errors.InsufficientFunds,
    errors.AccountFrozen,
    errors.DebitLimitExceeded,
    errors.DailyLimitExceeded,
    errors.ReferenceReused,
    errors.QuoteUsed,
    errors.QuoteExpired,
    errors.BatchRefused,
    errors.ReversalTooLarge,
    errors.CaptureTooLarge,
    errors.HoldClosed,
    errors.HoldExpired,
)


def record(request: Request, now: float) -> list[Operation]:
    """An operation for each command of a request, of which every item is one."""
    operations = [
        Operation(
            "deposit" if isinstance(c, Settle) and c.kind == Kind.DEPOSIT else "debit",
            tuple(map(str, c.account_ids)),
            key(c.origin.request_id, c.origin.movement_id),
            now,
            amount_minor=_amount_minor(c),
        )
        for c in request.commands
    ]
    for chain in request.chains:
        for place in chain if len(chain) > 1 else ():
            operations[place].together = operations[chain.start].request_id
    return operations


def key(request_id: UUID | None, movement_id: UUID) -> str:
    """What names a request: its id, or its movement's where it has none and is sent once."""
    return str(request_id or movement_id)


def note(operation: Operation, outcome: Outcome, now: float) -> None:
    """Adds what became of an operation."""
    operation.returned = now
    if isinstance(outcome, Done):
        operation.outcome, operation.answer = "ok", str(outcome.movement.movement_id)
        return
    assert isinstance(outcome, REFUSALS), outcome
    operation.outcome = "refused"
    # A chain may be refused for a state that only its own commands would leave.
    if operation.together:
        return
    operation.reason = TABLE[type(outcome)].reason
    facts = outcome.facts()
    if "available" in facts:
        operation.available_minor = _minor(facts["available"])
    if "spent" in facts:
        operation.spent_minor = _minor(facts["spent"])


def _amount_minor(command: Command) -> int:
    """What a command may be refused for by a limit: a hold as what it is for."""
    intended = command.purpose if isinstance(command, Place) else command
    return intended.money.minor if isinstance(intended, Settle | Transfer | Exchange) else 0


def _minor(amount: str) -> int:
    return int(amount.replace(".", ""))
