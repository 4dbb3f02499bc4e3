"""`verify` on a Citus cluster beside traffic whose commits come to light late, part by part."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
import pytest

from balance_service.config import Settings
from balance_service.database import pool as pools
from balance_service.repositories import cluster_checks, outbox, system_accounts, totals
from tests import postgres
from tests.checkpoints import maker
from tests.integration.test_cluster_races import RACES
from tests.integration.test_cluster_verification import connected, verified

RUNS = 3
# By `make test-long`.
RUNS_LONG = 400


@asynccontextmanager
async def traffic(url: str, settings: Settings) -> AsyncGenerator[None, None]:
    """Every race again and again, beside what a worker does about events and checkpoints."""
    async with pools.create(postgres.of_service(url), 24) as pool:
        making = await maker(pool, settings)

        async def race(first: int) -> None:
            for each in itertools.islice(itertools.cycle(RACES), first, None):
                await each(pool)

        async def maintain() -> None:
            while True:
                async with pools.transaction(pool) as conn:
                    await outbox.number(conn)
                async with pools.transaction(pool) as conn:
                    await totals.roll_up(conn)
                async with pools.transaction(pool) as conn:
                    await system_accounts.roll_up(conn, 100)
                await making.cover_events()
                await asyncio.sleep(0.05)

        busy = [asyncio.create_task(race(first)) for first in range(len(RACES))]
        busy.append(asyncio.create_task(maintain()))
        try:
            yield
            assert not any(task.done() for task in busy)
        finally:
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)


async def find_nothing(url: str, settings: Settings, runs: int) -> None:
    async with traffic(url, settings), connected(postgres.of_service(url)) as conn:
        for _ in range(runs):
            assert not await verified(conn)


async def test_nothing_is_found_beside_traffic(late_url: str, service_settings: Settings) -> None:
    await find_nothing(late_url, service_settings, RUNS)


@pytest.mark.long
async def test_nothing_is_found_in_hundreds_of_runs_beside_traffic(
    late_url: str, service_settings: Settings
) -> None:
    await find_nothing(late_url, service_settings, RUNS_LONG)


async def test_what_is_found_is_right_only_because_it_is_looked_at_again(
    late_url: str, service_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_checks, "PAUSES_SECONDS", ())
    monkeypatch.setattr(cluster_checks, "_PATIENCE_SECONDS", 0)
    service = postgres.of_service(late_url)
    async with traffic(late_url, service_settings), connected(service) as conn:
        for _ in range(10 * RUNS):
            if await verified(conn):
                return
    pytest.fail("no commit came to light while a view was taken")


async def test_fault_is_found_beside_traffic(late_url: str, service_settings: Settings) -> None:
    async with traffic(late_url, service_settings):
        with psycopg.connect(late_url, autocommit=True) as owner:
            while not (
                entry := owner.execute(
                    "SELECT account_id, sequence FROM entries LIMIT 1"
                ).fetchone()
            ):
                await asyncio.sleep(0.01)
            which = " WHERE account_id = %s AND sequence = %s"
            owner.execute(b"UPDATE entries SET effective_at = now()" + which.encode(), entry)
            async with connected(postgres.of_service(late_url)) as conn:
                assert "entries_are_of_movements" in await verified(conn)
            owner.execute(b"UPDATE entries SET effective_at = NULL" + which.encode(), entry)
