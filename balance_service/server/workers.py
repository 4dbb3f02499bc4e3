"""Worker processes on one port: started, restarted when they die, stopped together.

Workers share the port by SO_REUSEPORT and nothing else but Postgres.
"""

import asyncio
import contextlib
import gc
import os
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from balance_service.config import Settings
from balance_service.server import app
from balance_service.server.signals import stop_signal

RESTART_INTERVAL_SECONDS = 1.0
# Beyond this after its drain, a worker is stuck.
KILL_AFTER_SECONDS = 10.0
# The exit status of a worker that could not start, which starting it again would hardly help.
STARTUP_FAILED = 3
# The exit status of one that found no database: it is tried again for as long as it takes.
DATABASE_AWAY = 4
# Starts in a row that may fail for another cause before a worker is given up.
FAILED_STARTS_MAX = 5
# Objects made, and not freed, between collections; Python's own 700 is a batch of few transfers.
GC_ALLOCATIONS = 50_000

_log = structlog.get_logger()


async def work(settings: Settings, started_fd: int | None = None) -> None:
    """Runs one worker until SIGTERM or SIGINT, then drains it.

    Args:
        settings: What it runs with.
        started_fd: The file in which it tells its supervisor, if it has one, that it has started.
    """
    stopping = stop_signal()
    worker = app.build(settings)
    await worker.start()
    _spare_collections()
    http_port = worker.http.port if worker.http else None
    _log.info("worker_started", port=worker.port, http_port=http_port)
    if started_fd is not None:
        os.write(started_fd, b"1")
        os.close(started_fd)
    watching = asyncio.create_task(worker.watch())
    await stopping.wait()
    watching.cancel()
    await worker.stop()
    _log.info("worker_stopped")


def _spare_collections() -> None:
    """Keeps the garbage collector from walking everything that was loaded, every few requests.

    Requests leave no cycles behind, so what reference counting does not free is little.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)


async def supervise(settings: Settings) -> int:
    """Keeps `settings.workers` workers running until SIGTERM or SIGINT.

    A worker that dies after it has served is started again at once. One that cannot start is tried
    again with growing pauses, and given up after a few; the others serve on. If the first start of
    all fails for good, or every worker is given up, this returns.

    Args:
        settings: What they run with; the ports are already reserved by `reserved_ports`.

    Returns:
        The exit status: 0, or 1 if a worker could not be started.
    """
    stopping = stop_signal()
    keepers = [asyncio.create_task(_keep(settings, stopping)) for _ in range(settings.workers)]
    failed = await asyncio.gather(*keepers)
    return int(any(failed))


async def _keep(settings: Settings, stopping: asyncio.Event) -> bool:
    """Runs a worker, again and again until stopped; True if it could not be started."""
    first, failed_starts = True, 0
    while not stopping.is_set():
        began = time.monotonic()
        worker = await _start(settings)
        process = worker.process
        ended = asyncio.create_task(process.wait())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if stopping.is_set():
            await _end(process, settings.drain_seconds)
            worker.had_started()
            return False
        started = worker.had_started()
        _log.error("worker_died", pid=process.pid, status=process.returncode, started=started)
        if first and process.returncode == STARTUP_FAILED:
            stopping.set()
            return True
        first = False
        if started:
            failed_starts = 0
        elif process.returncode != DATABASE_AWAY:
            failed_starts += 1
        if failed_starts >= FAILED_STARTS_MAX:
            _log.error("worker_given_up", failed_starts=failed_starts)
            return True
        interval = RESTART_INTERVAL_SECONDS * 2**failed_starts
        with contextlib.suppress(TimeoutError):
            pause = max(interval - (time.monotonic() - began), 0.05)
            await asyncio.wait_for(stopping.wait(), pause)
    return False


@dataclass(frozen=True, slots=True)
class _Worker:
    """A worker's process, and where it tells that it has started."""

    process: asyncio.subprocess.Process
    told: int

    def had_started(self) -> bool:
        """Whether a worker that ended had started; to be asked once."""
        try:
            return os.read(self.told, 1) != b""
        finally:
            os.close(self.told)


async def _start(settings: Settings) -> _Worker:
    told, tell = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "balance_service",
            "worker",
            "--started-fd",
            str(tell),
            env=settings.environment(),
            pass_fds=(tell,),
        )
    except BaseException:
        os.close(told)
        raise
    finally:
        os.close(tell)
    return _Worker(process, told)


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
        grpc_port = held.enter_context(reserved_port(settings.host, settings.grpc_port))
        found = {"grpc_port": grpc_port}
        if settings.http:
            found["http_port"] = held.enter_context(
                reserved_port(settings.host, settings.http_port)
            )
        yield settings.model_copy(update=found)


@contextlib.contextmanager
def reserved_port(host: str, port: int) -> Iterator[int]:
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
