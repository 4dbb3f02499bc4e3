"""What a worker sees when it looks at itself."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from prometheus_client import REGISTRY

from balance_service.database import pool as pools
from balance_service.domain.pricing import Rates, RateSheet
from balance_service.server.sampling import Sampling

NOW = datetime.now(UTC)


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_looks_show_work_pools_process_and_the_age_of_rates() -> None:
    calls: Any = SimpleNamespace(serving=True, under_way=2, streams_open=3)
    queue: Any = SimpleNamespace(commands_waiting=7, commits_under_way=1)
    in_force = RateSheet("ecb", "EUR", NOW - timedelta(hours=1), {})
    to_come = RateSheet("ecb", "EUR", NOW + timedelta(hours=1), {})
    rates: Any = SimpleNamespace(
        current=Rates((in_force, to_come), lambda as_of: as_of + timedelta(days=2))
    )
    sampling = Sampling(calls, queue, {"of_test": pools.create("dbname=none", 5)}, rates)
    sampling.start()
    async with asyncio.timeout(30):
        while value("balance_exchange_rates_stale_timestamp_seconds", source="ecb") is None:
            await asyncio.sleep(0.01)
    await sampling.stop()
    published = in_force.as_of.timestamp()
    assert value("balance_exchange_rates_published_timestamp_seconds", source="ecb") == published
    stale = (in_force.as_of + timedelta(days=2)).timestamp()
    assert value("balance_exchange_rates_stale_timestamp_seconds", source="ecb") == stale
    assert value("balance_workers_serving") == 1
    assert value("balance_calls_under_way") == 2
    assert value("balance_open_streams") == 3
    assert value("balance_queue_commands") == 7
    assert value("balance_commits_under_way") == 1
    assert value("balance_worker_resident_memory_bytes") != 0
    assert value("db_client_connection_max", db_client_connection_pool_name="of_test") == 5
