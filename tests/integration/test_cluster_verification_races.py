"""`verify` on a Citus cluster beside traffic whose commits come to light late, part by part."""

import asyncio
import itertools
import secrets
from collections.abc import Iterator

import pytest

from balance_service.config import Settings
from balance_service.database import pool as pools
from balance_service.repositories import cluster_checks, outbox, system_accounts, totals
from tests import cluster, postgres
from tests.checkpoints import maker
from tests.integration.test_cluster_races import RACES
from tests.integration.test_cluster_verification import connected, verified

RUNS = 3
# By `make test-long`.
RUNS_LONG = 400


@pytest.fixture(scope="module")
def busy_url() -> Iterator[str]:
    if not cluster.url():
        pytest.skip("TEST_CLUSTER_URL names no Citus cluster")
    with cluster.database(f"test_{secrets.token_hex(8)}", late=True) as url:
        yield url


async def verified_beside_traffic(url: str, settings: Settings, runs: int) -> list[set[str]]:
    """What each of some runs found while commits come to light late, part by part."""
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

        busy = [asyncio.create_task(race(first)) for first in range(len(RACES))]
        busy.append(asyncio.create_task(maintain()))
        try:
            async with connected(postgres.of_service(url)) as conn:
                found = [await verified(conn) for _ in range(runs)]
            assert not any(task.done() for task in busy)
        finally:
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)
    return found


async def test_nothing_is_found_beside_traffic(busy_url: str, service_settings: Settings) -> None:
    assert await verified_beside_traffic(busy_url, service_settings, RUNS) == [set()] * RUNS


@pytest.mark.long
async def test_nothing_is_found_in_hundreds_of_runs_beside_traffic(
    busy_url: str, service_settings: Settings
) -> None:
    found = await verified_beside_traffic(busy_url, service_settings, RUNS_LONG)
    assert found == [set()] * RUNS_LONG


async def test_what_is_found_once_beside_traffic_may_be_wrong(
    busy_url: str, service_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_checks, "PAUSES_SECONDS", ())
    found = await verified_beside_traffic(busy_url, service_settings, 10 * RUNS)
    assert any(found)
