"""Reports over all accounts: balances of a past moment, and movements found by time."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import psycopg
import pytest

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import errors
from balance_service.domain.movements import Kind
from balance_service.domain.reports import MovementSearch
from balance_service.reading.past import SKEW_MAX, settled_everywhere
from balance_service.repositories import entries, outbox, reports
from tests.commits import commit
from tests.events import number_all
from tests.integration.small_ledger import history
from tests.integration.test_commit_path import deposit, done, open_accounts, transfer
from tests.integration.test_past import clock
from tests.integration.test_periods import BEGINNING, DAY, MICROSECOND, Steps, live

NOBODY = UUID(int=0)
Row: TypeAlias = tuple[UUID, int, str, int, datetime]


async def test_balances_of_a_moment_are_those_of_each_account(
    pool: Pool, database_url: str
) -> None:
    steps: Steps = [
        (timedelta(0), 5, None),
        (DAY, -7, None),
        (MICROSECOND, 9, None),
        (DAY, 1, None),
    ]
    lived = [await live(pool, database_url, steps[:count]) for count in (4, 1, 3)]
    (late,) = await open_accounts(pool, 1)
    dates = [entry.created_at for _, listed in lived for entry in listed]
    moments = {date + n * MICROSECOND for date in dates for n in (-1, 0)}
    for as_of in sorted(moments):
        async with pool.connection() as conn:
            told = {
                then.account_id: then.balance_minor
                for then in await reports.balances(conn, as_of, "", NOBODY, 100, 100)
            }
            there = {account for account, _ in lived if as_of >= BEGINNING}
            assert told == {one: await entries.balance_at(conn, one, as_of) for one in there}
    async with pool.connection() as conn:
        now = await reports.clock(conn)
        first = await reports.balances(conn, now, "", NOBODY, 2, 100)
        rest = await reports.balances(conn, now, "RUB", first[-1].account_id, 100, 100)
        assert [then.account_id for then in [*first, *rest]] == [*(one for one, _ in lived), late]
        assert [then.sequence for then in [*first, *rest]] == [5, 2, 4, 0]
        assert await reports.balances(conn, now, "EUR", NOBODY, 100, 100) == []
        assert len(await reports.balances(conn, now, "RUB", NOBODY, 100, 3)) == 3


async def test_moment_is_over_once_every_transaction_that_may_be_in_it_has_ended(
    pool: Pool, database_url: str
) -> None:
    (account,) = await open_accounts(pool, 1)
    # On a cluster, what has no number yet is waited for, too.
    await number_all(pool)
    async with await psycopg.AsyncConnection.connect(database_url) as slow:
        await slow.execute(
            "SELECT account_id FROM accounts WHERE account_id = %s FOR UPDATE", [account]
        )
        end = await clock(pool) - SKEW_MAX
        with pytest.raises(errors.DeadlinePassed):
            await settled_everywhere(pool, end, timeout_seconds=0.2)
        waiting = asyncio.create_task(settled_everywhere(pool, end, timeout_seconds=60))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await slow.rollback()
    async with asyncio.timeout(30):
        assert await waiting > end
    # What begins later is not waited for.
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        late = asyncio.create_task(settled_everywhere(pool, end, timeout_seconds=60))
        await late
        await other.execute("SELECT pg_current_xact_id()")
    future = await clock(pool) + timedelta(hours=1)
    assert await settled_everywhere(pool, future, timeout_seconds=60) < future


async def found(pool: Pool, wanted: MovementSearch, reach: int = 3) -> list[UUID]:
    """All movements of a search, a part of the log at a time."""
    async with pool.connection() as conn:
        last = await _last(pool)
        parts = [
            await reports.movements(conn, wanted, after, min(after + reach, last), 100)
            for after in range(0, last, reach)
        ]
    return [movement for part in parts for _, movement in part]


async def _last(pool: Pool) -> int:
    async with pool.connection() as conn:
        row = await (await conn.execute("SELECT max(last_sequence) FROM events")).fetchone()
    assert row is not None
    return int(row[0])


async def test_movements_are_found_by_time_kind_currency_and_amount(pool: Pool) -> None:
    began = await clock(pool)
    await history(pool)
    async with pools.transaction(pool) as conn:
        await outbox.number(conn)
    rows = await _journal(pool)
    moving = [row for row in rows if row[1] not in (10, 11, 12)]
    everything = MovementSearch(began - DAY)
    assert sorted(await found(pool, everything)) == sorted(row[0] for row in moving)
    middle = sorted(row[4] for row in moving)[len(moving) // 2]
    cases: list[tuple[MovementSearch, Callable[[Row], bool]]] = [
        (everything._replace(start_time=middle), lambda row: row[4] >= middle),
        (everything._replace(end_time=middle), lambda row: row[4] < middle),
        (everything._replace(kind=Kind.REFUND), lambda row: row[1] == Kind.REFUND),
        (everything._replace(currency="USD"), lambda row: row[2] == "USD"),
        (everything._replace(amount_min=100), lambda row: row[3] >= 100),
        (everything._replace(amount_max=100), lambda row: row[3] <= 100),
    ]
    for wanted, keeps in cases:
        kept = sorted(row[0] for row in moving if keeps(row))
        assert kept
        assert sorted(await found(pool, wanted)) == kept
        assert len(kept) < len(moving)


async def _journal(pool: Pool) -> list[Row]:
    async with pool.connection() as conn:
        return await (
            await conn.execute(
                "SELECT movement_id, kind, currency, amount_minor, created_at FROM movements"
                " WHERE movement_id > %s ORDER BY movement_id",
                [NOBODY],
            )
        ).fetchall()


async def test_part_of_the_log_tells_whether_it_passes_a_moment(pool: Pool) -> None:
    first, second = await open_accounts(pool, 2)
    done((await commit(pool, deposit(first, 10)))[0][0])
    middle = await clock(pool)
    done((await commit(pool, transfer(first, second, 3)))[0][0])
    async with pools.transaction(pool) as conn:
        await outbox.number(conn)
        # Two accounts were opened before.
        assert await reports.passes(conn, 0, 4, middle)
        assert not await reports.passes(conn, 0, 3, middle)
        assert not await reports.passes(conn, 4, 9, middle)
