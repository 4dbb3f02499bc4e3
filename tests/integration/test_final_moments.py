"""Moments that are over on all accounts, while commits that belong to them are under way."""

import asyncio
import random
from datetime import datetime

import pytest

from balance_service.database import pool as pools
from balance_service.database.connection import PostgresConnection
from balance_service.database.pool import Connection, Pool
from balance_service.reading import final_moments
from balance_service.reading.final_moments import NEVER, FinalMoments
from balance_service.reading.past import SKEW_MAX
from tests import postgres
from tests.commits import commit, slow_down
from tests.integration.test_commit_path import deposit, done, open_accounts, transfer
from tests.integration.test_sub_accounts import number, shop

# Of a commit: longer than the margin for clocks.
LONG_SECONDS = 2 * SKEW_MAX.total_seconds()
# Answers that are awaited.
DIFFERENT = 3


async def entered(conn: Connection, moment: datetime) -> tuple[int, int]:
    """How many entries are dated before a moment, and the sum of their numbers."""
    query = "SELECT count(*), coalesce(sum(sequence), 0)::bigint FROM entries WHERE created_at < %s"
    row = await (await conn.execute(query, [moment])).fetchone()
    assert row is not None
    return row[0], row[1]


async def after_a_look(conn: PostgresConnection, final: FinalMoments) -> datetime:
    seen = await final_moments.look(conn)
    assert seen is not None
    return final.after(seen)


async def test_nothing_is_dated_before_a_final_moment_any_more(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, final = random.Random(6), FinalMoments()
    async with pools.create(postgres.of_service(database_url), 6) as pool:
        opened = await open_accounts(pool, 6)
        await commit(pool, *(deposit(each, 1_000) for each in opened))
        slow_down(monkeypatch, lambda: rng.choice([0.01, 0.02, 0.05, 0.1, LONG_SECONDS]))
        stopped = asyncio.Event()

        async def pay() -> None:
            while not stopped.is_set():
                sender, receiver = rng.sample(opened, 2)
                await commit(pool, transfer(sender, receiver, 1))

        told: dict[datetime, tuple[int, int]] = {}
        async with asyncio.TaskGroup() as going_on, asyncio.timeout(60):
            for _ in range(3):
                going_on.create_task(pay())
            while len(set(told.values())) < DIFFERENT:
                async with pool.connection() as conn:
                    moment = await after_a_look(conn, final)
                    if moment != NEVER and moment not in told:
                        told[moment] = await entered(conn, moment)
                await asyncio.sleep(0.1)
            stopped.set()
        async with pool.connection() as conn:
            assert told == {moment: await entered(conn, moment) for moment in told}


async def test_receipt_is_waited_for_until_it_has_its_number(pool: Pool) -> None:
    worker, account, (payer, *_) = await shop(pool)
    (paid,) = await worker.commit(transfer(payer, account, 1))
    date, final = done(paid).movement.created_at, FinalMoments()
    async with pool.connection() as conn, asyncio.timeout(60):
        while (seen := await final_moments.look(conn)) and seen.now < date + 2 * SKEW_MAX:
            assert final.after(seen) <= date
            await asyncio.sleep(0.1)
        await number(pool, account)
        while await after_a_look(conn, final) <= date:
            await asyncio.sleep(0.1)
