"""BatchService: movements of several kinds in one call, and chains of them."""

from collections.abc import Iterable, Iterator
from uuid import UUID

from google.rpc import status_pb2

from balance_service._generated.balance.v1 import batch_pb2
from balance_service.calls.call import Call
from balance_service.domain import errors
from balance_service.domain.principals import Scope
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Done, How
from balance_service.messages import fields
from balance_service.messages.answer_room import AnswerRoom
from balance_service.messages.instructions.all_kinds import AllInstructions
from balance_service.messages.instructions.items import Item, read_items, tell
from balance_service.messages.origin import read_sent_id
from balance_service.messages.submission import Submission

_MOVING = [scope for scope in Scope if not scope.startswith(("accounts:", "users:"))]
_KINDS = batch_pb2.CreateMovementRequest.DESCRIPTOR.oneofs_by_name["movement"].fields
# The outcome's field for an answer, by the answer's type.
_OUTCOMES = {
    field.message_type: field.name
    for field in batch_pb2.MovementOutcome.DESCRIPTOR.oneofs_by_name["outcome"].fields
}


class BatchServicer:
    """Makes movements together.

    Args:
        submission: Takes commands to the ledger.
        instructions: How items of every kind are read and answered.
    """

    service = batch_pb2.DESCRIPTOR.services_by_name["BatchService"]

    def __init__(self, submission: Submission, instructions: AllInstructions) -> None:
        self._submission = submission
        self._instructions = instructions

    async def BatchCreateMovements(
        self, request: batch_pb2.BatchCreateMovementsRequest, call: Call
    ) -> batch_pb2.BatchCreateMovementsResponse:
        principal = call.principal
        if principal.user_id is None:
            principal.require_scope(*_MOVING)

        checks = fields.Checks()
        checks(fields.check_count, request, "requests")
        batch_id = checks(read_sent_id, request)
        checks.finish()
        _check_shape(request)
        self._submission.check_room(len(request.requests), call)
        items = [self._item(each) for each in request.requests]
        commands = await read_items(items, call, batch_id)

        linked = frozenset(place for place, each in enumerate(request.requests) if each.linked)
        together = Request(
            tuple(commands), request.all_or_nothing, linked, validate_only=request.validate_only
        )
        outcomes = await self._submission.submit(together, call)

        told = zip(items, commands, tell(outcomes, call.language), strict=True)
        return batch_pb2.BatchCreateMovementsResponse(outcomes=_convert_outcomes(told))

    def _item(self, item: batch_pb2.CreateMovementRequest) -> Item:
        name = item.WhichOneof("movement")
        assert name, "checked before"
        return Item(getattr(self._instructions, name), getattr(item, name))


def _check_shape(request: batch_pb2.BatchCreateMovementsRequest) -> None:
    """Refuses a batch that is none: what it would come to does not depend on its items alone.

    Raises:
        InvalidFields: An item asks for nothing, two have one request id, or a chain has no end.
    """
    checks = fields.Checks()
    by_id: dict[UUID, int] = {}
    for place, item in enumerate(request.requests):
        name = item.WhichOneof("movement")
        if name is None:
            choices = ", ".join(field.name for field in _KINDS)
            checks.refuse(f"requests[{place}]", f"must have one of {choices}")
            continue
        request_id = _read_id(getattr(item, name).request_id)
        if request_id and (first := by_id.setdefault(request_id, place)) != place:
            field = f"requests[{place}].{name}.request_id"
            checks.refuse(field, f"must not be that of requests[{first}]")
    last = len(request.requests) - 1
    if request.requests[last].linked:
        checks.refuse(f"requests[{last}].linked", "must be false: nothing follows the last item")
    checks.finish()


def _read_id(text: str) -> UUID | None:
    """The request id of an item; None if it has none, or one for which it will be refused."""
    try:
        return fields.request_id(text)
    except errors.InvalidFields:
        return None


def _convert_outcomes(
    told: Iterable[tuple[Item, Command | errors.Refusal, Done | status_pb2.Status]],
) -> Iterator[batch_pb2.MovementOutcome]:
    room = AnswerRoom()
    for item, command, outcome in told:
        if isinstance(outcome, status_pb2.Status):
            yield batch_pb2.MovementOutcome(error=outcome)
            continue
        answer = room.fit(item.instructions.answer(command, outcome))
        yield batch_pb2.MovementOutcome(
            **{_OUTCOMES[answer.DESCRIPTOR]: answer}, replayed=outcome.how == How.REPLAYED
        )
