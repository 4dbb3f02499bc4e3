"""Worker processes on one port: started, restarted when they die, stopped together.

Workers share the port by SO_REUSEPORT and nothing else but Postgres.
"""

import asyncio
import contextlib
import gc
import socket
import sys
import tempfile
import time
from collections.abc import Iterator

import structlog

from balance_service.config import Settings
from balance_service.database import migrate
from balance_service.server import app
from balance_service.server.signals import stop_signal

RESTART_INTERVAL_SECONDS = 1.0
# Beyond this after its drain, a worker is stuck.
KILL_AFTER_SECONDS = 10.0
# The exit status of a worker that could not start, which starting it again would not help.
STARTUP_FAILED = 3
# Objects made, and not freed, between collections; Python's own 700 is a batch of few transfers.
GC_ALLOCATIONS = 50_000

_log = structlog.get_logger()


async def work(settings: Settings) -> None:
    """Runs one worker until SIGTERM or SIGINT, then drains it."""
    stopping = stop_signal()
    worker = app.build(settings)
    await worker.start()
    await serve(worker, stopping)


async def serve(worker: app.App, stopping: asyncio.Event) -> None:
    """Has a worker that has started answer until it is to stop, then drains it."""
    _spare_collections()
    _log.info("worker_started", port=worker.door.port, http_port=worker.door.http_port)
    watching = asyncio.create_task(worker.watch())
    await stopping.wait()
    watching.cancel()
    await worker.stop()
    _log.info("worker_stopped")


def start_status(error: Exception) -> int:
    """The exit status of a worker that could not start."""
    given = (RuntimeError, ValueError, migrate.SchemaError)
    # Another start may find the database.
    return STARTUP_FAILED if isinstance(error, given) else 1


def _spare_collections() -> None:
    """Keeps the garbage collector from walking everything that was loaded, every few requests.

    Requests leave no cycles behind, so what reference counting does not free is little.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)


async def supervise(settings: Settings) -> int:
    """Keeps `settings.workers` workers running until SIGTERM or SIGINT.

    Args:
        settings: What they run with; the ports are already reserved by `reserved_ports`.

    Returns:
        The exit status: 0, or 1 if no worker ever came up.
    """
    stopping = stop_signal()
    keepers = [asyncio.create_task(_keep(settings, stopping)) for _ in range(settings.workers)]
    failed = await asyncio.gather(*keepers)
    return int(any(failed))


async def _keep(settings: Settings, stopping: asyncio.Event) -> bool:
    """As `_kept`, with a folder for the worker's files, which a worker that is killed leaves."""
    with tempfile.TemporaryDirectory(prefix="balance-") as folder:
        return await _kept(settings, stopping, folder)


async def _kept(settings: Settings, stopping: asyncio.Event, folder: str) -> bool:
    """Runs a worker, again and again until stopped; True if its first start failed."""
    first = True
    while not stopping.is_set():
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "balance_service", "worker"),
            env=settings.environment() | {"TMPDIR": folder},
        )
        ended = asyncio.create_task(process.wait())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if stopping.is_set():
            await _end(process, settings.drain_seconds)
            return False
        _log.error("worker_died", pid=process.pid, status=process.returncode)
        if first and process.returncode == STARTUP_FAILED:
            stopping.set()
            return True
        first = False
        pause = RESTART_INTERVAL_SECONDS - (time.monotonic() - began)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), max(pause, 0.05))
    return False


async def _end(process: asyncio.subprocess.Process, drain_seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), drain_seconds + KILL_AFTER_SECONDS)
    except TimeoutError:
        _log.error("worker_killed", pid=process.pid)
        process.kill()
        await process.wait()


@contextlib.contextmanager
def reserved_ports(settings: Settings) -> Iterator[Settings]:
    """Holds the ports that settings name, so that they cannot be lost between workers' lives.

    Yields:
        The settings, with the ports that were found where any would do.

    Raises:
        OSError: Something else listens there.
    """
    with contextlib.ExitStack() as held:
        grpc_port = held.enter_context(_reserved_port(settings.host, settings.grpc_port))
        found = {"grpc_port": grpc_port}
        if settings.http:
            found["http_port"] = held.enter_context(
                _reserved_port(settings.host, settings.http_port)
            )
        yield settings.model_copy(update=found)


@contextlib.contextmanager
def _reserved_port(host: str, port: int) -> Iterator[int]:
    """Holds one port; 0 for any free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bare = host.strip("[]")
    with socket.socket(family) as probe:
        # Without SO_REUSEPORT, this fails where anything listens, another service of ours included.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bare, port))
        except OSError as error:
            raise OSError(f"cannot listen on {host}:{port}: {error.strerror}") from None
        port = probe.getsockname()[1]
    with socket.socket(family) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((bare, port))
        yield port
