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


class Read(Protocol):
    """What a request means: a NamedTuple of values by the names of the request's fields."""

    def _asdict(self) -> dict[str, Any]: ...


Request = TypeVar("Request", bound=Message)
Asked = TypeVar("Asked", bound=Read)
Answer = TypeVar("Answer", bound=Message)


async def once(
    pool: Pool,
    request: Request,
    call: Call,
    read: Callable[[Request], Asked],
    act: Callable[[Connection, Asked], Awaitable[Answer]],
    answer_type: type[Answer],
) -> Answer:
    """Acts in one transaction, with the request id and the answer stored beside the change.

    A refusal undoes everything, the request id included, so that the same call may succeed later.

    Args:
        pool: Where the connection is from.
        request: A message with a `request_id`; without one, the call is simply new.
        call: Who asks.
        read: Checks a request and tells what it means; by itself, whatever is stored.
        act: Makes the change that was read on the connection it is given.
        answer_type: What `act` answers.

    Raises:
        InvalidFields: The request has invalid fields.
        IdempotencyKeyReused: The request id was used for another request.
    """
    sent: str = getattr(request, "request_id")  # noqa: B009 - any such message
    checks = fields.Checks()
    asked = checks(read, request)
    request_id = checks(fields.request_id, sent)
    checks.finish()
    async with transaction(pool) as conn:
        if request_id is None:
            return await act(conn, asked)
        principal = call.principal.name
        earlier = await idempotency.claim(
            conn, principal, request_id, call.method, _without_id(request), datetime.now(UTC)
        )
        if earlier is None:
            answer = await act(conn, asked)
            message = answer.SerializeToString()
            await idempotency.answer(conn, principal, request_id, message)
            return answer
    if earlier.method != call.method:
        raise errors.IdempotencyKeyReused(sent, ("method",))
    if differing := _differences(request, asked, type(request).FromString(earlier.request), read):
        raise errors.IdempotencyKeyReused(sent, tuple(differing))
    call.mark_replayed()
    return answer_type.FromString(earlier.answer)


def _without_id(request: Message) -> bytes:
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("request_id")
    return bare.SerializeToString(deterministic=True)


def _differences(
    request: Request, asked: Asked, earlier: Request, read: Callable[[Request], Asked]
) -> list[str]:
    """The fields in which two requests mean different things."""
    try:
        before = read(earlier)._asdict()
    except errors.Refusal:
        # It was right by the rules, or for the role, that its caller had then.
        names = [field.name for field in request.DESCRIPTOR.fields if field.name != "request_id"]
        return [name for name in names if getattr(earlier, name) != getattr(request, name)]
    return [name for name, value in asked._asdict().items() if before[name] != value]
