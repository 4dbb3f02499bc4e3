"""Every version of Postgres that the service is for: it migrates, moves money, and verifies.

`make test-postgres VERSION=15` runs all tests of this folder on one of them.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from balance_service.database import migrate
from balance_service.database import pool as pools
from balance_service.repositories import verification
from tests import fetch_postgres, postgres
from tests.integration.small_ledger import history

# All other tests run on 18.
VERSIONS = [version for version in fetch_postgres.VERSIONS if version < 18]


@pytest.fixture(params=VERSIONS)
def server_of_a_version(request: pytest.FixtureRequest) -> Iterator[str]:
    programs = fetch_postgres.find(request.param)
    if not programs:
        pytest.skip(f"no Postgres {request.param} here: python -m tests.fetch_postgres")
    with (
        tempfile.TemporaryDirectory(prefix="balance-version-") as name,
        postgres.installed(Path(name) / "postgres", programs) as url,
    ):
        yield url


async def test_money_moves_and_verifies(server_of_a_version: str) -> None:
    url = server_of_a_version
    migrate.up(url, postgres.of_service(url))
    migrate.check(url)
    async with pools.opened(pools.create(postgres.of_service(url), 4)) as pool:
        await history(pool)
        async with pool.connection() as conn:
            report = await verification.verify(conn)
    assert report.clean
    assert report.totals["movements"]
