"""How a call begins and ends: traced, logged, measured, and told to its caller."""

import contextlib
import logging
import time
from collections.abc import Mapping

import structlog
from google.rpc import code_pb2, status_pb2

from balance_service.calls import refusals
from balance_service.calls.call import Call
from balance_service.domain import errors
from balance_service.repositories import failures
from balance_service.telemetry import metrics, traces

# A unary call that takes longer is logged though it was answered.
SLOW_SECONDS = 1.0

_log = structlog.get_logger()


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """A call was refused or failed.

    Args:
        status: The reason, ready to be sent.
        trailers: What the caller hears besides, as with an answer.
    """

    def __init__(self, status: status_pb2.Status, trailers: Mapping[str, str]) -> None:
        super().__init__(status.message)
        self.status = status
        self.trailers = trailers


def began(call: Call) -> Call:
    """A call begins; the call."""
    call.span = traces.call_began(call.method, call.traceparent)
    if call.span and not call.trace_id:
        call.trace_id = traces.trace_id(call.span)
    return call


def refused(call: Call, error: Exception, started: float) -> Refused:
    """A call ends without an answer; what its caller is told.

    Args:
        call: The call.
        error: The refusal, or a fault.
        started: When it came, by `time.perf_counter`.
    """
    refusal = error if isinstance(error, errors.Refusal) else failures.refusal_of(error)
    if refusal is None:
        _log_call(logging.ERROR, "call_failed", call, started, exc_info=error)
        _count_refused(call, started, "INTERNAL", refusals.INTERNAL)
        return Refused(refusals.internal(call.correlation_id), trailers(call))
    row = refusals.TABLE[type(refusal)]
    cause = None if refusal is error else type(error).__name__
    code = code_pb2.Code.Name(row.code)
    _log_call(logging.INFO, "call", call, started, code=code, reason=row.reason, cause=cause)
    _count_refused(call, started, code, row.reason)
    return Refused(refusals.status(refusal, call.language), trailers(call))


def answered(call: Call, started: float, *, is_stream: bool = False) -> None:
    """A call ends with its answer, or all of them."""
    seconds = time.perf_counter() - started
    is_slow = seconds > SLOW_SECONDS and not is_stream
    level, event = (logging.INFO, "call_slow") if is_slow else (logging.DEBUG, "call")
    _log_call(level, event, call, started, code="OK")
    _measure(call, seconds, "OK")


def left(call: Call, started: float) -> None:
    """A call ends because its caller has gone, or would wait no longer."""
    _measure(call, time.perf_counter() - started, "CANCELLED")


def trailers(call: Call) -> dict[str, str]:
    """What a caller hears besides the answer."""
    return {"x-request-id": call.correlation_id, **call.trailers}


def _count_refused(call: Call, started: float, code: str, reason: str) -> None:
    _measure(call, time.perf_counter() - started, code)
    metrics.call_refused(call.method, reason)


def _measure(call: Call, seconds: float, code: str) -> None:
    metrics.call_ended(call.method, code, seconds)
    if call.span:
        traces.call_ended(call.span, code)


def _log_call(level: int, event: str, call: Call, started: float, **facts: object) -> None:
    """Logs the end of a call, but nothing of what was sent or answered.

    Args:
        level: As of the standard library's `logging`.
        event: The event's name.
        call: The call.
        started: When it came, by `time.perf_counter`.
        facts: What else is known of its end.
    """
    if not _log.is_enabled_for(level):
        return
    if call.trace_id:
        facts["trace_id"] = call.trace_id
    # Money may have moved: if the log cannot be written, the caller must get the answer still.
    with contextlib.suppress(OSError, ValueError):
        _log.log(
            level,
            event,
            method=call.method,
            request_id=call.correlation_id,
            principal=call.caller.name if call.caller else None,
            milliseconds=round((time.perf_counter() - started) * 1000, 2),
            **facts,
        )
