"""What tests of the journal in partitions have in common."""

import asyncio
import os
from datetime import UTC, datetime
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest

from balance_service.database import conversion, partitions
from balance_service.database.pool import Pool
from balance_service.domain import ids
from balance_service.domain.state import Done
from tests.commits import commit
from tests.integration.test_commit_path import (
    deposit,
    done,
)

# For tests that begin with a journal that is whole.
BEGINS_WHOLE = pytest.mark.skipif(
    "TEST_PARTITIONED" in os.environ, reason="TEST_PARTITIONED gives a journal in partitions"
)
# Of an empty ledger, the first period may have begun.
PAST = datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC)


def dated(moment: datetime) -> UUID:
    """A request id whose time is a moment."""
    return ids.dated_id(moment)


async def post(pool: Pool, account: UUID, *request_ids: UUID) -> list[Done]:
    answers = await commit(pool, *[deposit(account, 1, each) for each in request_ids])
    return [done(outcomes[0]) for outcomes in answers]


async def ask(url: str, query: LiteralString) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        return await (await conn.execute(query)).fetchall()


async def places(url: str, table: LiteralString = "movements") -> dict[object, str]:
    """Which partition each row is in, by its movement."""
    query: LiteralString = "SELECT movement_id, tableoid::regclass::text FROM "
    return {movement_id: str(name) for movement_id, name in await ask(url, query + table)}


async def convert(url: str, **options: object) -> partitions.Prepared:
    return await asyncio.to_thread(conversion.convert, url, **options)  # type: ignore[arg-type]


def make(url: str, table: str, start: datetime, end: datetime) -> bool:
    with psycopg.connect(url, autocommit=True) as conn, conn.transaction():
        return partitions._make(conn, table, start, end)
