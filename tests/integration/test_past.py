"""Answers about the past, while commits that belong to it are still under way."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import errors
from balance_service.reading import past
from balance_service.reading.past import settled
from balance_service.repositories import accounts, entries
from tests import postgres
from tests.commits import commit, slow_down
from tests.integration.test_commit_path import deposit, done, open_accounts, transfer

MICROSECOND = timedelta(microseconds=1)


async def clock(pool: Pool) -> datetime:
    async with pool.connection() as conn:
        row = await (await conn.execute("SELECT clock_timestamp()")).fetchone()
    assert row is not None
    found = row[0]
    assert isinstance(found, datetime)
    return found


async def balance_at(pool: Pool, account_id: UUID, as_of: datetime) -> int:
    await settled(pool, [account_id], as_of + MICROSECOND, timeout_seconds=60)
    return await seen_at(pool, account_id, as_of)


async def seen_at(pool: Pool, account_id: UUID, as_of: datetime) -> int:
    async with pool.connection() as conn:
        return await entries.balance_at(conn, account_id, as_of)


def slow_commits(monkeypatch: pytest.MonkeyPatch, rng: random.Random) -> None:
    """Commits that take longer than the margin for clocks, now and then."""
    slow_down(monkeypatch, lambda: rng.choice([0, 0.01, past.SKEW_MAX.total_seconds() * 2]))


async def test_answers_about_the_last_seconds_never_change(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers move money, and take their time; a third is asked what there was just now."""
    rng = random.Random(4)
    async with (
        pools.create(postgres.of_service(database_url), 4) as first,
        pools.create(postgres.of_service(database_url), 4) as second,
        pools.create(postgres.of_service(database_url), 4) as third,
    ):
        opened = await open_accounts(first, 4)
        for account_id in opened:
            await commit(first, deposit(account_id, 10_000))
        slow_commits(monkeypatch, rng)
        stop, moved = asyncio.Event(), asyncio.Semaphore(0)

        async def move(pool: Pool) -> None:
            while not stop.is_set():
                sender, receiver = rng.sample(opened, 2)
                await commit(pool, transfer(sender, receiver, rng.randint(1, 100)))
                moved.release()

        told: list[tuple[UUID, datetime, int]] = []

        async def ask() -> None:
            for _ in range(3):
                account_id = rng.choice(opened)
                as_of = await clock(third) - timedelta(seconds=rng.choice([0.001, 0.1, 1.5]))
                told.append((account_id, as_of, await balance_at(third, account_id, as_of)))

        async with asyncio.TaskGroup() as going_on:
            for pool in (first, second):
                going_on.create_task(move(pool))
                going_on.create_task(move(pool))
            for _ in range(8):
                await moved.acquire()
            await asyncio.gather(*(ask() for _ in range(3)))
            stop.set()
        assert len(told) == 9
        for account_id, as_of, balance in told:
            assert await seen_at(third, account_id, as_of) == balance
        assert len({balance for _, _, balance in told}) > 2


async def test_movement_is_dated_after_it_has_waited_for_its_account(pool: Pool) -> None:
    (account_id,) = await open_accounts(pool, 1)
    async with pools.transaction(pool) as conn:
        await accounts.lock(conn, account_id)
        waiting = asyncio.create_task(commit(pool, deposit(account_id, 1)))
        await asyncio.sleep(0.2)
        released = await clock(pool)
    ((outcome,),) = await waiting
    assert done(outcome).movement.created_at > released


async def test_what_a_locked_account_had_is_not_guessed(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "PATIENCE_SECONDS", 0.1)
    (account_id,) = await open_accounts(pool, 1)
    moment = await clock(pool) - past.SKEW_MAX
    async with pools.transaction(pool) as conn:
        await accounts.lock(conn, account_id)
        # Opened after that moment, so nothing on it can be dated before.
        assert await balance_at(pool, account_id, moment) == 0
        with pytest.raises(errors.Unavailable):
            await balance_at(pool, account_id, await clock(pool))
        with pytest.raises(errors.DeadlinePassed):
            await settled(pool, [account_id], await clock(pool), timeout_seconds=0.3)
    assert await balance_at(pool, account_id, await clock(pool)) == 0


async def test_future_is_not_waited_for(pool: Pool) -> None:
    (account_id,) = await open_accounts(pool, 1)
    end = datetime.now(UTC) + timedelta(hours=1)
    found = await settled(pool, [account_id], end, timeout_seconds=1)
    assert found.now < end
    assert [p.account.account_id for p in found.accounts] == [account_id]


async def test_looking_whether_an_account_is_free_leaves_it_free(pool: Pool) -> None:
    first, second = await open_accounts(pool, 2)
    async with pools.transaction(pool) as conn:
        await accounts.lock(conn, first)
        async with pool.connection() as other:
            _, free = await accounts.find_unlocked(other, [first, second])
            assert free == {second}
            await commit(pool, deposit(second, 1))
