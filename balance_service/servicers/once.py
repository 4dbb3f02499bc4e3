"""Carries out a call that moves no money once for a request id, and answers repeats the same."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.message import Message

from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors
from balance_service.repositories import requests
from balance_service.servicers import fields

Answer = TypeVar("Answer", bound=Message)


async def once(
    pool: Pool,
    request: Message,
    call: Call,
    answer_type: type[Answer],
    act: Callable[[Connection], Awaitable[Answer]],
) -> Answer:
    """Acts in one transaction, with the request id and the answer stored beside the change.

    A refusal undoes everything, the request id included, so that the same call may succeed later.

    Args:
        pool: Where the connection is from.
        request: A message with a `request_id`; without one, the call is simply new.
        call: Who asks.
        answer_type: What `act` answers.
        act: Makes the change on the connection it is given.

    Raises:
        IdempotencyKeyReused: The request id was used for another request.
    """
    request_id = fields.request_id(getattr(request, "request_id"))  # noqa: B009 - any such message
    async with transaction(pool) as conn:
        if request_id is None:
            return await act(conn)
        bare = _without_id(request)
        principal = call.principal.name
        earlier = await requests.claim(
            conn, principal, request_id, call.method, bare, datetime.now(UTC)
        )
        if earlier is None:
            answer = await act(conn)
            message = answer.SerializeToString()
            await requests.answer(conn, principal, request_id, message)
            return answer
    if differing := _differences(request, call.method, earlier):
        raise errors.IdempotencyKeyReused(str(request_id), tuple(differing))
    call.mark_replayed()
    return answer_type.FromString(earlier.answer)


def _without_id(request: Message) -> bytes:
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("request_id")
    return bare.SerializeToString(deterministic=True)


def _differences(request: Message, method: str, earlier: requests.Answered) -> list[str]:
    if earlier.method != method:
        return ["method"]
    first = type(request).FromString(earlier.request)
    names = [field.name for field in request.DESCRIPTOR.fields if field.name != "request_id"]
    return [name for name in names if getattr(first, name) != getattr(request, name)]
