"""Every call, whichever way it came: who calls, which request, how long, refusals to statuses.

Generated code registers the servicers here as it would with a gRPC server; each method is wrapped
once, and served by gRPC and by the gateway alike. There is no gRPC interceptor, for each would cost
every call a share of the event loop.
"""

import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias, cast

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2

from balance_service.auth.tokens import Tokens
from balance_service.domain import errors, ids, languages
from balance_service.gateway.routes import Method
from balance_service.gateway.upstream import DETAILS_KEY, Answer, Metadata, Refused
from balance_service.ledger.queue import RETRY_AFTER_SECONDS
from balance_service.repositories import failures
from balance_service.servicers import call, status
from balance_service.servicers.call import PUBLIC_METHODS, Call, Context

# W3C Trace Context, version 00: the trace's id is the second part.
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_CODES = {code.value[0]: code for code in grpc.StatusCode}

_log = structlog.get_logger()

# Its parts are typed as what a server calls; servicers take no context but their own.
Handler: TypeAlias = Any


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
        self._services: dict[str, Mapping[str, Handler]] = {}
        self._handlers: dict[str, Handler] = {}

    @property
    def registry(self) -> grpc.aio.Server:
        """Where generated code registers servicers, as it would with a gRPC server."""
        return cast("grpc.aio.Server", self)

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Nothing: generated code registers the same methods by name as well."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Takes a servicer's methods, from generated code."""
        self._services[service] = handlers
        for name, handler in handlers.items():
            self._handlers[f"/{service}/{name}"] = handler

    def serve_on(self, server: grpc.aio.Server) -> None:
        """Has a gRPC server answer all methods."""
        for service, handlers in self._services.items():
            surrounded = {
                name: self._over_grpc(f"/{service}/{name}", handler)
                for name, handler in handlers.items()
            }
            generic = grpc.method_handlers_generic_handler(service, surrounded)
            server.add_generic_rpc_handlers((generic,))

    async def admit(self, method: Method, metadata: Metadata) -> None:
        """Verifies a caller before anything else of the request is read."""
        started = time.perf_counter()
        now, tokens = _call(method.full_name, metadata, None)
        try:
            await self._identify(now, tokens)
        except Exception as error:  # noqa: BLE001 - as below
            raise _refused(now, error, started) from None

    async def unary(
        self, method: Method, request: Message, metadata: Metadata, timeout_seconds: float | None
    ) -> Answer:
        """Answers a call from within the process, as `gateway.upstream.Upstream`."""
        return await self._unary(method.full_name, request, metadata, timeout_seconds)

    def stream(
        self, method: Method, request: Message, metadata: Metadata
    ) -> AsyncIterator[Message]:
        """Answers a streaming call from within the process."""
        return self._stream(method.full_name, request, metadata, None)

    async def serves(self) -> bool:
        """Whether this worker can answer, as its health says."""
        return self.serving

    async def _unary(
        self,
        method: str,
        request: Message | bytes,
        metadata: Metadata,
        timeout_seconds: float | None,
    ) -> Answer:
        started = time.perf_counter()
        now, tokens = _call(method, metadata, timeout_seconds)
        call.current.set(now)
        self._under_way += 1
        try:
            if self._under_way > self._calls_max:
                raise errors.Overloaded(RETRY_AFTER_SECONDS)
            await self._identify(now, tokens)
            handler = self._handlers[method]
            message: Message = await handler.unary_unary(_read(handler, request, now), None)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status
            raise _refused(now, error, started) from None
        finally:
            self._under_way -= 1
        _record(_log.debug, "call", now, started, code="OK")
        return Answer(message, _trailers(now))

    async def _stream(
        self,
        method: str,
        request: Message | bytes | AsyncIterator[bytes],
        metadata: Metadata,
        timeout_seconds: float | None,
    ) -> AsyncIterator[Message]:
        started = time.perf_counter()
        now, tokens = _call(method, metadata, timeout_seconds)
        call.current.set(now)
        try:
            await self._identify(now, tokens)
            handler = self._handlers[method]
            if isinstance(request, Message | bytes):
                answering = handler.unary_stream(_read(handler, request, now), None)
            else:
                requests = self._admitted(handler, request, now, tokens)
                answering = handler.stream_stream(requests, None)
            async with contextlib.aclosing(answering) as messages:
                async for message in messages:
                    # What a token may see ends with it, also in the middle of a stream.
                    await self._identify(now, tokens)
                    yield message
        except Exception as error:  # noqa: BLE001 - as above
            raise _refused(now, error, started) from None
        _record(_log.debug, "call", now, started, code="OK")

    async def _admitted(
        self, handler: Handler, requests: AsyncIterator[bytes], now: Call, tokens: Sequence[str]
    ) -> AsyncIterator[Message]:
        """A stream's requests, as long as each may be made."""
        async for request in requests:
            await self._identify(now, tokens)
            yield _read(handler, request, now)

    async def _identify(self, now: Call, tokens: Sequence[str]) -> None:
        """Learns who calls, who must have said so once if the method is not public."""
        if len(tokens) > 1:
            raise errors.invalid("authorization", "must be given once")
        if tokens and tokens[0]:
            now.caller = await self._tokens.verify(tokens[0])
        elif now.method not in PUBLIC_METHODS:
            raise errors.TokenMissing

    def _over_grpc(self, method: str, handler: Handler) -> Handler:
        """The handler that a gRPC server calls."""

        async def unary(request: bytes, context: Context) -> Message:
            metadata, seconds = _metadata(context), context.time_remaining()
            try:
                answer = await self._unary(method, request, metadata, seconds)
            except Refused as refused:
                del request  # As `_abort` says.
                await _abort(context, refused)
            context.set_trailing_metadata(tuple(answer.trailers.items()))
            return answer.message

        async def stream(
            request: bytes | AsyncIterator[bytes], context: Context
        ) -> AsyncIterator[Message]:
            metadata, seconds = _metadata(context), context.time_remaining()
            try:
                async for message in self._stream(method, request, metadata, seconds):
                    yield message
            except Refused as refused:
                await _abort(context, refused)

        make: Callable[..., Handler] = grpc.unary_unary_rpc_method_handler
        if handler.response_streaming:
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
        return make(
            stream if handler.response_streaming else unary,
            # Bytes, which are not read before it is known who sent them.
            request_deserializer=None,
            response_serializer=handler.response_serializer,
        )


