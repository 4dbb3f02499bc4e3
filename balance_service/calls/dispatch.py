"""Every call, whichever door it came in by: who calls, how long, refusals to statuses, the log.

There is no gRPC interceptor, for each would cost every call a share of the event loop.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import structlog
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2, status_pb2

from balance_service.auth.tokens import Tokens
from balance_service.calls import refusals
from balance_service.calls.call import Call, Metadata, from_metadata
from balance_service.calls.methods import Method
from balance_service.domain import errors, retry_after
from balance_service.repositories import failures

_log = structlog.get_logger()

# A request of a method's type, or its bytes on the wire.
Request: TypeAlias = Message | bytes
# A servicer's method; its types are those of the RPC that has its name.
Handler: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call answered.

    Args:
        message: The answer.
        trailers: What was said besides, such as `x-request-id`.
    """

    message: Message
    trailers: Mapping[str, str]


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """A call was refused or failed.

    Args:
        status: Why.
        trailers: As of an answer.
    """

    def __init__(self, status: status_pb2.Status, trailers: Mapping[str, str]) -> None:
        super().__init__(status.message)
        self.status = status
        self.trailers = trailers


class Servicer(Protocol):
    """Answers the methods of one service.

    It has for each a method of its name, which takes the request, or an iterator of requests, and
    the Call.
    """

    service: ServiceDescriptor


class Calls:
    """The methods of all servicers, each surrounded by what every call needs.

    Args:
        tokens: Verifies callers.
        calls_max: How many unary calls may be under way before more are refused.
    """

    def __init__(self, tokens: Tokens, calls_max: int) -> None:
        self.serving = False
        self._tokens = tokens
        self._calls_max = calls_max
        self._under_way = 0
        self._services: list[ServiceDescriptor] = []
        self._handlers: dict[str, Handler] = {}

    def add(self, servicer: Servicer) -> None:
        """Has a servicer answer the methods of its service.

        Raises:
            AttributeError: It lacks one.
        """
        for descriptor in servicer.service.methods:
            method = Method(descriptor)
            self._handlers[method.full_name] = getattr(servicer, descriptor.name)
        self._services.append(servicer.service)

    @property
    def services(self) -> Collection[ServiceDescriptor]:
        """The services that are answered."""
        return tuple(self._services)

    async def serves(self) -> bool:
        """Whether this worker can answer, as its health says."""
        return self.serving

    async def admit(self, method: Method, metadata: Metadata) -> None:
        """Verifies a caller before anything else of the request is read.

        Raises:
            Refused: The method needs a token and there is none, or it is not good.
        """
        started = time.perf_counter()
        call = from_metadata(method.full_name, metadata, None)
        try:
            await self._admit(method, call)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status
            raise _refused(call, error, started) from None

    async def unary(
        self, method: Method, request: Request, metadata: Metadata, timeout_seconds: float | None
    ) -> Answer:
        """Answers a call.

        Args:
            method: What is called.
            request: Its bytes are read only once the caller is known.
            metadata: What the caller said besides.
            timeout_seconds: How long the caller waits; None for ever.

        Raises:
            Refused: It was refused, or failed.
        """
        started = time.perf_counter()
        call = from_metadata(method.full_name, metadata, timeout_seconds)
        self._under_way += 1
        try:
            if self._under_way > self._calls_max:
                raise errors.Overloaded(retry_after.OVERLOADED_SECONDS)
            await self._admit(method, call)
            handler = self._handlers[method.full_name]
            message: Message = await handler(_read(method, request, call), call)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status
            raise _refused(call, error, started) from None
        finally:
            self._under_way -= 1
        _record(_log.debug, "call", call, started, code="OK")
        return Answer(message, _trailers(call))

    async def stream(
        self,
        method: Method,
        request: Request | AsyncIterator[Request],
        metadata: Metadata,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Message]:
        """Answers a call with many messages, and with many requests where the method takes them.

        Raises as `unary`.
        """
        started = time.perf_counter()
        call = from_metadata(method.full_name, metadata, timeout_seconds)
        try:
            await self._admit(method, call)
            handler = self._handlers[method.full_name]
            if isinstance(request, Message | bytes):
                answering = handler(_read(method, request, call), call)
            else:
                answering = handler(self._requests(method, request, call), call)
            async with contextlib.aclosing(answering) as messages:
                async for message in messages:
                    # What a token may see ends with it, also in the middle of a stream.
                    await self._admit(method, call)
                    yield message
        except Exception as error:  # noqa: BLE001 - as above
            raise _refused(call, error, started) from None
        _record(_log.debug, "call", call, started, code="OK")

    async def _requests(
        self, method: Method, requests: AsyncIterator[Request], call: Call
    ) -> AsyncIterator[Message]:
        """A stream's requests, as long as each may be made."""
        async for request in requests:
            await self._admit(method, call)
            yield _read(method, request, call)

    async def _admit(self, method: Method, call: Call) -> None:
        """Finds out who calls.

        Raises:
            InvalidFields: There are several tokens.
            TokenMissing: The method needs one.
            TokenInvalid, TokenExpired: It is not good.
        """
        if len(call.tokens) > 1:
            raise errors.invalid("authorization", "must be given once")
        if call.tokens and call.tokens[0]:
            call.caller = await self._tokens.verify(call.tokens[0])
        elif not method.public:
            raise errors.TokenMissing


def _read(method: Method, request: Request, call: Call) -> Message:
    """The request of a call.

    Raises:
        MalformedRequest: It is no message of the method's type.
        InvalidFields: gRPC sends it again by itself, and it has no id that would make this safe.
    """
    if isinstance(request, bytes):
        try:
            request = GetMessageClass(method.input).FromString(request)
        except DecodeError:
            raise errors.MalformedRequest from None
    if call.sent_before and not _repeatable(request):
        raise errors.invalid("request_id", "is required of a call that is sent again by gRPC")
    return request


def _repeatable(request: Message) -> bool:
    """Whether a request is safe to send again: where it may change something, it has its id."""
    if getattr(request, "request_id", None) != "":
        return True
    items = getattr(request, "requests", ())
    return bool(items) and all(item.request_id for item in items)


def _refused(call: Call, error: Exception, started: float) -> Refused:
    refusal = error if isinstance(error, errors.Refusal) else failures.refusal_of(error)
    if refusal is None:
        _record(_log.error, "call_failed", call, started, exc_info=error)
        return Refused(refusals.internal(call.correlation_id), _trailers(call))
    row = refusals.TABLE[type(refusal)]
    cause = None if refusal is error else type(error).__name__
    code = code_pb2.Code.Name(row.code)
    _record(_log.info, "call", call, started, code=code, reason=row.reason, cause=cause)
    return Refused(refusals.status(refusal, call.language), _trailers(call))


def _trailers(call: Call) -> dict[str, str]:
    return {"x-request-id": call.correlation_id, **call.trailers}


def _record(
    write: Callable[..., object], event: str, call: Call, started: float, **facts: object
) -> None:
    """Logs a call: never what was in it."""
    if call.trace_id:
        facts["trace_id"] = call.trace_id
    # The call is over, and money may have moved: a log that cannot be written must not undo that.
    with contextlib.suppress(OSError, ValueError):
        write(
            event,
            method=call.method,
            request_id=call.correlation_id,
            principal=call.caller.name if call.caller else None,
            milliseconds=round((time.perf_counter() - started) * 1000, 2),
            **facts,
        )
