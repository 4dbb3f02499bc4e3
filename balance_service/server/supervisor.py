"""Keeps worker processes running: starts them, starts those that die again, stops all together.

Workers share their ports, and nothing else but Postgres.
"""

import asyncio
import contextlib
import os
import sys
import tempfile
import time

import structlog

from balance_service.config import Settings
from balance_service.server import systemd
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


async def supervise(settings: Settings, notify_socket: str = "") -> int:
    """Keeps `settings.workers` workers running until SIGTERM or SIGINT.

    A worker that dies after it has served is started again at once. One that cannot start is tried
    again with growing pauses, and given up after a few; the others serve on. If the first start of
    all fails for good, or every worker is given up, this returns.

    Args:
        settings: What they run with; its ports are held by `ports.reserve` meanwhile.
        notify_socket: Where systemd is told, as of `systemd.follow`.

    Returns:
        The exit status: 0, or 1 if a worker could not be started.
    """
    serving, stopping = asyncio.Event(), catch_stop_signals()
    stop_seconds_max = settings.drain_seconds + KILL_AFTER_SECONDS
    following = asyncio.create_task(
        systemd.follow(notify_socket, serving, stopping, stop_seconds_max)
    )
    keeping = [
        asyncio.create_task(_keep_running(settings, serving, stopping))
        for _ in range(settings.workers)
    ]
    failed = await asyncio.gather(*keeping)
    following.cancel()
    return int(any(failed))


async def _keep_running(
    settings: Settings, serving: asyncio.Event, stopping: asyncio.Event
) -> bool:
    """Runs a worker, again and again until stopped; True if it could not be started."""
    # A worker that is killed leaves its temporary files, so they go with the supervisor.
    with tempfile.TemporaryDirectory(prefix="balance-") as folder:
        return await _keep_running_in(folder, settings, serving, stopping)


async def _keep_running_in(
    folder: str, settings: Settings, serving: asyncio.Event, stopping: asyncio.Event
) -> bool:
    first, failed_starts = True, 0
    while not stopping.is_set():
        began = time.monotonic()
        worker = await _start_worker(settings, folder, serving)
        process = worker.process
        ended = asyncio.create_task(process.wait())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if stopping.is_set():
            await _stop_worker(process, settings.drain_seconds)
            worker.close()
            return False
        started = worker.close()
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


class _Worker:
    """A worker's process, and the pipe in which it tells that it has started.

    A pipe and not an exit status, which does not tell of a worker that was killed whether it had
    served before.

    Args:
        process: The worker.
        started_fd: The pipe's end that is read; it is closed by `close`.
        serving: Set when the worker has started.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, started_fd: int, serving: asyncio.Event
    ) -> None:
        self.process = process
        self._started_fd, self._serving = started_fd, serving
        self._started = False
        asyncio.get_running_loop().add_reader(started_fd, self._read)

    def _read(self) -> None:
        """Reads the pipe, which has a byte once the worker has started, and ends with it."""
        asyncio.get_running_loop().remove_reader(self._started_fd)
        self._started = os.read(self._started_fd, 1) != b""
        if self._started:
            self._serving.set()

    def close(self) -> bool:
        """Whether the worker, which has ended, had started. Closes the pipe: call it once."""
        if asyncio.get_running_loop().remove_reader(self._started_fd):
            self._started = os.read(self._started_fd, 1) != b""
        os.close(self._started_fd)
        return self._started


async def _start_worker(settings: Settings, folder: str, serving: asyncio.Event) -> _Worker:
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
        # The worker has its own end; with this one open, a read of the other would wait for ever.
        os.close(write_fd)
    return _Worker(process, read_fd, serving)


async def _stop_worker(process: asyncio.subprocess.Process, drain_seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), drain_seconds + KILL_AFTER_SECONDS)
    except TimeoutError:
        _log.error("worker_killed", pid=process.pid)
        process.kill()
        await process.wait()
