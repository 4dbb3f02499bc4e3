"""The requests of a stream, kept until they need not be sent again."""

from collections.abc import AsyncIterator, Callable
from typing import Generic, Self, TypeVar

from google.protobuf.message import Message

from balance_client.aio.seam import Mutex

Request = TypeVar("Request", bound=Message)


class AsyncRequests(Generic[Request]):
    """A stream's requests, which can be sent from the first that has no answer again.

    A call that has ended may still be waiting for the next request; what it gets is for its
    successor.

    Args:
        source: Where they come from.
        prepare: What is done to each before it is first sent.
    """

    def __init__(
        self,
        source: AsyncIterator[Request],
        prepare: Callable[[Request], Request] = lambda request: request,
    ) -> None:
        self._source = source
        self._prepare = prepare
        # By the place in the source.
        self._kept: dict[int, Request] = {}
        self._first = 0
        self._taken = 0
        self._settled = False
        self._calls = 0
        self._mutex = Mutex()

    def from_the_first(self) -> "_FromTheFirst[Request]":
        """All requests without an answer, for a new call."""
        self._calls += 1
        return _FromTheFirst(self, self._calls, self._first)

    def settle(self) -> None:
        """There will be no other call, so that requests need not be kept."""
        self._settled = True

    def answered(self) -> Request:
        """The first request without an answer, which has one now."""
        request = self._kept.pop(self._first)
        self._first += 1
        return request

    async def at(self, place: int, call: int) -> Request:
        """The request at a place in the source, for a call.

        Raises:
            StopAsyncIteration: There are no more, or another call has begun.
        """
        # Found without the mutex, which is held while the source is waited for.
        if call == self._calls and (kept := self._kept.get(place)) is not None:
            return kept
        async with self._mutex:
            if call != self._calls:
                raise StopAsyncIteration
            if (kept := self._kept.get(place)) is not None:
                return kept
            request = self._prepare(await anext(self._source))
            if not self._settled or call != self._calls:
                self._kept[self._taken] = request
            self._taken += 1
            return request


class _FromTheFirst(Generic[Request]):
    """The requests of one call.

    No generator: gRPC drops what it iterates over while it waits for the next, and a generator that
    is dropped while it runs is reported as an error.
    """

    def __init__(self, requests: AsyncRequests[Request], call: int, place: int) -> None:
        self._requests = requests
        self._call = call
        self._place = place

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Request:
        request = await self._requests.at(self._place, self._call)
        self._place += 1
        return request
