"""Connections to Postgres, with bounds on waiting. What each may do lies at its role: `roles`."""

import asyncio
import math
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool
from psycopg_pool.pool_async import AddConnection, MaintenanceTask

# Names for the layers above, which speak to repositories and not to psycopg.
Connection = AsyncConnection
PostgresError = psycopg.Error

CONNECT_TIMEOUT_SECONDS = 5
POOL_TIMEOUT_SECONDS = 5.0
# How long a pool waits at most before it tries again to connect.
RECONNECT_SECONDS_MAX = 1.0

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


class NotReplicated(psycopg.OperationalError):
    """Postgres committed here and gave up waiting for its standby; a failover may undo that."""


class DatabaseUnavailable(Exception):  # noqa: N818 - it is what it says
    """Postgres cannot be reached."""


class _WarningAwareConnection(AsyncConnection):
    """A connection that remembers whether Postgres sent a warning.

    A commit that was not replicated ends in nothing but a warning: see `check_replicated`.
    """

    warning_received = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - psycopg's own
        super().__init__(*args, **kwargs)
        self.add_notice_handler(self._remember_warning)

    def _remember_warning(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self.warning_received = True


class Pool(AsyncConnectionPool):
    """Connections, which come back soon after Postgres does.

    They are in autocommit mode: a read is one round trip, and whoever needs a transaction says so.
    """

    def __init__(self, database_url: str, size: int) -> None:
        self._url = database_url
        super().__init__(
            database_url,
            min_size=min(2, size),
            max_size=size,
            open=False,
            connection_class=_WarningAwareConnection,
            timeout=POOL_TIMEOUT_SECONDS,
            kwargs=_OPTIONS,
            # It never gives up: a pool that did would connect again only when it is asked to.
            reconnect_timeout=math.inf,
        )

    async def try_once(self) -> None:
        """Makes a connection and closes it, for its error: the pool raises only a timeout."""
        async with await _WarningAwareConnection.connect(self._url, **_OPTIONS):
            pass

    async def schedule_task(self, task: MaintenanceTask, delay: float) -> None:
        """Schedules the pool's own work, such as the next attempt to connect.

        psycopg doubles the delay with each failed attempt, so callers would wait long after
        Postgres is back. The jitter keeps workers from connecting all at once.
        """
        if isinstance(task, AddConnection):
            delay = RECONNECT_SECONDS_MAX * random.uniform(0.5, 1)  # noqa: S311
        await super().schedule_task(task, delay)


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
    """Whether Postgres answers within some seconds; pools that find it silent tidy up.

    Args:
        pools: The first is asked with; the others may be busy for longer.
        timeout_seconds: How long the answer may take.
    """
    with suppress(Exception):
        async with asyncio.timeout(timeout_seconds), pools[0].connection() as conn:
            await conn.execute("SELECT 1")
            return True
    # Connections that died with the server go now, not when a call borrows them.
    for pool in pools:
        with suppress(Exception):
            await asyncio.wait_for(pool.check(), timeout_seconds)
    return False


def create(database_url: str, size: int) -> Pool:
    """A pool that is not open yet.

    Args:
        database_url: A libpq URL or connection string; may name several hosts.
        size: Connections at most.

    Raises:
        ValueError: libpq cannot read the URL, or its password is not percent-encoded.
    """
    check_url(database_url)
    return Pool(database_url, size)


def check_replicated(conn: Connection) -> None:
    """Raises NotReplicated if a commit on the connection did not reach the standby it waited for.

    A statement timeout or a cancellation ends that wait with a warning, and a COMMIT that succeeded
    (PostgreSQL's manual, "Synchronous Replication"). It is the only warning that the service's
    transactions meet.
    """
    if isinstance(conn, _WarningAwareConnection) and conn.warning_received:
        conn.warning_received = False
        raise NotReplicated


@asynccontextmanager
async def pipelined_transaction(pool: AsyncConnectionPool) -> AsyncIterator[AsyncConnection]:
    """As `transaction`, in pipeline mode: statements are sent without waiting for answers.

    BEGIN and COMMIT are sent here, because psycopg's own `transaction()` would wait for Postgres
    after each of them.
    """
    async with pool.connection() as conn:
        async with conn.pipeline():
            await conn.execute("BEGIN")
            yield conn
            await conn.execute("COMMIT")
        # Leaving the pipeline waited for Postgres to say that the commit is durable.
        check_replicated(conn)


@asynccontextmanager
async def transaction(
    pool: AsyncConnectionPool, *, rehearsal: bool = False
) -> AsyncIterator[AsyncConnection]:
    """A connection within a transaction, committed at the end unless something is raised.

    Args:
        pool: Where the connection is from.
        rehearsal: Whether it is rolled back in any case.
    """
    async with pool.connection() as conn:
        async with conn.transaction(force_rollback=rehearsal):
            yield conn
        check_replicated(conn)
