"""What threads do otherwise than asyncio does; `balance_client.aio.seam` is its twin."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeAlias, TypeVar

import grpc

from balance_client.errors import BalanceError
from balance_client.policy import ChannelOptions

Response = TypeVar("Response")
Item = TypeVar("Item")
Interceptor: TypeAlias = (
    grpc.UnaryUnaryClientInterceptor
    | grpc.UnaryStreamClientInterceptor
    | grpc.StreamUnaryClientInterceptor
    | grpc.StreamStreamClientInterceptor
)
Trailers = tuple[tuple[str, str | bytes], ...]

sleep = time.sleep
Mutex = threading.Lock


def open_channel(
    target: str,
    credentials: grpc.ChannelCredentials | None,
    options: ChannelOptions,
    interceptors: Sequence[Interceptor],
) -> Any:  # noqa: ANN401 - each kind of channel has a type of its own
    """A channel; without credentials, a plain one."""
    if credentials:
        channel = grpc.secure_channel(target, credentials, options)
    else:
        channel = grpc.insecure_channel(target, options)
    return grpc.intercept_channel(channel, *interceptors) if interceptors else channel


def send(method: Any, request: Any, **options: Any) -> tuple[Any, Trailers]:  # noqa: ANN401
    """The answer of a call, and its trailing metadata."""
    answered, call = method.with_call(request, **options)
    return answered, tuple(call.trailing_metadata() or ())


def begin(function: Callable[[], Item]) -> Item:
    """Calls a function."""
    return function()


def answer(function: Callable[[], tuple[Response, Trailers]]) -> Response:
    """The answer of a call."""
    answered, _ = function()
    return answered


class Run(Generic[Item]):
    """One run of a function for all who wait for it; it goes on when they stop waiting."""

    def __init__(self, function: Callable[[], Item]) -> None:
        self._future: Future[Item] = Future()
        # A daemon: a process may end without waiting for the service.
        threading.Thread(
            target=self._run, args=(function,), name="balance-client-token", daemon=True
        ).start()

    def _run(self, function: Callable[[], Item]) -> None:
        try:
            self._future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._future.set_exception(error)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._future.done()

    def wait(self, timeout_seconds: float) -> Item:
        """Its result.

        Raises:
            TimeoutError: It has not ended in time, or what the function raises.
        """
        return self._future.result(timeout_seconds)


def hides_status(error: BalanceError) -> bool:  # noqa: ARG001 - its twin needs it
    """Whether gRPC may have put an error of its own in place of what the service said: never."""
    return False


def iterate(items: Iterable[Item]) -> Iterator[Item]:
    """The items of an iterable."""
    return iter(items)
