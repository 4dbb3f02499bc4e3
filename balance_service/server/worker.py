"""One worker process: starts the service, waits for a signal to stop, and drains it."""

import gc
import os

import structlog

from balance_service.config import Settings
from balance_service.server import app
from balance_service.server.signals import catch_stop_signals

# Objects made and not freed between two collections. Python's own 700 is reached by a commit of a
# few transfers.
GC_ALLOCATIONS = 50_000

_log = structlog.get_logger()


async def run(settings: Settings, started_fd: int | None = None) -> None:
    """Runs one worker until SIGTERM or SIGINT, then drains it.

    Args:
        settings: What it runs with.
        started_fd: The pipe in which it tells its supervisor, if it has one, that it has started.

    Raises:
        ValueError: A setting is missing or malformed, or the secret is not this database's.
        RuntimeError: A port cannot be listened on.
        SchemaError: The database's schema is not this version's.
        DatabaseUnavailable: Postgres is away.
    """
    stopping = catch_stop_signals()
    worker = app.build(settings)
    await worker.start()
    _tune_garbage_collector()
    http_port = worker.http.port if worker.http else None
    _log.info("worker_started", port=worker.port, http_port=http_port)
    if started_fd is not None:
        os.write(started_fd, b"1")
        os.close(started_fd)
    await stopping.wait()
    await worker.stop()
    _log.info("worker_stopped")


def _tune_garbage_collector() -> None:
    """Keeps the garbage collector from walking everything that was loaded, every few requests.

    Requests leave no cycles behind, so what reference counting does not free is little.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)
