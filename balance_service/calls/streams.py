"""Calls with a stream each way: requests are begun as they come, and answered in their order.

A stream has so many requests begun at most; then no more is read, and HTTP/2's flow control makes
its caller wait. So a caller who sends without end, or reads no answers, costs a bounded memory.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

from balance_service.domain import errors
from balance_service.domain.ledger import Outcome
from balance_service.ledger.queue import Answer

WINDOW = 256

Request = TypeVar("Request")


class Streams:
    """The streams of a worker, which end when it stops."""

    def __init__(self) -> None:
        self._reading: set[asyncio.Task[None]] = set()
        self._closed = False

    async def answers(
        self,
        requests: AsyncIterator[Request],
        begin: Callable[[Request], Awaitable[Answer]],
    ) -> AsyncGenerator[Outcome, None]:
        """An outcome for each request, in their order.

        Args:
            requests: As they come.
            begin: Starts to carry one out; a refusal that it raises is that request's outcome.

        Raises:
            Unavailable: The worker stops. What was read has been answered; another worker takes
                the rest.
        """
        if self._closed:
            raise errors.Unavailable
        begun: asyncio.Queue[Answer | errors.Refusal | None] = asyncio.Queue(WINDOW)
        reading = asyncio.create_task(_read(requests, begin, begun))
        self._reading.add(reading)
        try:
            while (one := await begun.get()) is not None:
                yield one if isinstance(one, errors.Refusal) else await _outcome(one)
            await asyncio.wait({reading})
            if reading.cancelled():
                raise errors.Unavailable
            reading.result()
        finally:
            self._reading.discard(reading)
            reading.cancel()
            while not begun.empty():
                one = begun.get_nowait()
                if isinstance(one, asyncio.Future):
                    one.cancel()

    def close(self) -> None:
        """Reads no more of any stream, and ends it once what was read is answered."""
        self._closed = True
        for reading in self._reading:
            reading.cancel()


async def _read(
    requests: AsyncIterator[Request],
    begin: Callable[[Request], Awaitable[Answer]],
    begun: "asyncio.Queue[Answer | errors.Refusal | None]",
) -> None:
    try:
        async for request in requests:
            try:
                one: Answer | errors.Refusal = await begin(request)
            except errors.Refusal as refusal:
                one = refusal
            await begun.put(one)
    finally:
        await begun.put(None)


async def _outcome(begun: Answer) -> Outcome:
    try:
        return (await begun)[0]
    except errors.Refusal as refusal:
        return refusal
