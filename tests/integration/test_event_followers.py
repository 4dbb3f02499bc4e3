"""Those who follow the log of events: together, one by one, slowly, and too many."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import errors, ids
from balance_service.domain.events import EventPage, EventType, Wanted
from balance_service.reading import events as reading
from balance_service.reading.events import EventLog
from balance_service.repositories import accounts, events
from tests.commits import commit
from tests.events import ALL, beginning, number_all
from tests.integration.test_commit_path import deposit, open_accounts, transfer


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Pool]:
    """Connections of somebody whom no grant holds back."""
    async with pools.create(database_url, 4) as connections:
        yield connections


async def next_with_events(pages: AsyncIterator[EventPage]) -> EventPage:
    async for page in pages:
        if page.events:
            return page
    raise AssertionError("a log has no end")


async def test_followers_share_what_is_read_and_catch_up_alone(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await open_accounts(pool, 2)
    await number_all(pool)
    log = EventLog(pool)
    start = await log.place(None, None, newest=True)
    calls = 0
    real = events.page

    async def page(*args: object) -> EventPage:
        nonlocal calls
        calls += 1
        return await real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(events, "page", page)
    following = [log.follow(start, ALL) for _ in range(20)]
    of_other = log.follow(start, Wanted(account_ids=frozenset({other})))
    for each in (*following, of_other):
        assert await anext(each) == EventPage(start, start, (), start.sequence)
    waiting = [asyncio.create_task(next_with_events(each)) for each in following]
    theirs = asyncio.create_task(next_with_events(of_other))
    await asyncio.sleep(0)
    await log.look()
    await commit(pool, deposit(one, 1))
    await number_all(pool)
    calls = 0
    await log.look()
    pages = await asyncio.gather(*waiting)
    assert calls == 1
    assert {p.events[0].place.sequence for p in pages} == {start.sequence + 1}
    assert not theirs.done()
    await commit(pool, deposit(other, 1))
    await number_all(pool)
    await log.look()
    assert (await theirs).events[0].place.sequence == start.sequence + 2
    # One that comes with an older place reads by itself up to where the others are.
    late = log.follow(start, ALL)
    await anext(late)
    page_of_late = await next_with_events(late)
    assert [event.place.sequence - start.sequence for event in page_of_late.events] == [1]
    assert len((await next_with_events(late)).events) == 1
    log.close()
    with pytest.raises(errors.Unavailable):
        await anext(late)
    for each in (*following, of_other):
        await each.aclose()


async def test_slow_follower_misses_nothing(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE_EVENTS_MAX", 3)
    (account,) = await open_accounts(pool, 1)
    await number_all(pool)
    log = EventLog(pool)
    start = await log.place(None, None, newest=True)
    async with aclosing(log.follow(start, ALL)) as following:
        await anext(following)
        first = asyncio.create_task(next_with_events(following))
        await asyncio.sleep(0)
        await log.look()
        # More pages than are kept for all.
        for _ in range(3 * reading.RECENT_PAGES_MAX * 2):
            await commit(pool, deposit(account, 1))
        await number_all(pool)
        await log.look()
        seen = list((await first).events)
        while len(seen) < 3 * reading.RECENT_PAGES_MAX * 2:
            page = await next_with_events(following)
            assert len(page.events) <= 3
            seen += page.events
    assert [event.place.sequence - start.sequence for event in seen] == list(
        range(1, len(seen) + 1)
    )


async def test_account_that_is_opened_meanwhile_is_followed(pool: Pool) -> None:
    user = ids.new_id()
    await number_all(pool)
    log = EventLog(pool)
    start = await log.place(None, None, newest=True)
    wanted = Wanted(account_ids=frozenset(), owner_ids=frozenset({user}), private=True)
    async with aclosing(log.follow(start, wanted)) as following:
        await anext(following)
        first = asyncio.create_task(next_with_events(following))
        await asyncio.sleep(0)
        await log.look()
        (strange,) = await open_accounts(pool, 1)
        async with pools.transaction(pool) as conn:
            account, _ = await accounts.open_account(conn, user, "RUB")
        await commit(pool, deposit(strange, 10))
        await commit(pool, transfer(strange, account, 4))
        await number_all(pool)
        await log.look()
        opening = await first
        assert [event.type for event in opening.events] == [EventType.ACCOUNT_OPENED]
        (received,) = (await next_with_events(following)).events
    assert received.type is EventType.TRANSFER_CREATED
    assert [left.account_id for left in received.balances] == [account]


async def test_quiet_follower_hears_how_far_the_log_was_read(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "HEARTBEAT_SECONDS", 0.05)
    one, other = await open_accounts(pool, 2)
    await number_all(pool)
    log = EventLog(pool)
    start = await log.place(None, None, newest=True)
    async with aclosing(log.follow(start, Wanted(account_ids=frozenset({other})))) as quiet:
        await anext(quiet)
        await log.look()
        await commit(pool, deposit(one, 1))
        await number_all(pool)
        async with asyncio.timeout(60):
            place = start
            while place == start:
                await log.look()
                page = await anext(quiet)
                assert not page.events
                place = page.end
    assert place.sequence == start.sequence + 1


async def test_followers_are_bounded(pool: Pool) -> None:
    log = EventLog(pool)
    start = await beginning(pool)
    following = [log.follow(start, ALL) for _ in range(reading.FOLLOWERS_MAX)]
    for each in following:
        await anext(each)
    with pytest.raises(errors.Overloaded):
        await anext(log.follow(start, ALL))
    await following.pop().aclose()
    another = log.follow(start, ALL)
    await anext(another)
    for each in (*following, another):
        await each.aclose()


async def test_followers_turn_elsewhere_when_a_server_lost_events(pool: Pool, owner: Pool) -> None:
    await open_accounts(pool, 1)
    await number_all(pool)
    log = EventLog(pool)
    start = await log.place(None, None, newest=True)
    async with aclosing(log.follow(start, ALL)) as following:
        await anext(following)
        await log.look()
        waiting = asyncio.create_task(next_with_events(following))
        await asyncio.sleep(0)
        async with owner.connection() as conn:
            await conn.execute(
                "UPDATE events SET event_id = gen_random_uuid() WHERE last_sequence = %s",
                [start.sequence],
            )
        await log.look()
        with pytest.raises(errors.Unavailable):
            async with asyncio.timeout(60):
                await waiting
    with pytest.raises(errors.EventsLost):
        await log.place(start, None, newest=True)


async def test_moment_leads_to_the_first_event_from_then_on(pool: Pool) -> None:
    (account,) = await open_accounts(pool, 1)
    await commit(pool, deposit(account, 1))
    await number_all(pool)
    async with pool.connection() as conn:
        row = await (await conn.execute("SELECT clock_timestamp()")).fetchone()
    assert row
    await commit(pool, deposit(account, 2))
    await number_all(pool)
    log = EventLog(pool)
    since = await log.place(None, row[0], newest=False)
    (event,) = (await log.page(since, ALL, 10)).events
    assert event.movement
    assert event.movement.amount_minor == 2
    future = datetime.now(UTC) + timedelta(days=1)
    assert (await log.place(None, future, newest=False)).sequence == event.place.sequence
