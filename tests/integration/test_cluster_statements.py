"""Statements for a cluster answer as those for one server do; checked on one server."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import psycopg
import pytest

from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain.accounts import AccountFilter
from balance_service.domain.events import Place, Wanted
from balance_service.domain.journals.forms import Period
from balance_service.domain.paging import Filter, Order, Part, Position
from balance_service.domain.statements import Place as PlaceInStatement
from balance_service.repositories import (
    accounts,
    checkpoints,
    entries,
    events,
    holds,
    journal_export,
    leaves,
    outbox,
    reports,
    sales,
    statements,
    totals,
)
from tests.commits import commit
from tests.events import beginning, number_all, read_on
from tests.integration.small_ledger import history
from tests.integration.test_commit_path import deposit, open_accounts, transfer

_PARTS = ("movements", "from", "to")
Read: TypeAlias = Callable[[Connection], Awaitable[Any]]


@asynccontextmanager
async def _by_cluster(pool: Pool) -> AsyncIterator[Connection]:
    """A transaction that uses the statements for a cluster."""
    async with pool.connection() as conn:
        conn.of_cluster = True
        try:
            async with conn.transaction():
                yield conn
        finally:
            conn.of_cluster = False


async def _both(pool: Pool, read: Read) -> Any:
    """What is read by the statements for one server, once those for a cluster read the same."""
    async with pool.connection() as conn:
        answer = await read(conn)
    async with _by_cluster(pool) as conn:
        assert await read(conn) == answer
    return answer


async def _ends(pool: Pool) -> dict[UUID, int]:
    async with pool.connection() as conn:
        rows = await conn.execute("SELECT account_id, sequence FROM accounts WHERE sequence > 0")
        return dict(await rows.fetchall())


@pytest.mark.parametrize("order", list(Order))
async def test_pages_of_statements(pool: Pool, order: Order) -> None:
    await history(pool)
    position = Position(await _ends(pool))
    wanted: Sequence[tuple[Filter, int, int]] = (
        (Filter(), 1000, 0),
        (Filter(), 3, 2),
        (Filter(amount_minor_min=500), 1000, 0),
    )
    for entry_filter, limit, skip in wanted:
        found = await _both(
            pool,
            lambda c: entries.page(c, order, position, entry_filter, limit, skip),  # noqa: B023
        )
        assert found


async def test_parts_of_statements(pool: Pool) -> None:
    await history(pool)
    ends = await _ends(pool)
    parts = [Part(account_id, 1, last) for account_id, last in ends.items()]
    parts += [Part(account_id, last, last) for account_id, last in ends.items()]
    assert all((await _both(pool, lambda c: entries.parts(c, parts))).values())


async def test_holds_of_accounts(pool: Pool) -> None:
    await history(pool)
    account_ids = list(await _ends(pool))
    found = await _both(pool, lambda c: holds.page(c, account_ids, None, None, 3))
    assert found
    after = holds.Place(found[0].created_at, found[0].hold_id)
    assert await _both(pool, lambda c: holds.page(c, account_ids, None, after, 9))


async def test_accounts(pool: Pool) -> None:
    await history(pool)
    account_ids = list(await _ends(pool))
    (first, *_) = await _both(pool, lambda c: accounts.get(c, account_ids))
    owner = first.account.owner_id, first.account.currency
    for read in (
        lambda c: accounts.lock(c, first.account.account_id),
        lambda c: accounts.find_by_number(c, first.number),
        lambda c: accounts.find_by_owner(c, *owner),
    ):
        assert await _both(pool, read) == first
    everybody = AccountFilter("", None)
    found = await _both(pool, lambda c: accounts.search(c, everybody, UUID(int=0), 99, 0, None))
    assert len(found) >= len(account_ids)


async def test_places_in_statements(pool: Pool) -> None:
    await history(pool)
    for account_id, last in (await _ends(pool)).items():
        async with pool.connection() as conn:
            asked = "SELECT created_at FROM entries WHERE account_id = %s"
            moments = [row[0] for row in await (await conn.execute(asked, [account_id])).fetchall()]
        moments += [moment + timedelta(microseconds=1) for moment in moments]
        for moment in moments:
            await _both(
                pool,
                lambda c: statements.place_before(c, account_id, last, moment),  # noqa: B023
            )
        assert (await _place(pool, account_id, last, max(moments))).sequence == last


async def test_unlocked_accounts(pool: Pool) -> None:
    await history(pool)
    account_ids = list(await _ends(pool))

    async def free(conn: Connection) -> set[UUID]:
        return (await accounts.find_unlocked(conn, account_ids))[1]

    async with transaction(pool) as conn:
        await accounts.lock(conn, account_ids[0])
        assert await _both(pool, free) == set(account_ids[1:])


async def test_balances_of_a_past_moment(pool: Pool) -> None:
    await history(pool)
    async with pool.connection() as conn:
        rows = await conn.execute("SELECT DISTINCT created_at FROM entries")
        moments = [moment for (moment,) in await rows.fetchall()]
    for moment in moments:
        found = await _both(
            pool,
            lambda c: reports.balances(c, moment, "", UUID(int=0), 100, 100),  # noqa: B023
        )
        assert found


async def test_commit_that_has_no_number_yet_is_waited_for(pool: Pool) -> None:
    (account_id,) = await open_accounts(pool, 1)
    async with transaction(pool) as conn:
        await accounts.lock(conn, account_id)
        async with _by_cluster(pool) as reader:
            assert len(await reports.under_way(reader)) == 1
            horizon = await totals.read_horizon(reader)
            assert not await totals.is_over(reader, horizon)
    async with _by_cluster(pool) as reader:
        assert not await reports.under_way(reader)
        assert await totals.is_over(reader, horizon)


async def test_events_totals_and_sales(pool: Pool) -> None:
    await history(pool)
    await _both(pool, lambda c: totals.at(c, None))
    async with _by_cluster(pool) as conn:
        numbered = await outbox.number(conn)
    assert numbered
    start = await beginning(pool)
    told = await _both(pool, lambda c: events.page(c, start, Wanted(), 1000, 1000))
    assert len(told.events) > numbered
    account_ids = [next(iter(await _ends(pool)))]
    some = Wanted(account_ids=frozenset(account_ids))
    assert (await _both(pool, lambda c: events.page(c, start, some, 1000, 1000))).events
    assert await _both(pool, lambda c: totals.at(c, None))
    async with _by_cluster(pool) as conn:
        assert await totals.roll_up(conn)
    assert await _both(pool, lambda c: totals.at(c, None))
    month = told.events[-1].time.date().replace(day=1)
    assert await _both(pool, lambda c: sales.page(c, sales.Place(month), month, None, 100))


async def test_leaves_of_movements(pool: Pool) -> None:
    await history(pool)
    await number_all(pool)
    async with pool.connection() as conn:
        newest = (await checkpoints.head(conn)).newest_event
        covered = await checkpoints.told_by_events(conn, 0, newest)
    assert await _both(pool, lambda c: leaves.of_movements(c, covered, b"salt"))


async def test_history_that_has_no_events(pool: Pool) -> None:
    await history(pool)
    left = checkpoints.History(datetime.now(UTC), UUID(int=0))
    assert await _both(pool, lambda c: checkpoints.told_by_journal(c, left))


async def test_journal_of_a_part_of_the_log(pool: Pool) -> None:
    await history(pool)
    await number_all(pool)
    async with pool.connection() as conn:
        newest = (await checkpoints.head(conn)).newest_event
    for period in (
        Period(datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)),
        Period(datetime.now(UTC), datetime(3000, 1, 1, tzinfo=UTC)),
    ):
        sides = await _both(pool, lambda c: journal_export.of_log(c, 0, newest, period))  # noqa: B023
        assert bool(sides) == (period.start.year == 2000)


@pytest.mark.parametrize(
    "parts", list(itertools.permutations(("movements", "from", "to"))), ids="-".join
)
async def test_event_waits_for_every_part_of_its_commit(
    pool: Pool, database_url: str, parts: Sequence[str]
) -> None:
    """A commit comes to light part by part, the outbox first, and a later one is whole."""
    sender, receiver = await open_accounts(pool, 2)
    await number_all(pool)
    start = await _end(pool)
    await commit(pool, deposit(sender, 500))
    await commit(pool, transfer(sender, receiver, 5))
    await commit(pool, deposit(sender, 7))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        rest = {"from": (sender, 2), "to": (receiver, 1)}
        for part in parts:
            await _take_away(owner, part, rest)
        assert await _number(pool) == 1
        for part in parts:
            assert await _number(pool) == 0
            await owner.execute(_put_back(part))
    assert await _number(pool) == 2
    told, _ = await read_on(pool, start)
    assert [event.balances[0].balance_minor for event in told] == [500, 495, 502]


async def test_opening_waits_for_the_account(pool: Pool, database_url: str) -> None:
    (account_id,) = await open_accounts(pool, 1)
    kept = "CREATE TEMP TABLE kept AS SELECT * FROM accounts WHERE account_id = %s"
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        await owner.execute(kept, [account_id])
        await owner.execute("DELETE FROM accounts")
        assert await _number(pool) == 0
        await owner.execute("INSERT INTO accounts TABLE kept")
    assert await _number(pool) == 1


async def test_line_waits_for_its_movement(pool: Pool, database_url: str) -> None:
    (account_id,) = await open_accounts(pool, 1)
    await commit(pool, deposit(account_id, 500))
    position = Position({account_id: 1})
    owned = await psycopg.AsyncConnection.connect(database_url)
    async with owned as owner, _by_cluster(pool) as c:
        await owner.execute("CREATE TEMP TABLE kept AS TABLE movements")
        await owner.execute("DELETE FROM movements")
        await owner.commit()
        reading = asyncio.create_task(entries.page(c, Order.DATE, position, Filter(), 9))
        asked = "SELECT FROM pg_stat_activity WHERE pid = %s AND query LIKE '%%MATERIALIZED%%'"
        async with asyncio.timeout(30):
            while not (await owner.execute(asked, [c.info.backend_pid])).rowcount:
                await owner.commit()
        assert not reading.done()
        await owner.execute("INSERT INTO movements TABLE kept")
        await owner.commit()
        (line,) = await reading
    assert line.movement.amount_minor == 500


async def _place(pool: Pool, account_id: UUID, last: int, moment: datetime) -> PlaceInStatement:
    async with _by_cluster(pool) as conn:
        return await statements.place_before(conn, account_id, last, moment)


def _put_back(part: str) -> bytes:
    table = part if part == "movements" else "entries"
    return f"INSERT INTO {table} TABLE kept_{part}".encode()


async def _take_away(
    owner: psycopg.AsyncConnection, part: str, entered: Mapping[str, tuple[UUID, int]]
) -> None:
    """Puts a part of the transfer of 5 aside, into a table of this connection."""
    if part in entered:
        kept, which = "entries", "account_id = %s AND sequence = %s"
        values: Sequence[object] = entered[part]
    else:
        kept, which, values = "movements", "amount_minor = %s", [5]
    found = f"FROM {kept} WHERE {which}"
    await owner.execute(
        f"CREATE TEMP TABLE kept_{part} AS SELECT * {found}".encode(),
        values,
    )
    await owner.execute(f"DELETE {found}".encode(), values)


async def _number(pool: Pool) -> int:
    async with _by_cluster(pool) as conn:
        return await outbox.number(conn)


async def _end(pool: Pool) -> Place:
    async with pool.connection() as conn:
        return await events.newest(conn)
