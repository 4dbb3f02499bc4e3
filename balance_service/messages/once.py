"""Carries out a call that moves no money once for a request id, and answers repeats the same.

Whether a repeat is the same request is decided by what was read of both, not by how they were
spelled: an id in capitals, a default written out or a mask in another order is the same, as it is
for the calls that move money. The request is stored as it was sent and read again when it is
repeated, so a rule that changes meanwhile reads both alike.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors
from balance_service.messages import fields
from balance_service.repositories import idempotency


class Values(Protocol):
    """What a request means: a NamedTuple of values by the names of the request's fields."""

    def _asdict(self) -> dict[str, Any]: ...


Request = TypeVar("Request", bound=Message)
ReadValues = TypeVar("ReadValues", bound=Values)
Answer = TypeVar("Answer", bound=Message)


async def once(
    pool: Pool,
    request: Request,
    call: Call,
    *,
    read: Callable[[Request], ReadValues],
    act: Callable[[Connection, ReadValues], Awaitable[Answer]],
    answer_type: type[Answer],
) -> Answer:
    """Reads, acts and answers in one transaction, which also stores the request id and the answer.

    A refusal undoes everything, the request id included, so that the same call may succeed later.

    Args:
        pool: Where the connection is from.
        request: A message with a `request_id`; without one, the call is simply new. With
            `validate_only`, everything is rolled back, and answered as if it were not.
        call: Who asks.
        read: Checks a request and tells what it means; by itself, whatever is stored.
        act: Makes the change that was read on the connection it is given, and answers it.
        answer_type: What `act` answers, to read a stored answer by.

    Raises:
        InvalidFields: The request has invalid fields.
        IdempotencyKeyReused: The request id was used for another request.
    """
    sent_id: str = getattr(request, "request_id")  # noqa: B009 - any such message
    checks = fields.Checks()
    values = checks(read, request)
    request_id = checks(fields.request_id, sent_id)
    checks.finish()
    rehearsal: bool = getattr(request, "validate_only")  # noqa: B009 - as above
    async with transaction(pool, rehearsal=rehearsal) as conn:
        if request_id is None:
            return await act(conn, values)
        principal = call.principal.name
        earlier = await idempotency.claim(
            conn, principal, request_id, call.method, without_id(request), datetime.now(UTC)
        )
        if earlier is None:
            answer = await act(conn, values)
            message = answer.SerializeToString()
            await idempotency.answer(conn, principal, request_id, message)
            return answer
    if earlier.method != call.method:
        raise errors.IdempotencyKeyReused(sent_id, ("method",))
    earlier_request = type(request).FromString(earlier.request)
    if names := differing_fields(request, values, earlier_request, read):
        raise errors.IdempotencyKeyReused(sent_id, tuple(names))
    call.mark_replayed()
    return answer_type.FromString(earlier.answer)


def without_id(request: Message) -> bytes:
    """A request as it is kept: what it asks for, whatever its id."""
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("request_id")
    return bare.SerializeToString(deterministic=True)


def differing_fields(
    request: Request,
    values: ReadValues,
    earlier: Request,
    read: Callable[[Request], ReadValues],
) -> list[str]:
    """The fields in which two requests mean different things."""
    try:
        earlier_values = read(earlier)._asdict()
    except errors.Refusal:
        # It was right by the rules, or for the role, that its caller had then: only the spelling is
        # left to compare.
        asked = (field.name for field in request.DESCRIPTOR.fields)
        names = [name for name in asked if name not in ("request_id", "validate_only")]
        return [name for name in names if getattr(earlier, name) != getattr(request, name)]
    return [name for name, value in values._asdict().items() if earlier_values[name] != value]
