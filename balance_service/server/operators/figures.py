"""What workers measured of themselves, added up."""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog
from prometheus_client import Metric
from prometheus_client.multiprocess import MultiProcessCollector

# What a file raises that a worker has just made, or that was not written to its end.
_UNREADABLE = (OSError, RuntimeError, ValueError, struct.error)

_log = structlog.get_logger()


def merge(files: Sequence[Path]) -> Iterable[Metric]:
    """The figures of several files, added up; those of a file that cannot be read are left out."""
    try:
        return _merge(files)
    except _UNREADABLE:
        return _merge([path for path in files if _is_readable(path)])


def _merge(files: Sequence[Path]) -> list[Metric]:
    merged = MultiProcessCollector.merge([str(path) for path in files])  # type: ignore[no-untyped-call]
    return sorted(merged, key=lambda metric: str(metric.name))


def _is_readable(path: Path) -> bool:
    try:
        _merge([path])
    except _UNREADABLE as error:
        _log.warning("figures_not_read", file=path.name, cause=type(error).__name__)
        return False
    return True
