"""Calls with a stream each way: requests are begun as they come, and answered in their order.

A stream has at most `WINDOW` requests begun. Then no more are read, and HTTP/2's flow control makes
the caller wait; so one who sends without end, or reads no answers, costs a bounded memory.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeAlias, TypeVar

from balance_service.domain import errors
from balance_service.domain.state import Outcome
from balance_service.ledger.turns import Answer

WINDOW = 256

Request = TypeVar("Request")
# A request that was begun, or the refusal that it got instead.
_Begun: TypeAlias = "Answer | errors.Refusal"
_Window: TypeAlias = "asyncio.Queue[_Begun | None]"


class Streams:
    """The streams of a worker, which end when it stops."""

    def __init__(self) -> None:
        self._readers: set[asyncio.Task[None]] = set()
        self._closed = False

    async def answers(
        self,
        requests: AsyncIterator[Request],
        begin: Callable[[Request], Awaitable[Answer]],
    ) -> AsyncGenerator[Outcome, None]:
        """Answers a stream: an outcome for each request, in their order.

        Args:
            requests: The requests, as they come.
            begin: Starts to carry one out; a refusal that it raises is that request's outcome.

        Raises:
            Unavailable: The worker stops. What was read has been answered; another worker takes
                the rest.
        """
        if self._closed:
            raise errors.Unavailable
        window: _Window = asyncio.Queue(WINDOW)
        reader = asyncio.create_task(_read(requests, begin, window))
        self._readers.add(reader)
        try:
            while (begun := await window.get()) is not None:
                yield await _outcome(begun)
            await asyncio.wait({reader})
            if reader.cancelled():
                raise errors.Unavailable
            reader.result()
        finally:
            self._readers.discard(reader)
            reader.cancel()
            # Nobody waits for these any more, so that the queue may drop them.
            while not window.empty():
                begun = window.get_nowait()
                if isinstance(begun, asyncio.Future):
                    begun.cancel()

    def close(self) -> None:
        """Reads no more of any stream, and ends each once what was read is answered."""
        self._closed = True
        for reader in self._readers:
            reader.cancel()


async def _read(
    requests: AsyncIterator[Request],
    begin: Callable[[Request], Awaitable[Answer]],
    window: _Window,
) -> None:
    """Begins the requests of a stream, and ends with a None, also when it is cancelled."""
    try:
        async for request in requests:
            try:
                begun: _Begun = await begin(request)
            except errors.Refusal as refusal:
                begun = refusal
            await window.put(begun)
    finally:
        await window.put(None)


async def _outcome(begun: _Begun) -> Outcome:
    if isinstance(begun, errors.Refusal):
        return begun
    try:
        return (await begun)[0]
    except errors.Refusal as refusal:
        return refusal
