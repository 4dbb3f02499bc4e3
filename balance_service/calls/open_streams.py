"""The streams that are open, so that one ends whose caller may not call any more.

A stream is checked with each message. One that waits for its next message, perhaps for hours, is
ended where it waits.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from balance_service.calls.call import Call
from balance_service.domain import errors

T = TypeVar("T")


@dataclass(slots=True)
class _Stream:
    """A stream that is open.

    Args:
        waiting: The task that waits for its next message; None while there is none.
        ended: Why it was ended.
    """

    waiting: asyncio.Task[Any] | None = None
    ended: errors.Refusal | None = None


class OpenStreams:
    """The streams of a worker."""

    def __init__(self) -> None:
        self._streams: dict[int, tuple[Call, _Stream]] = {}

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def open(self) -> Sequence[Call]:
        """The calls whose streams are open and whose caller showed a token."""
        return [call for call, _ in self._streams.values() if call.tokens]

    async def watched(
        self, call: Call, messages: AsyncGenerator[T, None]
    ) -> AsyncGenerator[T, None]:
        """The messages of a stream, until it is ended.

        Args:
            call: Its call.
            messages: Closed at the end.

        Raises:
            Refusal: The reason that `end` was given.
        """
        stream = _Stream()
        self._streams[id(call)] = call, stream
        try:
            while True:
                try:
                    yield await _next(messages, stream)
                except StopAsyncIteration:
                    return
        finally:
            del self._streams[id(call)]
            await messages.aclose()

    def end(self, call: Call, why: errors.Refusal) -> None:
        """Ends a stream, if it waits for its next message; otherwise that one is checked."""
        _, stream = self._streams[id(call)]
        if stream.waiting and stream.ended is None:
            stream.ended = why
            stream.waiting.cancel()


async def _next(messages: AsyncGenerator[T, None], stream: _Stream) -> T:
    stream.waiting = asyncio.current_task()
    try:
        return await anext(messages)
    except asyncio.CancelledError:
        if stream.ended is None or stream.waiting is None:
            raise
        stream.waiting.uncancel()
        raise stream.ended from None
    finally:
        stream.waiting = None
