"""Keeps worker processes running: starts them, starts those that die again, stops all together.

Workers share their ports, and nothing else but Postgres.
"""

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from dataclasses import dataclass

import structlog

from balance_service.config import Settings
from balance_service.server.envoy import choice
from balance_service.server.signals import catch_stop_signals

RESTART_INTERVAL_SECONDS = 1.0
# A worker that still runs this long after its time to drain is stuck.
KILL_AFTER_SECONDS = 10.0
# The exit status of a worker that failed for a cause which may be gone at the next start.
FAILED = 1
# The exit status of a worker that could not start and would hardly do so the next time.
STARTUP_FAILED = 3
# The exit status of a worker that found no database: it is tried again for as long as it takes.
DATABASE_AWAY = 4
# Starts in a row that may fail for another cause before a worker is given up.
FAILED_STARTS_MAX = 5

_log = structlog.get_logger()


async def supervise(settings: Settings) -> int:
    """Keeps `settings.workers` workers running until SIGTERM or SIGINT.

    A worker that dies after it has served is started again at once. One that cannot start is tried
    again with growing pauses, and given up after a few; the others serve on. If the first start of
    all fails for good, or every worker is given up, this returns.

    Args:
        settings: What they run with; its ports are held by `ports.reserve` meanwhile.

    Returns:
        The exit status: 0, or 1 if a worker could not be started.
    """
    stopping = catch_stop_signals()
    keeping = [
        asyncio.create_task(_keep_running(settings, stopping)) for _ in range(settings.workers)
    ]
    failed = await asyncio.gather(*keeping)
    return int(any(failed))


async def _keep_running(settings: Settings, stopping: asyncio.Event) -> bool:
    """Runs a worker, again and again until stopped; True if it could not be started."""
    # A worker that is killed leaves its temporary files, so they go with the supervisor.
    with tempfile.TemporaryDirectory(prefix="balance-") as folder:
        return await _keep_running_in(folder, settings, stopping)


async def _keep_running_in(folder: str, settings: Settings, stopping: asyncio.Event) -> bool:
    first, failed_starts = True, 0
    while not stopping.is_set():
        began = time.monotonic()
        worker = await _start_worker(settings, folder)
        process = worker.process
        ended = asyncio.create_task(process.wait())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if stopping.is_set():
            await _stop_worker(process, settings.drain_seconds)
            worker.read_started()
            return False
        started = worker.read_started()
        _log.error("worker_died", pid=process.pid, status=process.returncode, started=started)
        if first and process.returncode == STARTUP_FAILED:
            stopping.set()
            return True
        first = False
        if not started and settings.door == "envoy" and process.returncode != DATABASE_AWAY:
            _log.error("envoy_failed", advice=choice.WITHOUT)
        if started:
            failed_starts = 0
        elif process.returncode != DATABASE_AWAY:
            failed_starts += 1
        if failed_starts >= FAILED_STARTS_MAX:
            _log.error("worker_given_up", failed_starts=failed_starts)
            return True
        # Counted from its start: one that has served for longer is started again at once.
        interval = RESTART_INTERVAL_SECONDS * 2**failed_starts
        with contextlib.suppress(TimeoutError):
            pause = max(interval - (time.monotonic() - began), 0.05)
            await asyncio.wait_for(stopping.wait(), pause)
    return False


@dataclass(frozen=True, slots=True)
class _Worker:
    """A worker's process, and the pipe in which it tells that it has started.

    A pipe and not an exit status, which does not tell of a worker that was killed whether it had
    served before.
    """

    process: asyncio.subprocess.Process
    started_fd: int

    def read_started(self) -> bool:
        """Whether the worker, which has ended, had started. Closes the pipe: ask once."""
        try:
            return os.read(self.started_fd, 1) != b""
        finally:
            os.close(self.started_fd)


async def _start_worker(settings: Settings, folder: str) -> _Worker:
    read_fd, write_fd = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "balance_service",
            "worker",
            "--started-fd",
            str(write_fd),
            env=settings.environment() | {"TMPDIR": folder},
            pass_fds=(write_fd,),
        )
    except BaseException:
        os.close(read_fd)
        raise
    finally:
        # The worker has its own end; with this one open, `read_started` would wait for ever.
        os.close(write_fd)
    return _Worker(process, read_fd)


async def _stop_worker(process: asyncio.subprocess.Process, drain_seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), drain_seconds + KILL_AFTER_SECONDS)
    except TimeoutError:
        _log.error("worker_killed", pid=process.pid)
        process.kill()
        await process.wait()
