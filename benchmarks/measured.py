"""Every figure that `balance-service sizing` reckons with, measured on this machine."""

import asyncio
import math
import statistics
import time

import psycopg
from pydantic import SecretStr

from balance_service.config import Settings
from balance_service.operations import figures
from benchmarks import growth, rows, stack
from benchmarks.taken import look
from rehearsals import stage

# By the beginning of its figures' names: a workload, and how many of it are in flight.
_KINDS = {
    "transfer": ("spread", 16),
    "deposit": ("deposits", 16),
    "purchase": ("purchases", 16),
    "read": ("balance", 16),
    "batched": ("batch-1000", 4),
}
_PEAK_LEVELS = (64, 256, 512)
_HALF_PEAK_ROUNDS = 3
_ACCOUNTS = 2000
_EVENTS = "SELECT pg_total_relation_size('events') / sum(size) FROM events"
_DATABASE = "SELECT pg_database_size(current_database())"
# How often a load that nothing answered is given twice the time.
_DOUBLINGS_MAX = 6
# Backends report what they did when they are idle for a second.
_IDLE_SECONDS = 2


def measure(running: stack.Stack, seconds: float, source: figures.Source) -> figures.Figures:
    """All figures; those that one server cannot show are the shipped ones.

    Args:
        running: The service, with nobody else on it.
        seconds: How long each load takes.
        source: Says how they are measured.
    """
    found: dict[str, float] = {}
    for kind, (workload, in_flight) in _KINDS.items():
        found |= _use(running, kind, workload, in_flight, seconds)
    found |= _latency(running, seconds)
    hot = _load(running, "batch-1000-hot", 4, seconds)
    found["hot_movements_per_second"] = hot.rate
    found["worker_mib"] = max(running.memory_mib())
    found["entries_key_bytes"] = growth.sizes(running.database)["entries_pkey"]
    found["event_disk_bytes"] = _number(running, _EVENTS)
    found["account_disk_bytes"] = _account_bytes(running)
    shipped = figures.read()
    return figures.Figures(
        **{
            name: figures.Figure(found[name], source) if name in found else shipped.get(name)
            for name in figures.NAMES
        }
    )


def _use(
    running: stack.Stack, kind: str, workload: str, in_flight: int, seconds: float
) -> dict[str, float]:
    """What one call, or one item of a batch, takes."""
    before = look(running)
    row = _load(running, workload, in_flight, seconds)
    time.sleep(_IDLE_SECONDS)
    after = look(running)
    found = {f"{kind}_{where}_ms": row.cpu[where] for where in ("service", "postgres")}
    made = after.movements - before.movements
    if kind in ("transfer", "batched"):
        found[f"{kind}_log_bytes"] = (after.log_bytes - before.log_bytes) / made
    if kind == "transfer":
        found["transfers_a_flush"] = made / (after.flushes - before.flushes)
        tables, indexes = (
            getattr(after, name) - getattr(before, name) for name in ("heap_bytes", "index_bytes")
        )
        found["movement_disk_bytes"] = (tables + indexes) / made
    return found


def _load(
    running: stack.Stack, workload: str, in_flight: int, seconds: float, rate: float = 0
) -> rows.Row:
    """As `rows.measure`, but as long as it takes until a call is answered.

    On a busy machine a load of a second can end before its first batch does.

    Raises:
        RuntimeError: Nothing is answered.
    """
    for doubled in range(_DOUBLINGS_MAX + 1):
        row = rows.measure(running, workload, in_flight, seconds * 2**doubled, rate)
        if not math.isnan(row.p50_ms):
            return row
    raise RuntimeError(f"{workload}: no call is answered")


def _latency(running: stack.Stack, seconds: float) -> dict[str, float]:
    """Of one call at a time, and at half of the peak (open loop), the middle of some rounds."""
    alone = _load(running, "spread", 1, seconds)
    peak = max(_load(running, "spread", level, seconds).rate for level in _PEAK_LEVELS)
    halves = [
        _load(running, "spread", 10_000, seconds, rate=peak / 2).p99_ms
        for _ in range(_HALF_PEAK_ROUNDS)
    ]
    return {"alone_p99_ms": alone.p99_ms, "half_peak_p99_ms": statistics.median(halves)}


def _account_bytes(running: stack.Stack) -> float:
    """Of an account that is opened as callers open it."""
    settings = Settings(database_url=SecretStr(running.database))
    before = _number(running, _DATABASE)
    asyncio.run(stage.open_accounts(settings, _ACCOUNTS))
    return (_number(running, _DATABASE) - before) / _ACCOUNTS


def _number(running: stack.Stack, query: str) -> float:
    with psycopg.connect(running.database, autocommit=True) as conn:
        row = conn.execute(query.encode()).fetchone()
    assert row, "a query of one row"
    return float(row[0])
