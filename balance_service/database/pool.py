"""Connections to Postgres, with bounds on waiting. What each may do lies at its role: `roles`."""

import asyncio
import math
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Final
from weakref import WeakSet

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from psycopg_pool.pool_async import AddConnection, MaintenanceTask

from balance_service.database import cluster
from balance_service.database.connection import CONNECT_TIMEOUT_SECONDS, PostgresConnection
from balance_service.database.primary import Primary

# Names for the layers above, which speak to repositories and not to psycopg.
Connection = AsyncConnection
PostgresError = psycopg.Error

POOL_TIMEOUT_SECONDS = 5.0
# How long a pool waits at most before it tries again to connect.
RECONNECT_SECONDS_MAX = 0.5
# How long an answer of health may take before another connection is tried beside it.
PATIENCE_SECONDS = 0.25
# A commit that takes longer than any statement may (`roles`) is on a server that stands still.
COMMIT_SECONDS_MAX = 35.0

_OPTIONS: Final[dict[str, Any]] = {
    "autocommit": True,
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    # By the process's number, an operator finds whose statements these are.
    "application_name": f"balance-service {os.getpid()}",
    # A peer that vanished is noticed in about fifteen seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}


# What Citus makes of a failure on another server while rows are copied there, or from there.
_WITHOUT_CODE = (psycopg.errors.InternalError_, psycopg.errors.IoError)


class NotReplicated(psycopg.OperationalError):
    """Postgres committed here and gave up waiting for its standby; a failover may undo that."""


class ServerAway(psycopg.OperationalError):
    """A server of a cluster failed, or said something that Citus repeats without its code."""


class DatabaseUnavailable(Exception):  # noqa: N818 - it is what it says
    """Postgres cannot be reached."""


class Pool(AsyncConnectionPool[PostgresConnection]):
    """Connections, which come back soon after Postgres does, or after another server took over.

    They are in autocommit mode: a read is one round trip, and whoever needs a transaction says so.

    Args:
        database_url: A libpq URL or connection string.
        size: Connections at most.
        primary: Shared with the worker's other pools.
    """

    # Of a standby's: before when it shows all that was acknowledged. The primary shows all of it.
    as_of: datetime | None = None
    # Of a standby's: before when it shows all that is ever dated. Elsewhere that is waited for.
    final_until: datetime | None = None

    def __init__(self, database_url: str, size: int, primary: Primary) -> None:
        self._url = database_url
        self._primary = primary
        primary.when_changed(self.replace_all)
        # Where the URL asks for the primary, another server may become it.
        attributes = conninfo_to_dict(database_url).get("target_session_attrs")
        self._of_a_cluster = attributes in ("read-write", "primary")
        # Made since all were last thrown away.
        self._current: WeakSet[PostgresConnection] = WeakSet()
        # The series of attempts that looks for Postgres, and those that wait for what it finds.
        self._searching: object | None = None
        self._waiting_for_search: list[AddConnection] = []
        super().__init__(
            database_url,
            min_size=min(2, size),
            max_size=size,
            open=False,
            connection_class=PostgresConnection,
            configure=self._admit,
            timeout=POOL_TIMEOUT_SECONDS,
            kwargs=_OPTIONS,
            # It never gives up: a pool that did would connect again only when it is asked to.
            reconnect_timeout=math.inf,
        )

    @asynccontextmanager
    async def connection(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's own
    ) -> AsyncIterator[PostgresConnection]:
        """Lends a connection. If its server turns out to be read-only, all are thrown away.

        Raises:
            ServerAway: Another server of a cluster failed, and what is done may be done again.
        """
        async with super().connection(timeout) as conn:
            try:
                yield conn
            except psycopg.errors.ReadOnlySqlTransaction:
                if conn in self._current:
                    await self.replace_all()
                raise
            except _WITHOUT_CODE as error:
                if not conn.of_cluster:
                    raise
                raise ServerAway(str(error)) from error

    async def replace_all(self) -> None:
        """Throws every connection away; whoever waits for the answer of one gets an error."""
        replaced, self._current = self._current, WeakSet()
        for conn in replaced:
            conn.sever()
        await self.drain()

    def beside(self, size: int) -> "Pool":
        """Another pool of the same URL, which learns with this one that the primary changed."""
        return Pool(self._url, size, self._primary)

    async def try_once(self) -> None:
        """Makes a connection and closes it, for its error: the pool raises only a timeout."""
        async with await PostgresConnection.connect(self._url, **_OPTIONS) as conn:
            await self._admit(conn)

    async def schedule_task(self, task: MaintenanceTask, delay: float) -> None:
        """Schedules the pool's own work, such as the next attempt to connect.

        psycopg doubles the delay with each failed attempt, so callers would wait long after
        Postgres is back; and it tries as often as there are connections missing. Here one series of
        attempts goes on, soon and with a jitter that keeps workers apart, and the others wait.
        """
        if isinstance(task, AddConnection):
            if self._searching not in (None, task.attempt):
                self._waiting_for_search.append(task)
                return
            self._searching = task.attempt
            delay = RECONNECT_SECONDS_MAX * random.uniform(0.5, 1)  # noqa: S311
        await super().schedule_task(task, delay)

    async def _admit(self, conn: PostgresConnection) -> None:
        """Takes a new connection, unless its server has lost its place."""
        if self._of_a_cluster:
            try:
                with conn.bounded(CONNECT_TIMEOUT_SECONDS):
                    await self._primary.meet(conn)
            except BaseException:
                await conn.close()
                raise
        conn.of_cluster = await cluster.is_distributed(conn)
        self._current.add(conn)
        self._searching = None
        waiting, self._waiting_for_search = self._waiting_for_search, []
        for task in waiting:
            self.run_task(task)


def check_url(database_url: str) -> None:
    """Raises ValueError unless libpq reads it, and reads a password nowhere but in its place.

    The error does not repeat what libpq says, which quotes the URL. A password with an unencoded
    "@" or "/" would be read as part of the host or the database, and be named in later errors.
    """
    try:
        parts = conninfo_to_dict(database_url)
    except psycopg.Error:
        raise ValueError("must be a URL or a connection string that libpq reads") from None
    if "://" in database_url and any("@" in str(parts.get(n, "")) for n in ("host", "dbname")):
        raise ValueError('must have "@", "/" and ":" within names and passwords percent-encoded')


def one_line(error: psycopg.Error) -> str:
    """Postgres's message in one line, without its details: these may quote a row with a hash."""
    return " ".join((error.diag.message_primary or str(error)).split())


@asynccontextmanager
async def opened(pool: Pool) -> AsyncIterator[Pool]:
    """A pool that is connected, and closed at the end.

    Raises:
        DatabaseUnavailable: Postgres did not answer in time.
        psycopg.Error: Postgres answered, but the role or the settings are refused.
    """
    try:
        try:
            await pool.try_once()
            await pool.open(wait=True, timeout=CONNECT_TIMEOUT_SECONDS * 2)
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(f"Postgres does not answer: {one_line(error)}") from None
        yield pool
    finally:
        await pool.close()


async def answers(pools: Sequence[Pool], timeout_seconds: float) -> bool:
    """Whether Postgres answers within some seconds; pools that find it silent connect anew.

    Args:
        pools: The first is asked with; the others may be busy for longer.
        timeout_seconds: How long the answer may take.
    """
    looking = asyncio.create_task(_look(pools[0]))
    try:
        async with pools[0].connection(timeout_seconds) as conn:
            with conn.bounded(timeout_seconds):
                await conn.execute("SELECT 1")
    except PoolTimeout:
        return False
    except psycopg.Error:
        # Connections that died with the server go now, not when a call borrows them.
        for pool in pools:
            await pool.drain()
        return False
    finally:
        looking.cancel()
    return True


async def _look(pool: Pool) -> None:
    """Meets a new primary even while every connection waits for the answer of the old one."""
    await asyncio.sleep(PATIENCE_SECONDS)
    with suppress(psycopg.Error):
        await pool.try_once()


def create(database_url: str, size: int, primary: Primary | None = None) -> Pool:
    """A pool that is not open yet.

    Args:
        database_url: A libpq URL or connection string; may name several hosts.
        size: Connections at most.
        primary: Shared with other pools of the same URL; None for a pool of its own.

    Raises:
        ValueError: libpq cannot read the URL, or its password is not percent-encoded.
    """
    check_url(database_url)
    return Pool(database_url, size, primary or Primary())


def check_replicated(conn: Connection) -> None:
    """Raises NotReplicated if a commit on the connection did not reach the standby it waited for.

    A statement timeout or a cancellation ends that wait with a warning, and a COMMIT that succeeded
    (PostgreSQL's manual, "Synchronous Replication"). So does Citus where a part was prepared and
    could not be committed yet.
    """
    if isinstance(conn, PostgresConnection) and conn.warning_received:
        conn.warning_received = False
        raise NotReplicated


@asynccontextmanager
async def pipelined_transaction(pool: Pool) -> AsyncIterator[AsyncConnection]:
    """As `transaction`, in pipeline mode: statements are sent without waiting for answers.

    BEGIN and COMMIT are sent here, because psycopg's own `transaction()` would wait for Postgres
    after each of them.
    """
    async with pool.connection() as conn:
        with conn.bounded(COMMIT_SECONDS_MAX):
            async with conn.pipeline():
                await conn.execute("BEGIN")
                yield conn
                await conn.execute("COMMIT")
        # Leaving the pipeline waited for Postgres to say that the commit is durable.
        check_replicated(conn)


@asynccontextmanager
async def transaction(pool: Pool, *, rehearsal: bool = False) -> AsyncIterator[AsyncConnection]:
    """A connection within a transaction, committed at the end unless something is raised.

    Args:
        pool: Where the connection is from.
        rehearsal: Whether it is rolled back in any case.
    """
    async with pool.connection() as conn:
        async with conn.transaction(force_rollback=rehearsal):
            if conn.of_cluster:
                await cluster.commit_in_two_phases(conn)
            yield conn
        check_replicated(conn)
