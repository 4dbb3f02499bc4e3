"""A primary with a standby, processes of their own, and reads that say how fresh they are to be."""

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from balance_client import freshness, v1
from balance_service.database.pool import Pool
from rehearsals.servers import BIN, Postgres
from tests import postgres
from tests.service import Person

# What is waited for comes in a second, on a machine that has time.
PATIENCE_SECONDS = 60
# What a standby that was stopped has missed is kept, whatever checkpoints there were.
_FAST = (
    "fsync=off",
    "full_page_writes=on",
    "max_connections=60",
    "shared_buffers=32MB",
    "wal_keep_size=256MB",
)


@dataclass
class Pair:
    """A primary whose databases are cloned from the migrated template, and its standby."""

    primary: Postgres
    standby: Postgres
    folder: Path

    @property
    def url(self) -> str:
        """The superuser's URL of the primary."""
        return f"postgresql://postgres@/postgres?host={self.primary.socket.parent}"

    def behind(self, database_url: str, standby: Postgres | None = None) -> str:
        """The URL by which the service reads a database from a standby."""
        folder = (standby or self.standby).socket.parent
        return postgres.of_service(make_conninfo(database_url, host=str(folder)))

    def another(self, name: str) -> Postgres:
        """One more standby, which runs."""
        made = Postgres(self.folder / name, source=self.primary)
        made.start()
        return made

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Holds up the standby: it receives the log, and shows nothing of what is new."""
        caught_up(self.primary, self.standby)
        self.standby.execute("SELECT pg_wal_replay_pause()")
        _wait_for(self.standby, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
        try:
            yield
        finally:
            self.standby.execute("SELECT pg_wal_replay_resume()")


def caught_up(primary: Postgres, standby: Postgres) -> None:
    """Waits until a standby has replayed what the primary has flushed."""
    ((position,),) = primary.execute("SELECT pg_current_wal_flush_lsn()")
    _wait_for(standby, f"SELECT pg_last_wal_replay_lsn() >= '{position}'")


def _wait_for(server: Postgres, condition: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while server.execute(condition) != [(True,)]:
        assert time.monotonic() < deadline, condition
        time.sleep(0.01)


@contextlib.contextmanager
def pair() -> Iterator[Pair]:
    """A primary and a standby, which are stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="balance-standbys-"))
    folder.chmod(0o755)
    servers: list[Postgres] = []
    try:
        primary = Postgres(folder / "primary", _FAST, programs=BIN)
        servers.append(primary)
        primary.start()
        made = Pair(primary, primary, folder)
        postgres.make_template(made.url)
        made.standby = made.another("standby")
        servers.append(made.standby)
        yield made
    finally:
        for server in reversed(servers):
            server.close()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Told:
    """An answer, and what the service said of how fresh it is."""

    answer: Any
    read_from: str
    as_of: str
    position: str


async def ask(
    method: Any,
    request: object,
    max_staleness: str | None = "60s",
    at_least: str | None = None,
) -> Told:
    """Calls a method of the Python client with the headers of freshness."""
    sent = {freshness.MAX_STALENESS: max_staleness, freshness.AT_LEAST: at_least}
    metadata = [(name, value) for name, value in sent.items() if value is not None]
    answer, trailers = await method.with_trailers(request, metadata=metadata)
    found = {name: str(value) for name, value in trailers}
    names = (freshness.READ_FROM, freshness.AS_OF, freshness.POSITION)
    return Told(answer, *(found.get(name, "") for name in names))


async def balance(
    person: Person, account: str, max_staleness: str | None = "60s", at_least: str | None = None
) -> Told:
    request = v1.GetAccountRequest(account=account)
    return await ask(person.client.accounts.GetAccount, request, max_staleness, at_least)


async def until(read: Callable[[], Awaitable[Told]], read_from: str) -> Told:
    """Reads until a kind of server answers."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (told := await read()).read_from != read_from:
            await asyncio.sleep(0.05)
    return told


@dataclass
class Made:
    """Who made something in parts.

    Args:
        by: Each server that was asked.
        broken_after: After how many parts of a standby's its connection breaks; None for never.
    """

    by: list[str] = field(default_factory=list)
    broken_after: int | None = None


def watched(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> Made:
    """Watches who makes parts, by a function that takes a pool."""
    real, made = getattr(module, name), Made()

    async def watching(pool: Pool, *args: Any, **named: Any) -> AsyncGenerator[Any, None]:
        made.by.append("standby" if pool.as_of else "primary")
        number = 0
        async with contextlib.aclosing(real(pool, *args, **named)) as parts:
            async for part in parts:
                yield part
                number += 1
                if pool.as_of and number == made.broken_after:
                    raise psycopg.OperationalError

    monkeypatch.setattr(module, name, watching)
    return made


@asynccontextmanager
async def locked(pair: Pair, database_url: str, table: str) -> AsyncIterator[None]:
    """Has a standby, and no longer the primary, hold a lock behind which reads of a table wait."""
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        await conn.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        # Sent at once, with the lock before it.
        await conn.execute("SELECT pg_switch_wal()")
        with pair.paused():
            await conn.rollback()
            yield
