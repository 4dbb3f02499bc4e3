"""The items of a batch: all are read at once, and what became of each is told within bounds."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from google.rpc import status_pb2

from balance_service.calls.access import Condition, Rule
from balance_service.calls.call import Call
from balance_service.calls.refusals import status
from balance_service.domain import errors, ids
from balance_service.domain.requests import Command
from balance_service.domain.state import Done, Outcome
from balance_service.messages import fields
from balance_service.messages.instructions.kind import Instructions, Reading
from balance_service.messages.origin import MovingRequest, SentId

# A batch of a thousand items could otherwise be refused in 4 MB.
REFUSALS_BYTES_MAX = 1 << 18


class Item(NamedTuple):
    """One item of a batch.

    Args:
        instructions: How requests of its kind are read.
        request: The request.
        rule: Who may make the call that it stands for; None where the batch's own rule says that.
    """

    instructions: Instructions[Any, Any, Any]
    request: MovingRequest
    rule: Rule | None = None


async def read_items(
    items: Iterable[Item], call: Call, batch_id: SentId | None
) -> Sequence[Command | errors.Refusal]:
    """Reads the items of a batch; what one is refused for is its own outcome.

    Args:
        items: In the order of the batch.
        call: Who asks.
        batch_id: What the ids of items that have none are made of, if the batch has one.
    """
    call.prove(Condition.ITEMS)
    read: list[Command | errors.Refusal | None] = []
    look_ups: dict[int, Coroutine[Any, Any, Command]] = {}
    for place, item in enumerate(items):
        begun = _begin(item, call, place, batch_id)
        if isinstance(begun, Coroutine):
            look_ups[place] = begun
            read.append(None)
        else:
            read.append(begun)
    # They come at one time, and so share queries.
    found = await asyncio.gather(*map(_finish, look_ups.values()))
    for place, command in zip(look_ups, found, strict=True):
        read[place] = command
    return [each for each in read if each is not None]


def item_id(batch_id: SentId, place: int) -> SentId:
    """The request id of an item that has none of its own."""
    return SentId(ids.derived_id(f"item {place}", batch_id.request_id), batch_id.text)


def tell(outcomes: Iterable[Outcome], language: str) -> Iterator[Done | status_pb2.Status]:
    """The outcomes of a batch; once its refusals are large, each names one violation alone."""
    room = REFUSALS_BYTES_MAX
    for outcome in outcomes:
        if not isinstance(outcome, errors.Refusal):
            yield outcome
            continue
        if room < 0 and isinstance(outcome, errors.InvalidFields):
            first, *others = outcome.violations
            outcome = errors.InvalidFields((first,), outcome.more + len(others))  # noqa: PLW2901
        error = status(outcome, language)
        room -= error.ByteSize()
        yield error


def _begin(
    item: Item, call: Call, place: int, batch_id: SentId | None
) -> Reading[Command] | errors.Refusal:
    instructions, request, rule = item
    checks = fields.Checks()
    if request.validate_only:
        checks.refuse("validate_only", "is of the whole batch")
    default_id = item_id(batch_id, place) if batch_id and not request.request_id else None
    try:
        if rule:
            rule.admit(call.caller)
        return instructions.read(request, call, checks, default_id)
    except errors.Refusal as refusal:
        return refusal


async def _finish(reading: Coroutine[Any, Any, Command]) -> Command | errors.Refusal:
    try:
        return await reading
    except errors.Refusal as refusal:
        return refusal
