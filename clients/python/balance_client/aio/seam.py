"""What asyncio does otherwise than threads do; `balance_client.sync.seam` is its twin."""

import asyncio
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Sequence,
)
from typing import Any, Generic, TypeAlias, TypeVar

import grpc

from balance_client.errors import BalanceError
from balance_client.policy import ChannelOptions

Response = TypeVar("Response")
Item = TypeVar("Item")
AsyncInterceptor: TypeAlias = grpc.aio.ClientInterceptor
Trailers = tuple[tuple[str, str | bytes], ...]

sleep = asyncio.sleep
Mutex = asyncio.Lock
_WRITE_FAILED = "Internal error from Core"
# The event loop itself holds tasks weakly.
_running: set[asyncio.Task[Any]] = set()


def open_channel(
    target: str,
    credentials: grpc.ChannelCredentials | None,
    options: ChannelOptions,
    interceptors: Sequence[AsyncInterceptor],
) -> Any:  # noqa: ANN401 - each kind of channel has a type of its own
    """A channel; without credentials, a plain one."""
    if credentials:
        return grpc.aio.secure_channel(target, credentials, options, interceptors=interceptors)
    return grpc.aio.insecure_channel(target, options, interceptors=interceptors)


async def send(method: Any, request: Any, **options: Any) -> tuple[Any, Trailers]:  # noqa: ANN401
    """The answer of a call, and its trailing metadata."""
    call = method(request, **options)
    return await call, tuple(await call.trailing_metadata() or ())


def begin(function: Callable[[], Coroutine[Any, Any, Item]]) -> asyncio.Task[Item]:
    """Begins a function whose result is awaited later, or never."""
    task = asyncio.create_task(function())
    _running.add(task)
    task.add_done_callback(_end)
    return task


def _end(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()  # Asked for, or asyncio logs it when nobody waits.


class AsyncAnswer(Generic[Response]):
    """A call under way: await it for its answer."""

    def __init__(self, sending: asyncio.Task[tuple[Response, Trailers]]) -> None:
        self._sending = sending

    def __await__(self) -> Generator[Any, None, Response]:
        answer, _ = yield from self._sending.__await__()
        return answer

    async def trailing_metadata(self) -> Trailers:
        """What the service said besides, such as `idempotency-replayed`."""
        _, trailers = await self._sending
        return trailers

    def cancel(self) -> None:
        """Ends the call from this side."""
        self._sending.cancel()


def answer(
    function: Callable[[], Coroutine[Any, Any, tuple[Response, Trailers]]],
) -> AsyncAnswer[Response]:
    """Begins a call."""
    return AsyncAnswer(begin(function))


class AsyncRun(Generic[Item]):
    """One run of a function for all who wait for it; it goes on when they stop waiting."""

    def __init__(self, function: Callable[[], Coroutine[Any, Any, Item]]) -> None:
        self._task = begin(function)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._task.done()

    async def wait(self, timeout_seconds: float) -> Item:
        """Its result.

        Raises:
            TimeoutError: It has not ended in time.
            BalanceError: Its client was closed meanwhile, or what the function raises.
        """
        await asyncio.wait([self._task], timeout=timeout_seconds)
        if not self._task.done():
            raise TimeoutError
        if self._task.cancelled():
            raise BalanceError(grpc.StatusCode.CANCELLED, "The client was closed.")
        return self._task.result()


def hides_status(error: BalanceError) -> bool:
    """Whether gRPC may have put an error of its own in place of what the service said.

    It does when a stream is ended while a request is being written (grpc/grpc#36066).
    """
    return error.code() == grpc.StatusCode.INTERNAL and error.message == _WRITE_FAILED


def iterate(items: AsyncIterable[Item] | Iterable[Item]) -> AsyncIterator[Item]:
    """The items of either kind of iterable."""
    return aiter(items) if isinstance(items, AsyncIterable) else _Iterated(items)


class _Iterated(AsyncIterator[Item]):
    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)

    async def __anext__(self) -> Item:
        try:
            return next(self._items)
        except StopIteration:
            raise StopAsyncIteration from None
