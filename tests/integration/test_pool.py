"""Connections to Postgres: what they are told, and how soon they come back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool
from psycopg_pool.pool_async import AddConnection, MaintenanceTask

from balance_service.database import connection
from balance_service.database import pool as pools
from balance_service.database.connection import PostgresConnection
from balance_service.database.pool import DatabaseUnavailable, Pool
from balance_service.database.primary import EarlierTimeline, Primary
from rehearsals.servers import Proxy

# Postgres's own function, but for a timeline that the test sets.
TIMELINES = """
CREATE SCHEMA earlier_in_path;
CREATE TABLE earlier_in_path.set (timeline text);
INSERT INTO earlier_in_path.set VALUES ('00000001');
CREATE FUNCTION earlier_in_path.pg_walfile_name(pg_lsn) RETURNS text LANGUAGE sql
    AS 'SELECT timeline FROM earlier_in_path.set';
"""


async def test_queries_are_not_compiled(pool: Pool) -> None:
    async with pool.connection() as conn:
        assert await (await conn.execute("SHOW jit")).fetchone() == ("off",)


async def test_pool_tries_again_soon_however_long_postgres_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delays: list[float] = []
    enough = asyncio.Event()

    async def schedule(self: Pool, task: MaintenanceTask, delay: float) -> None:
        if isinstance(task, AddConnection):
            delays.append(delay)
            if len(delays) == 40:
                enough.set()
            elif not enough.is_set():
                self.run_task(task)

    monkeypatch.setattr(AsyncConnectionPool, "schedule_task", schedule)
    pool = pools.create("host=127.0.0.1 port=1", 2)
    await pool.open(wait=False)
    try:
        async with asyncio.timeout(30):
            await enough.wait()
    finally:
        await pool.close()
    # The other connection that is missing waits for what the attempts for the first one find.
    assert len(pool._waiting_for_search) == 1
    assert max(delays) <= pools.RECONNECT_SECONDS_MAX
    # Not all at once, either: workers lose their connections together.
    assert len(set(delays)) > 1
    assert min(delays) >= pools.RECONNECT_SECONDS_MAX / 4


async def test_pool_that_cannot_be_opened_says_what_postgres_said() -> None:
    with pytest.raises(DatabaseUnavailable, match="Connection refused"):
        async with pools.opened(pools.create("host=127.0.0.1 port=1", 2)):
            pass


def through(url: str, *proxies: Proxy) -> str:
    """The URL of a database that is reached through any of some proxies."""
    ports = ",".join(str(proxy.port) for proxy in proxies)
    return make_conninfo(url, host=",".join(["127.0.0.1"] * len(proxies)), port=ports)


@pytest_asyncio.fixture
async def proxies(database_url: str) -> AsyncIterator[tuple[Proxy, Proxy]]:
    """Two ways to the test's database."""
    parts = conninfo_to_dict(database_url)
    host, port = str(parts.get("host", "")), int(parts.get("port") or 5432)
    target = Path(host) / f".s.PGSQL.{port}" if host.startswith("/") else port
    both = Proxy(target), Proxy(target)
    for proxy in both:
        await proxy.start()
    yield both
    for proxy in both:
        await proxy.close()


