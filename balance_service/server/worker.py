"""One worker process: starts the service, waits for a signal to stop, and drains it."""

import asyncio
import gc
import os

import structlog

from balance_service.config import Settings
from balance_service.database.cluster import ClusterUnfit
from balance_service.database.migrate import SchemaError
from balance_service.database.pool import DatabaseUnavailable, PostgresError
from balance_service.database.roles import RoleUnfit
from balance_service.server import app, supervisor
from balance_service.server.signals import catch_stop_signals
from balance_service.telemetry import metrics

# Objects made and not freed between two collections. Python's own 700 is reached by a commit of a
# few transfers.
GC_ALLOCATIONS = 50_000

_log = structlog.get_logger()

_LASTING = (ClusterUnfit, PostgresError, RoleUnfit, RuntimeError, SchemaError, ValueError)


async def run(settings: Settings, started_fd: int | None = None) -> None:
    """Runs one worker until SIGTERM or SIGINT, then drains it.

    Args:
        settings: What it runs with.
        started_fd: The pipe in which it tells its supervisor, if it has one, that it has started.

    Raises:
        ValueError: A setting is missing or malformed, or the secret is not this database's.
        RuntimeError: A port cannot be listened on.
        SchemaError: The database's schema is not this version's.
        RoleUnfit: Postgres would let it do more than it should.
        ClusterUnfit: Standbys are to be read from, and the ledger is distributed.
        DatabaseUnavailable: Postgres is away.
    """
    stopping = catch_stop_signals()
    worker = app.build(settings)
    await worker.start()
    await serve(worker, stopping, started_fd)


async def serve(worker: app.App, stopping: asyncio.Event, started_fd: int | None = None) -> None:
    """Has a worker that has started answer until it is told to stop, then drains it.

    Args:
        worker: The worker; its ports are answered.
        stopping: Set when it is to stop.
        started_fd: As of `run`.
    """
    _tune_garbage_collector()
    metrics.worker_started()
    _log.info("worker_started", port=worker.door.port, http_port=worker.door.http_port)
    if started_fd is not None:
        os.write(started_fd, b"1")
        os.close(started_fd)
    await stopping.wait()
    await worker.stop()
    _log.info("worker_stopped")


def start_status(error: Exception) -> int:
    """The exit status of a worker that could not start, which the supervisor understands."""
    if isinstance(error, DatabaseUnavailable):
        return supervisor.DATABASE_AWAY
    if isinstance(error, _LASTING):
        # Another start would find the same. Whatever else fails may be gone by then.
        return supervisor.STARTUP_FAILED
    return supervisor.FAILED


def _tune_garbage_collector() -> None:
    """Keeps the garbage collector from walking everything that was loaded, every few requests.

    Requests leave no cycles behind, so what reference counting does not free is little.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)
