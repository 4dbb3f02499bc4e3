"""Keeps processes running: starts them, starts those that die again, stops all together.

Workers share their ports, and nothing else but Postgres. The operators' process has a port of its
own, and reads what workers keep in the supervisor's folder.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from balance_service.config import Settings
from balance_service.server import systemd
from balance_service.server.envoy import choice
from balance_service.server.operators.folder import Folder, forget_gauges, opened
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
    with opened() as folder:
        keeping = [
            asyncio.create_task(_keep_running(_worker(folder, number), settings, serving, stopping))
            for number in range(settings.workers)
        ]
        if settings.operators_port:
            role, answering = _operators(folder), asyncio.Event()
            telling = asyncio.create_task(_keep_running(role, settings, answering, stopping))
        failed = await asyncio.gather(*keeping)
        stopping.set()
        if settings.operators_port:
            await telling
    following.cancel()
    return int(any(failed))


@dataclass(frozen=True, slots=True)
class _Role:
    """What a process is for.

    Args:
        name: As its log lines have it.
        arguments: Of `balance-service`; the pipe in which it tells that it has started follows.
        environment: That it has besides the settings.
        figures: Where its figures are; None if it keeps none there.
        vital: Whether nothing is served if its first start of all fails for good.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    figures: Path | None = None
    vital: bool = False


def _worker(folder: Folder, number: int) -> _Role:
    figures, temporary = folder.make_figures(number), folder.make_temporary(number)
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(figures), "TMPDIR": str(temporary)}
    return _Role("worker", ("worker", "--started-fd"), environment, figures, vital=True)


def _operators(folder: Folder) -> _Role:
    arguments = ("operators", *map(str, folder), "--started-fd")
    return _Role("operators", arguments, {})


async def _keep_running(
    role: _Role, settings: Settings, started: asyncio.Event, stopping: asyncio.Event
) -> bool:
    """Runs a process, again and again until stopped; True if it could not be started."""
    first, failed_starts = True, 0
    behind_envoy = role.vital and settings.door == "envoy"
    while not stopping.is_set():
        began = time.monotonic()
        running = await _start(role, settings, started)
        process = running.process
        ended = asyncio.create_task(process.wait())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if stopping.is_set():
            await _stop(role, process, settings.drain_seconds)
            running.close()
            return False
        has_started = running.close()
        if role.figures:
            forget_gauges(role.figures)
        facts = {"pid": process.pid, "status": process.returncode, "started": has_started}
        _log.error(f"{role.name}_died", **facts)
        if role.vital and first and process.returncode == STARTUP_FAILED:
            stopping.set()
            return True
        first = False
        if behind_envoy and not has_started and process.returncode != DATABASE_AWAY:
            _log.error("envoy_failed", advice=choice.WITHOUT)
        if has_started:
            failed_starts = 0
        elif process.returncode != DATABASE_AWAY:
            failed_starts += 1
        if failed_starts >= FAILED_STARTS_MAX:
            _log.error(f"{role.name}_given_up", failed_starts=failed_starts)
            return True
        # Counted from its start: one that has served for longer is started again at once.
        interval = RESTART_INTERVAL_SECONDS * 2**failed_starts
        with contextlib.suppress(TimeoutError):
            pause = max(interval - (time.monotonic() - began), 0.05)
            await asyncio.wait_for(stopping.wait(), pause)
    return False


class _Started:
    """A process, and the pipe in which it tells that it has started.

    A pipe and not an exit status, which does not tell of one that was killed whether it had served
    before.

    Args:
        process: The process.
        started_fd: The pipe's end that is read; it is closed by `close`.
        started: Set when the process has started.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, started_fd: int, started: asyncio.Event
    ) -> None:
        self.process = process
        self._started_fd, self._telling = started_fd, started
        self._started = False
        asyncio.get_running_loop().add_reader(started_fd, self._read)

    def _read(self) -> None:
        """Reads the pipe, which has a byte once the process has started, and ends with it."""
        asyncio.get_running_loop().remove_reader(self._started_fd)
        self._started = os.read(self._started_fd, 1) != b""
        if self._started:
            self._telling.set()

    def close(self) -> bool:
        """Whether the process, which has ended, had started. Closes the pipe: call it once."""
        if asyncio.get_running_loop().remove_reader(self._started_fd):
            self._started = os.read(self._started_fd, 1) != b""
        os.close(self._started_fd)
        return self._started


async def _start(role: _Role, settings: Settings, started: asyncio.Event) -> _Started:
    read_fd, write_fd = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "balance_service",
            *role.arguments,
            str(write_fd),
            env={**settings.environment(), **role.environment},
            pass_fds=(write_fd,),
        )
    except BaseException:
        os.close(read_fd)
        raise
    finally:
        # The process has its own end; with this one open, a read of the other would wait for ever.
        os.close(write_fd)
    return _Started(process, read_fd, started)


async def _stop(role: _Role, process: asyncio.subprocess.Process, drain_seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), drain_seconds + KILL_AFTER_SECONDS)
    except TimeoutError:
        _log.error(f"{role.name}_killed", pid=process.pid)
        process.kill()
        await process.wait()