async def test_server_that_stands_still_does_not_hold_up_the_next(
    database_url: str, proxies: tuple[Proxy, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_SECONDS", 120)
    still, other = proxies
    still.stand_still()
    url = through(database_url, *proxies)
    async with (
        asyncio.timeout(60),
        await PostgresConnection.connect(url, connect_timeout=120),
    ):
        assert (still.asked, other.asked) == (1, 1)


async def test_standby_is_found_promoted_while_the_primary_stands_still(
    database_url: str, proxies: tuple[Proxy, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_SECONDS", 60)
    still, standby = proxies
    still.stand_still()
    standby.refusing = True

    async def promote() -> None:
        while not standby.asked:
            await asyncio.sleep(0.01)
        standby.refusing = False

    promoting = asyncio.create_task(promote())
    async with await PostgresConnection.connect(through(database_url, *proxies)) as conn:
        assert not conn.closed
    await promoting


async def test_url_that_no_server_takes_says_why_each_did_not() -> None:
    hosts = "host=127.0.0.1,127.0.0.2 port=1"
    with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1.*refused.*127\.0\.0\.2.*refused"):
        async with pools.opened(pools.create(hosts, 2)):
            pass


async def test_severed_connection_ends_the_wait_for_its_answer(pool: Pool) -> None:
    async with asyncio.timeout(120), pool.connection() as conn:
        with pytest.raises(psycopg.OperationalError), conn.bounded(0.1):
            await conn.execute("SELECT pg_sleep(600)")


async def test_connections_to_a_server_that_is_read_only_are_replaced(database_url: str) -> None:
    name = conninfo_to_dict(database_url)["dbname"]
    setting = f'ALTER DATABASE "{name}" {{}} default_transaction_read_only'
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as admin:
        await admin.execute((setting.format("SET") + " = on").encode())
        async with pools.opened(pools.create(database_url, 2)) as pool:
            await admin.execute(setting.format("RESET").encode())
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                async with pool.connection() as conn:
                    await conn.execute("CREATE TABLE refused ()")
            for _ in range(3):
                async with pool.connection() as conn:
                    await conn.execute("CREATE TABLE IF NOT EXISTS taken ()")


async def test_health_finds_postgres_silent_and_then_back(
    database_url: str, proxies: tuple[Proxy, Proxy]
) -> None:
    proxy, _ = proxies
    async with pools.opened(pools.create(through(database_url, proxy), 2)) as pool:
        proxy.stand_still()
        assert not await pools.answers([pool], 0.5)
        proxy.go_on()
        async with asyncio.timeout(30):
            while not await pools.answers([pool], 2):
                await asyncio.sleep(0.05)


@pytest.fixture
def cluster_url(database_url: str) -> str:
    """A database whose server is, as the service sees it, on the timeline that a table holds."""
    with psycopg.connect(database_url) as conn:
        conn.execute(TIMELINES)
    path = "-csearch_path=earlier_in_path,pg_catalog"
    return make_conninfo(database_url, target_session_attrs="read-write", options=path)


async def test_promotion_ends_the_wait_for_the_old_primary(cluster_url: str) -> None:
    primary = Primary()
    first = pools.create(cluster_url, 2, primary)
    second = pools.create(cluster_url, 2, primary)
    async with asyncio.timeout(120), pools.opened(first), pools.opened(second):
        async with second.connection() as conn:
            waiting = asyncio.create_task(conn.execute("SELECT pg_sleep(600)"))
            await promote_to(cluster_url, 2)
            await first.try_once()
            with pytest.raises(psycopg.OperationalError):
                await waiting
        while not await pools.answers([second], 5):
            await asyncio.sleep(0.05)


async def test_primary_that_lost_its_place_is_refused(cluster_url: str) -> None:
    await promote_to(cluster_url, 2)
    async with pools.opened(pools.create(cluster_url, 2)) as pool:
        await promote_to(cluster_url, 1)
        with pytest.raises(EarlierTimeline, match=r"on timeline 1.* promoted to 2"):
            await pool.try_once()
        await promote_to(cluster_url, 2)
        await pool.try_once()


async def test_server_that_does_not_tell_its_timeline_is_taken(cluster_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(cluster_url) as conn:
        await conn.execute(
            "CREATE OR REPLACE FUNCTION earlier_in_path.pg_walfile_name(pg_lsn) RETURNS text"
            " LANGUAGE plpgsql AS $$ BEGIN RAISE feature_not_supported; END $$"
        )
    async with pools.opened(pools.create(cluster_url, 2)) as pool, pool.connection() as conn:
        await conn.execute("SELECT 1")


async def promote_to(url: str, timeline: int) -> None:
    async with await psycopg.AsyncConnection.connect(url) as conn:
        await conn.execute("UPDATE earlier_in_path.set SET timeline = %s", (f"{timeline:08X}",))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://balance@db1,db2/balance?target_session_attrs=read-write",
        "postgresql://u:p%40ss%2Fword@[::1]:5432/balance",
        "postgres://u:p:a?s#s@db/balance",
        "postgresql:///postgres?host=/run/postgresql",
        "host=db dbname=balance user=u password='p@ss word'",
    ],
)
def test_url_that_libpq_reads_is_taken(url: str) -> None:
    pools.check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@x@127.0.0.1:1/none",
        "postgresql://u:x/hunter2@127.0.0.1:1/none",
        "postgresql://u:hunter2/x@127.0.0.1:1/none",
        "postgresql://u:x@hunter2/x@127.0.0.1:1/none",
        "postgresql://u:hunter2%zz@127.0.0.1:1/none",
        "postgresql://u:hunter2@127.0.0.1:1/none?hunter2",
        "postgres:/u:hunter2@127.0.0.1:1/none",
        "mysql://u:hunter2=@127.0.0.1:1/none",
        "host=127.0.0.1 port=1 password=x hunter2",
        "hunter2",
    ],
)
def test_url_with_a_password_out_of_place_is_refused_without_it(url: str) -> None:
    with pytest.raises(ValueError, match="must") as error:
        pools.create(url, 2)
    assert "hunter2" not in str(error.value)
