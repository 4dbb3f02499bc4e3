"""Connections to Postgres: what they are told, and how soon they come back."""

import asyncio

import pytest
from psycopg_pool import AsyncConnectionPool
from psycopg_pool.pool_async import AddConnection, MaintenanceTask

from balance_service.database import pool as pools
from balance_service.database.pool import DatabaseUnavailable, Pool


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
    assert max(delays) <= pools.RECONNECT_SECONDS_MAX
    # Not all at once, either: workers lose their connections together.
    assert len(set(delays)) > 1
    assert min(delays) >= pools.RECONNECT_SECONDS_MAX / 4


async def test_pool_that_cannot_be_opened_says_what_postgres_said() -> None:
    with pytest.raises(DatabaseUnavailable, match="Connection refused"):
        async with pools.opened(pools.create("host=127.0.0.1 port=1", 2)):
            pass


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
