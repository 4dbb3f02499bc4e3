"""The log of events on real Postgres: nothing missing, nothing twice, each account in its order."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import LiteralString
from uuid import UUID

import pytest

from balance_service.config import Settings
from balance_service.database import pool as pools
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors, ids, ledger
from balance_service.domain.events import EventType, Place, Wanted
from balance_service.domain.requests import Request
from balance_service.repositories import accounts, events, outbox, totals, verification
from balance_service.repositories.journal import Journal
from tests.checkpoints import cover_all
from tests.commits import commit, slow_down
from tests.events import ALL, assert_as_journal, beginning, number_all, read_on
from tests.integration.small_ledger import history
from tests.integration.test_commit_path import Verified, deposit, open_accounts, transfer


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Pool]:
    """Connections of somebody whom no grant holds back."""
    async with pools.create(database_url, 4) as connections:
        yield connections


async def post(conn: Connection, request: Request) -> UUID:
    """Posts a request within a transaction that is still open; its movement."""
    journal = Journal(conn)
    state, now = await journal.load(list(request.commands), ())
    plan = ledger.plan(state, [request], now)
    await journal.write(plan)
    return plan.movements[0].movement_id


async def told(pool: Pool, after: Place, wanted: Wanted = ALL) -> tuple[list[UUID], Place]:
    """What movements are told of after a place."""
    await number_all(pool)
    found, place = await read_on(pool, after, wanted)
    return [event.subject_id for event in found if event.movement], place


async def test_all_that_can_happen_is_told_as_the_journal_has_it(
    pool: Pool, verified: Verified
) -> None:
    start = await beginning(pool)
    await history(pool)
    await verified()
    await number_all(pool)
    found, _ = await read_on(pool, start)
    await assert_as_journal(pool, found)
    assert {event.type for event in found} >= set(EventType) - {
        EventType.ACCOUNT_FROZEN,
        EventType.ACCOUNT_UNFROZEN,
        EventType.ACCOUNT_CLOSED,
        EventType.ACCOUNT_REOPENED,
        EventType.ACCOUNT_LIMITS_SET,
        EventType.USER_CREATED,
        EventType.USER_DISABLED,
        EventType.USER_ENABLED,
        EventType.USER_ERASED,
        *(event_type for event_type in EventType if event_type.name.startswith("SCHEDULE_")),
    }
    await verified()
    # Each page on its own, and from every place, is a part of the whole.
    for event in found:
        rest, _ = await read_on(pool, event.place, reach=3, limit=2)
        assert rest == found[event.place.sequence :]


class _Remembering:
    """Reads by the numbers that transactions drew: the greatest that it saw is where it goes on.

    This is the mistake that the log is made to avoid.
    """

    def __init__(self) -> None:
        self._seen = "0"

    async def read(self, pool: Pool) -> list[UUID]:
        async with pool.connection() as conn:
            cursor = await conn.execute(
                "SELECT subject_id, transaction_id::text FROM outbox"
                " WHERE transaction_id > %s::xid8 ORDER BY transaction_id",
                [self._seen],
            )
            rows = await cursor.fetchall()
        self._seen = rows[-1][1] if rows else self._seen
        return [row[0] for row in rows]


class _OfTheLog:
    def __init__(self) -> None:
        self._place: Place | None = None

    async def read(self, pool: Pool) -> list[UUID]:
        after = self._place or await beginning(pool)
        await number_all(pool)
        found, self._place = await read_on(pool, after)
        return [event.subject_id for event in found]


@pytest.mark.parametrize(("reader", "missing"), [(_OfTheLog(), 0), (_Remembering(), 1)])
async def test_transactions_that_commit_out_of_order_are_all_told(
    pool: Pool, reader: _OfTheLog | _Remembering, missing: int
) -> None:
    first, second = ids.new_id(), ids.new_id()
    async with pool.connection() as early, pool.connection() as late, early.transaction():
        await outbox.record(early, EventType.USER_CREATED, first)
        async with late.transaction():
            await outbox.record(late, EventType.USER_CREATED, second)
        seen = await reader.read(pool)
        assert seen == [second]
    seen += await reader.read(pool)
    assert len({first, second} - set(seen)) == missing
    assert len(seen) == len(set(seen))


async def test_account_is_told_in_its_order_whatever_the_ids_of_transactions(
    pool: Pool, verified: Verified
) -> None:
    one, other = await open_accounts(pool, 2)
    start = await beginning(pool)
    async with pool.connection() as early, pool.connection() as late, early.transaction():
        # A lock draws the transaction's id, before that of the other, which commits first.
        await accounts.lock(early, one)
        async with late.transaction():
            before = await post(late, deposit(other, 1))
        after = await post(early, deposit(other, 2))
    async with pool.connection() as conn:
        rows = await (
            await conn.execute(
                "SELECT movement_ids[1] FROM outbox WHERE kind IS NULL ORDER BY transaction_id"
            )
        ).fetchall()
    assert [row[0] for row in rows] == [after, before], "ids alone would be the wrong order"
    assert (await told(pool, start))[0] == [before, after]
    await verified()


async def test_long_transaction_holds_nobody_up(pool: Pool) -> None:
    (account,) = await open_accounts(pool, 1)
    start = await beginning(pool)
    async with pool.connection() as idle, idle.transaction():
        await outbox.record(idle, EventType.USER_CREATED, ids.new_id())
        await commit(pool, deposit(account, 1))
        assert len((await told_now(pool, start))[0]) == 1


async def told_now(pool: Pool, after: Place) -> tuple[list[UUID], Place]:
    async with pools.transaction(pool) as conn:
        await outbox.number(conn)
    found, place = await read_on(pool, after)
    return [event.subject_id for event in found if event.movement], place


async def test_one_transaction_numbers_at_a_time_and_may_fail(pool: Pool) -> None:
    (account,) = await open_accounts(pool, 1)
    await number_all(pool)
    start = (await read_on(pool, await beginning(pool)))[1]
    await commit(pool, deposit(account, 1))
    async with pools.transaction(pool, rehearsal=True) as conn:
        assert await outbox.number(conn) == 1
        async with pools.transaction(pool) as other:
            assert await outbox.number(other) == 0
    assert (await read_on(pool, start)) == ([], start)
    assert len((await told_now(pool, start))[0]) == 1
    assert len((await told_now(pool, start))[0]) == 1


async def test_readers_beside_commits_miss_nothing(
    pool: Pool, verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = random.Random(7)
    slow_down(monkeypatch, lambda: drawn.uniform(0, 0.004))
    opened = await open_accounts(pool, 6)
    start = await beginning(pool)
    await commit(pool, *[deposit(account, 1_000) for account in opened])
    moving = True

    def pay() -> Request:
        sender, receiver = drawn.sample(opened, 2)
        return transfer(sender, receiver, 1)

    async def move() -> None:
        for _ in range(25):
            await commit(pool, *[pay() for _ in range(3)])

    async def number() -> None:
        while moving:
            async with pools.transaction(pool) as conn:
                await outbox.number(conn)

    async def read() -> list[UUID]:
        place, seen = start, []
        while moving:
            page, place = await read_on(pool, place, reach=9, limit=4)
            seen += [event.subject_id for event in page if event.movement]
        await number_all(pool)
        rest, _ = await read_on(pool, place)
        return seen + [event.subject_id for event in rest if event.movement]

    numbering, reading_on = asyncio.create_task(number()), asyncio.create_task(read())
    await asyncio.gather(*[move() for _ in range(4)])
    moving = False
    await numbering
    seen = await reading_on
    whole, _ = await read_on(pool, start)
    assert seen == [event.subject_id for event in whole if event.movement]
    await assert_as_journal(pool, whole)
    await verified()


async def test_filters_keep_what_they_say_and_move_on(pool: Pool) -> None:
    one, other, third = await open_accounts(pool, 3)
    start = await beginning(pool)
    await commit(pool, deposit(one, 100), deposit(third, 100))
    await commit(pool, transfer(one, other, 5), transfer(third, one, 7))
    await number_all(pool)
    whole, end = await read_on(pool, start)
    for wanted in (
        Wanted(frozenset({EventType.TRANSFER_CREATED})),
        Wanted(account_ids=frozenset({other})),
        Wanted(frozenset({EventType.DEPOSIT_CREATED}), frozenset({one, other})),
        Wanted(frozenset({EventType.ACCOUNT_OPENED}), frozenset({third})),
        Wanted(frozenset({EventType.USER_CREATED})),
    ):
        kept, after = await read_on(pool, start, wanted, reach=2, limit=1)
        assert kept == [event for event in whole if wanted.view(event)], wanted
        assert after == end


async def test_old_events_go_in_parts_and_the_last_stays(
    pool: Pool, owner: Pool, service_settings: Settings
) -> None:
    (account,) = await open_accounts(pool, 1)
    start = await beginning(pool)
    for _ in range(5):
        await commit(pool, deposit(account, 1), deposit(account, 1))
    await cover_all(pool, service_settings)
    whole, end = await read_on(pool, start)
    async with owner.connection() as conn:
        await conn.execute("UPDATE events SET numbered_at = now() - interval '3 days'")
    async with pools.transaction(pool, rehearsal=True) as conn:
        # What is not in the totals yet stays, however old: all but the beginning.
        assert await events.delete_old(conn, timedelta(days=2), 100) == 1
    async with pools.transaction(pool) as conn:
        await totals.roll_up(conn)
    kept = timedelta(days=3) - timedelta(minutes=1)
    async with pools.transaction(pool) as conn:
        assert await events.delete_old(conn, timedelta(days=4), 100) == 0
        # The beginning, what the account was opened by, and the first commit.
        assert await events.delete_old(conn, kept, 3) == 3
    async with pool.connection() as conn:
        assert await events.oldest(conn) == 3
        with pytest.raises(errors.EventsExpired) as expired:
            await events.page(conn, start, ALL, 10, 10)
        assert expired.value.oldest == "4"
        with pytest.raises(errors.EventsExpired):
            await events.check(conn, whole[1].place)
        await events.check(conn, whole[2].place)
    assert (await read_on(pool, whole[2].place))[0] == whole[3:]
    async with pools.transaction(pool) as conn:
        assert await events.delete_old(conn, kept, 100) == 3
        assert await events.delete_old(conn, kept, 100) == 0
    assert await read_on(pool, end) == ([], end)
    await commit(pool, deposit(account, 1))
    assert len((await told(pool, end))[0]) == 1


async def test_place_that_this_log_never_had_is_refused(pool: Pool) -> None:
    (account,) = await open_accounts(pool, 1)
    await commit(pool, deposit(account, 1))
    await number_all(pool)
    _, end = await read_on(pool, await beginning(pool))
    async with pool.connection() as conn:
        for place in (
            Place(end.sequence, ids.new_id()),
            Place(end.sequence + 1, end.event_id),
            Place(0, ids.new_id()),
        ):
            with pytest.raises(errors.EventsLost) as lost:
                await events.page(conn, place, ALL, 10, 10)
            assert lost.value.newest == str(end.sequence)


FAULTS: dict[str, LiteralString] = {
    "event_is_numbered": "DELETE FROM events WHERE last_sequence = 3",
    "movement_has_event": "DELETE FROM events WHERE last_sequence = (SELECT max(last_sequence)"
    " FROM events)",
    "event_has_entries": "UPDATE events SET to_sequences[1] = to_sequences[1] + 1"
    " WHERE to_sequences[1] IS NOT NULL",
    "events_follow_each_other": "UPDATE events SET"
    " movement_ids = ARRAY[movement_ids[2], movement_ids[1]],"
    " from_sequences = ARRAY[from_sequences[2], from_sequences[1]],"
    " to_sequences = ARRAY[to_sequences[2], to_sequences[1]] WHERE size = 2",
}


@pytest.mark.parametrize("check", FAULTS)
async def test_faults_of_the_log_are_found(
    pool: Pool, owner: Pool, verified: Callable[[], Awaitable[verification.Report]], check: str
) -> None:
    (account,) = await open_accounts(pool, 1)
    await commit(pool, deposit(account, 1), deposit(account, 1))
    await commit(pool, deposit(account, 1))
    await number_all(pool)
    await verified()
    async with owner.connection() as conn:
        await conn.execute(FAULTS[check])
    async with pool.connection() as conn:
        report = await verification.verify(conn)
    assert check in [name for name, found in report.faults.items() if found]


async def test_movements_of_earlier_versions_need_no_event(
    pool: Pool, owner: Pool, verified: Verified
) -> None:
    (account,) = await open_accounts(pool, 1)
    await commit(pool, deposit(account, 1))
    await number_all(pool)
    async with owner.connection() as conn:
        await conn.execute("DELETE FROM events WHERE kind IS NULL AND last_sequence > 0")
        # As after a migration of a ledger that has movements.
        await conn.execute(
            "UPDATE events SET numbered_at = now() + interval '1 day' WHERE last_sequence = 0"
        )
        await conn.execute(
            "UPDATE uncovered_history SET until = now() + interval '1 day', done = false"
        )
        await conn.execute("UPDATE totals_progress SET built = FALSE")
    await verified()


async def test_event_stays_or_goes_with_its_transaction(pool: Pool) -> None:
    (account,) = await open_accounts(pool, 1)
    start = await beginning(pool)
    async with pools.transaction(pool, rehearsal=True) as conn:
        await post(conn, deposit(account, 1))
    assert (await told(pool, start))[0] == []
    async with pools.transaction(pool) as conn:
        movement_id = await post(conn, deposit(account, 1))
    assert (await told(pool, start))[0] == [movement_id]
