"""The one interceptor: who calls, which request, how long, and refusals to statuses.

One and not five, because each costs every call a share of the event loop.
"""

import contextlib
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from balance_service.auth.tokens import Tokens
from balance_service.domain import errors, ids
from balance_service.repositories import failures
from balance_service.servicers import call, status
from balance_service.servicers.call import PUBLIC_METHODS, Call, Context

PREFIX = "/balance.v1."
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_MALFORMED = object()

_log = structlog.get_logger()

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Surrounds every method of ours; health and reflection pass untouched.

    Args:
        tokens: Verifies callers.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        method = handler_call_details.method
        if wrapped := self._wrapped.get(method):
            return wrapped
        handler = await continuation(handler_call_details)
        if handler is None or not method.startswith(PREFIX):
            return handler
        assert handler.unary_unary is not None, "streams are not intercepted yet"
        assert handler.request_deserializer is not None
        wrapped = grpc.unary_unary_rpc_method_handler(
            self._surround(method, handler.unary_unary),
            request_deserializer=_tolerant(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )
        self._wrapped[method] = wrapped
        return wrapped

    def _surround(self, method: str, answer: Callable[..., Any]) -> Callable[..., Any]:
        public = method in PUBLIC_METHODS

        async def surrounded(request: object, context: Context) -> object | None:
            started = time.perf_counter()
            now, token = _call(method, context)
            call.current.set(now)
            try:
                if request is _MALFORMED:
                    raise errors.MalformedRequest
                if token:
                    now.caller = await self._tokens.verify(token)
                elif not public:
                    raise errors.TokenMissing
                message: object = await answer(request, context)
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status
                await _refuse(context, now, error, started)
            else:
                context.set_trailing_metadata(_trailers(now))
                _record(_log.debug, "call", now, started, code="OK")
                return message

        return surrounded


def _call(method: str, context: Context) -> tuple[Call, str]:
    """The call that a context stands for, and its bearer token."""
    token = correlation_id = language = ""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str):
            scheme, _, rest = value.partition(" ")
            token = rest.strip() if scheme.lower() == "bearer" else "?"
        elif key == "x-request-id" and isinstance(value, str) and _CORRELATION_ID.fullmatch(value):
            correlation_id = value
        elif key == "accept-language" and isinstance(value, str):
            language = value
    now = Call(
        method=method,
        correlation_id=correlation_id or ids.new_id().hex,
        language="ru" if language.lower().startswith("ru") else "en",
        timeout_seconds=context.time_remaining(),
    )
    return now, token


def _tolerant(deserialize: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """Lets bytes that are no message through, to be refused like any other bad request."""

    def read(message: bytes) -> object:
        try:
            return deserialize(message)
        except DecodeError:
            return _MALFORMED

    return read


async def _refuse(context: Context, now: Call, error: Exception, started: float) -> NoReturn:
    refusal = error if isinstance(error, errors.Refusal) else failures.refusal_of(error)
    if refusal is None:
        _record(_log.error, "call_failed", now, started, exc_info=error)
        answer = status.internal(now.correlation_id)
        code = grpc.StatusCode.INTERNAL
    else:
        answer = status.status(refusal, now.language)
        code = status.code(refusal)
        reason = status.TABLE[type(refusal)].reason
        cause = None if refusal is error else type(error).__name__
        _record(_log.info, "call", now, started, code=code.name, reason=reason, cause=cause)
    await context.abort(code, answer.message, _trailers(now, answer))


def _trailers(
    now: Call, answer: status_pb2.Status | None = None
) -> tuple[tuple[str, str | bytes], ...]:
    trailers: list[tuple[str, str | bytes]] = [("x-request-id", now.correlation_id)]
    trailers += now.trailers.items()
    if answer is not None:
        trailers.append(("grpc-status-details-bin", answer.SerializeToString()))
    return tuple(trailers)


def _record(
    write: Callable[..., object], event: str, now: Call, started: float, **facts: object
) -> None:
    """Logs a call: never what was in it."""
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