def _read(handler: Handler, request: Message | bytes, now: Call) -> Message:
    """The message of an admitted call.

    Raises:
        MalformedRequest: The bytes are none of the method's type.
        InvalidFields: gRPC sends it again by itself, and it has no request id.
    """
    if isinstance(request, bytes):
        try:
            message: Message = handler.request_deserializer(request)
        except DecodeError:
            raise errors.MalformedRequest from None
    else:
        message = request
    if now.sent_before and not _repeatable(message):
        raise errors.invalid("request_id", "is required of a call that is sent again by gRPC")
    return message


def _repeatable(request: object) -> bool:
    """Whether a request is safe to send again: where it may change something, it has its id."""
    if getattr(request, "request_id", None) != "":
        return True
    items = getattr(request, "requests", ())
    return bool(items) and all(item.request_id for item in items)


def _metadata(context: Context) -> Metadata:
    found = context.invocation_metadata() or ()
    return [(key, value) for key, value in found if isinstance(value, str)]


def _call(
    method: str, metadata: Metadata, timeout_seconds: float | None
) -> tuple[Call, Sequence[str]]:
    """The call that metadata tell of, and its bearer tokens, of which there should be one."""
    tokens: list[str] = []
    correlation_id = accept_language = trace_id = ""
    sent_before = False
    for key, value in metadata:
        if key == "authorization":
            scheme, _, rest = value.partition(" ")
            tokens.append(rest.strip() if scheme.lower() == "bearer" else "?")
        elif key == "x-request-id":
            correlation_id = value
        elif key == "accept-language":
            accept_language = value
        elif key == "grpc-previous-rpc-attempts":
            sent_before = True
        elif key == "traceparent" and (trace := _TRACEPARENT.fullmatch(value)):
            trace_id = trace[1]
    now = Call(
        method=method,
        correlation_id=ids.correlation_id(correlation_id),
        language=languages.preferred(accept_language),
        timeout_seconds=timeout_seconds,
        trace_id=trace_id,
        sent_before=sent_before,
    )
    return now, tokens


def _refused(now: Call, error: Exception, started: float) -> Refused:
    refusal = error if isinstance(error, errors.Refusal) else failures.refusal_of(error)
    if refusal is None:
        _record(_log.error, "call_failed", now, started, exc_info=error)
        return Refused(status.internal(now.correlation_id), _trailers(now))
    code = status.code(refusal).name
    reason = status.TABLE[type(refusal)].reason
    cause = None if refusal is error else type(error).__name__
    _record(_log.info, "call", now, started, code=code, reason=reason, cause=cause)
    return Refused(status.status(refusal, now.language), _trailers(now))


async def _abort(context: Context, refused: Refused) -> NoReturn:
    # gRPC keeps what `abort` raises in a cycle with the call, until garbage is collected: a large
    # request must not hang on it by the frames that it passed.
    refused.__traceback__ = refused.__context__ = None
    answer: status_pb2.Status = refused.status
    trailers = (*refused.trailers.items(), (DETAILS_KEY, answer.SerializeToString()))
    await context.abort(_CODES[answer.code], answer.message, trailers)


def _trailers(now: Call) -> dict[str, str]:
    return {"x-request-id": now.correlation_id, **now.trailers}


def _record(
    write: Callable[..., object], event: str, now: Call, started: float, **facts: object
) -> None:
    """Logs a call: never what was in it."""
    if now.trace_id:
        facts["trace_id"] = now.trace_id
    # The call is over, and money may have moved: a log that cannot be written must not undo that.
    with contextlib.suppress(OSError, ValueError):
        write(
            event,
            method=now.method,
            request_id=now.correlation_id,
            principal=now.caller.name if now.caller else None,
            milliseconds=round((time.perf_counter() - started) * 1000, 2),
            **facts,
        )
