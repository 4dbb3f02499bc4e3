"""gRPC on any ASGI server that has HTTP/2 and trailers: heads and frames in front of methods.

Nothing here knows which server that is, or what a method does.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import grpc
import structlog
from starlette.types import Receive, Scope, Send

from balance_service.calls.call import Metadata
from balance_service.server.wire import heads
from balance_service.server.wire.answers import Answer, shielded
from balance_service.server.wire.frames import Failure, Gone, Requests
from balance_service.telemetry import metrics

Code = grpc.StatusCode
Write: TypeAlias = Callable[[bytes], Awaitable[None]]

# A call that takes longer is watched, so that its work ends if its caller goes. Most are answered
# before that even under load, for watching costs as much as a short call.
WATCHED_AFTER_SECONDS = 0.5

_log = structlog.get_logger()


@dataclass(slots=True)
class Context:
    """What a method learns about a call, and what it sends besides its answer.

    Args:
        codec: How messages are written.
        metadata: The caller's metadata.
        timeout_seconds: How long the caller waits; None for ever.
        peer: The address of the caller's connection.
        trailers: Metadata sent after the answer.
    """

    codec: str
    metadata: Metadata
    timeout_seconds: float | None
    peer: str = ""
    trailers: Mapping[str, str] = field(default_factory=dict)


class Method(Protocol):
    """Answers calls; it raises Failure to refuse one."""

    requests_many: bool
    answers_many: bool

    async def unary(self, request: Any, context: Context) -> bytes:  # noqa: ANN401 - see below
        """One answer to a request, which is bytes, or an iterator of bytes if there are many."""

    async def stream(self, request: Any, context: Context, write: Write) -> None:  # noqa: ANN401
        """Many answers, each written in turn; a write waits while the caller does not read."""


Find: TypeAlias = Callable[[str], Method | None]


class Grpc:
    """Answers gRPC's requests: an ASGI application.

    Args:
        find: The method of a path, such as `/balance.v1.AccountService/GetAccount`.
        message_bytes_max: The size beyond which a request is refused.
    """

    def __init__(self, find: Find, message_bytes_max: int) -> None:
        self._find = find
        self._message_bytes_max = message_bytes_max
        self._young = _YoungCalls()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not heads.is_grpc(scope["headers"]):
            await _refuse_http(send, 415, [(b"accept", heads.MEDIA_TYPE)])
            return
        if scope["method"] != "POST":
            await _refuse_http(send, 405, [(b"allow", b"POST")])
            return
        try:
            head = heads.read(scope["headers"])
            head.peer = (scope.get("client") or ("",))[0]
            method = self._find(scope["path"])
            if method is None:
                metrics.unknown_method_called()
                raise Failure(Code.UNIMPLEMENTED, "Method not found!")
        except Failure as failure:
            await Answer(send, heads.MEDIA_TYPE).fail(failure)
            return
        requests = Requests(receive, head.encoding, self._message_bytes_max)
        await _Call(method, head, requests, receive, send).run(self._young)


class _YoungCalls:
    """Calls that are not watched yet, oldest first: one timer for all of them.

    A timer for each would cost more than most of the calls take to be read.
    """

    def __init__(self) -> None:
        self._since: dict[_Call, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: "_Call") -> None:
        loop = asyncio.get_running_loop()
        self._since[call] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(WATCHED_AFTER_SECONDS, self._look)

    def discard(self, call: "_Call") -> None:
        self._since.pop(call, None)

    def _look(self) -> None:
        """Has those watched that are old enough."""
        loop = asyncio.get_running_loop()
        self._timer = None
        for call, since in list(self._since.items()):
            due_at = since + WATCHED_AFTER_SECONDS
            if due_at > loop.time():
                self._timer = loop.call_at(due_at, self._look)
                break
            del self._since[call]
            call.watch(since)


class _Call:
    """One call, from its first request to its status.

    Its deadline, a caller who goes or a malformed request ends it wherever its method is: the task
    that runs it is cancelled, and `_ended` says why. One answer is sent without that: the server
    ends the sending when the caller goes, and cancelling could only come too late.
    """

    def __init__(
        self, method: Method, head: heads.Head, requests: Requests, receive: Receive, send: Send
    ) -> None:
        self._method = method
        self._head = head
        self._requests = requests
        self._receive = receive
        self._answer = Answer(shielded(send) if method.answers_many else send, head.media_type)
        self._context = Context(head.codec, head.metadata, head.timeout_seconds, head.peer)
        self._ended: Failure | Gone | None = None
        self._answered = False
        self._task = asyncio.current_task()
        self._watching: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    async def run(self, young: _YoungCalls) -> None:
        """Runs the call.

        Args:
            young: Has it watched once it has taken long.
        """
        seconds = self._head.timeout_seconds
        young.add(self)
        if seconds is not None and seconds < WATCHED_AFTER_SECONDS:
            self._set_deadline(asyncio.get_running_loop().time() + seconds)
        try:
            ended = _deadline_passed() if seconds == 0 else await self._run_to_end()
        finally:
            young.discard(self)
            if self._deadline:
                self._deadline.cancel()
            if self._watching:
                self._watching.cancel()
        if isinstance(ended, Failure):
            await self._answer.fail(ended)

    def watch(self, since: float) -> None:
        """Ends the call from now on when its caller goes or its deadline passes.

        Args:
            since: When it began, by the event loop's clock.
        """
        self._watching = asyncio.create_task(self._wait_until_gone())
        if self._head.timeout_seconds is not None and self._deadline is None:
            self._set_deadline(since + self._head.timeout_seconds)

    def _set_deadline(self, moment: float) -> None:
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_at(moment, self._end, _deadline_passed())

    async def _run_to_end(self) -> Failure | Gone | None:
        """Runs the call; returns why it ended before its answer did, if so."""
        try:
            await self._run()
        except (Failure, Gone) as ended:
            return ended
        except asyncio.CancelledError as error:
            if self._ended is None:
                return self._cancelled_elsewhere(error)
            if self._task:
                self._task.uncancel()
            return self._ended
        except Exception:  # noqa: BLE001 - a fault of ours
            _log.exception("grpc_failed")
            return Failure(Code.INTERNAL, "Internal error.")
        return None

    def _cancelled_elsewhere(self, error: asyncio.CancelledError) -> Failure:
        """How a call ends that awaited what others cancelled; one that is cancelled itself raises.

        The server would reset such a call, and its caller be told INTERNAL without a reason.
        """
        if self._task and self._task.cancelling():
            raise error
        _log.error("grpc_failed", exc_info=error)
        return Failure(Code.INTERNAL, "Internal error.")

    async def _run(self) -> None:
        method, context = self._method, self._context
        request: bytes | AsyncIterator[bytes]
        request = self._read_many() if method.requests_many else await self._requests.read_one()
        if method.answers_many:
            await method.stream(request, context, self._answer.write)
            await self._answer.end(context.trailers)
        else:
            message = await method.unary(request, context)
            self._answered = True
            await self._answer.send_one(message, context.trailers)

    async def _read_many(self) -> AsyncIterator[bytes]:
        """The requests, for a method that takes many; what is wrong with one ends the call."""
        try:
            while (request := await self._requests.read_next()) is not None:
                yield request
        except (Failure, Gone) as ended:
            self._end(ended)
            # The iterating method is not to handle this: the cancelled call ends it here.
            await asyncio.get_running_loop().create_future()

    def _end(self, why: Failure | Gone) -> None:
        if self._ended is None and self._task and not self._answered:
            self._ended = why
            self._task.cancel()

    async def _wait_until_gone(self) -> None:
        while not self._requests.ended:  # noqa: ASYNC110 - rarely for long
            # Until all requests are read, their reader learns that the caller went.
            await asyncio.sleep(WATCHED_AFTER_SECONDS)
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._end(Gone())


def _deadline_passed() -> Failure:
    return Failure(Code.DEADLINE_EXCEEDED, "Deadline Exceeded")


async def _refuse_http(send: Send, status: int, headers: heads.Headers) -> None:
    """Refuses what is not gRPC with an HTTP status and no body."""
    start = {"type": "http.response.start", "status": status, "headers": headers}
    await send({**start, "headers": [*headers, (b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
