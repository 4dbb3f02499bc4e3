"""Traces of calls and commits, where settings turn them on.

Elsewhere each function here looks at one name and returns, and OpenTelemetry is not loaded.
"""

import asyncio
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from balance_service.telemetry.opentelemetry import Span, Tracing

STOP_SECONDS_MAX = 3.0

_NOTHING = nullcontext()
_tracing: "Tracing | None" = None


def start() -> None:
    """Traces from then on, and sends to the collector that OpenTelemetry's variables name.

    Raises:
        ModuleNotFoundError: OpenTelemetry is not installed.
    """
    global _tracing  # noqa: PLW0603 - what a process measures is one, as metrics are
    from balance_service.telemetry.opentelemetry import Tracing  # noqa: PLC0415 - as said above

    _tracing = Tracing()


def is_installed() -> bool:
    """Whether OpenTelemetry is there."""
    return find_spec("opentelemetry") is not None


async def stop() -> None:
    """Sends what was not sent yet, within `STOP_SECONDS_MAX`, and traces no more."""
    global _tracing
    if _tracing:
        stopping, _tracing = _tracing, None
        await asyncio.to_thread(stopping.stop, STOP_SECONDS_MAX)


def call_began(method: str, traceparent: str) -> "Span | None":
    """A call's span, within the caller's trace if there is one; None where nothing is traced.

    Args:
        method: Its path, such as `/balance.v1.AccountService/GetAccount`.
        traceparent: What the caller says of its trace, well formed; or empty.
    """
    return _tracing.begin_call(method, traceparent) if _tracing else None


def call_ended(span: "Span", code: str) -> None:
    """Ends a call's span with the name of its gRPC status."""
    if _tracing:
        _tracing.end_call(span, code)


def trace_id(span: "Span") -> str:
    """The id of a span's trace, as logs have it."""
    return f"{span.get_span_context().trace_id:032x}"


def commit(calls: Iterable["Span | None"]) -> AbstractContextManager[object]:
    """A commit's span, linked with those of the calls that it carries, and these with it."""
    return _tracing.commit(calls) if _tracing else _NOTHING


def round_trip(name: str) -> AbstractContextManager[object]:
    """A span within the commit's, for as long as Postgres is waited for."""
    return _tracing.round_trip(name) if _tracing else _NOTHING


def statement_sent(name: str) -> None:
    """Notes in the span of its commit that a statement was sent.

    It is no span: statements are sent together, and the time of each cannot be told.
    """
    if _tracing:
        _tracing.note(name)
