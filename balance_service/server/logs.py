"""Structured logs: each event a line of JSON on standard error, those of libraries included."""

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog

from balance_service.telemetry import metrics

# Of each kind of line, as many as these are written in a second; the others are counted.
LINES_A_SECOND = 20

_Line: TypeAlias = MutableMapping[str, Any]


def configure(level: str) -> None:
    """Configures logging for this process.

    Args:
        level: The least severe level that is logged: debug, info, warning or error.
    """
    structlog.configure(
        processors=[
            Sparing(),
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _add_process,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries log by the standard module; only what an operator should act on is shown.
    logging.basicConfig(level=logging.WARNING, handlers=[_Passing()], force=True)
    logging.captureWarnings(capture=True)
    threading.excepthook = _tell_thread_failed


class Sparing:
    """Leaves out lines of a kind that is written too often, and says how many, a second later.

    A kind is an event and, if it has one, its reason: refusals of another reason are still seen
    during a flood. Lines at level debug are all written: who asks for them wants them.

    Args:
        clock: Tells seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[tuple[str, str], _Second] = {}

    def __call__(self, _: object, level: str, line: _Line) -> _Line:
        """As a processor of structlog.

        Raises:
            DropEvent: The line is one too many.
        """
        if level == "debug":
            return line
        kind = str(line.get("event", "")), str(line.get("reason", ""))
        now = self._clock()
        second = self._kinds.get(kind)
        if second is None or now - second.began >= 1:
            if second:
                self._tell(kind, second)
            second = self._kinds[kind] = _Second(now)
        second.written += 1
        if second.written <= LINES_A_SECOND:
            return line
        if not second.left_out:
            # Without a loop, it is told when the next line of its kind comes.
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().call_later(1, self._tell, kind, second)
        second.left_out += 1
        raise structlog.DropEvent

    def _tell(self, kind: tuple[str, str], second: "_Second") -> None:
        count, second.left_out = second.left_out, 0
        if count:
            metrics.lines_left_out(count)
            event, reason = kind
            structlog.get_logger().warning(
                "lines_left_out", of=event, of_reason=reason, count=count
            )


@dataclass(slots=True)
class _Second:
    """The lines of a kind in a second.

    Args:
        began: When the first came, by the clock.
        written: How many came.
        left_out: How many of them were left out and not told of yet.
    """

    began: float
    written: int = 0
    left_out: int = 0


class _Passing(logging.Handler):
    """Passes what libraries log on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError, ValueError):
            structlog.get_logger().log(
                # Of one of the standard levels.
                record.levelno // 10 * 10,
                "library",
                logger=record.name,
                message=record.getMessage(),
                exc_info=record.exc_info,
            )


def _add_process(_: object, __: str, line: _Line) -> _Line:
    line["pid"] = os.getpid()
    return line


def _tell_thread_failed(failed: threading.ExceptHookArgs) -> None:
    error = failed.exc_value
    name = failed.thread.name if failed.thread else ""
    structlog.get_logger().error("thread_failed", thread=name, exc_info=error)
