"""Statements for periods over random histories: they chain, and say what the entries say."""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import errors
from balance_service.domain.commands import Origin, Settle
from balance_service.domain.money import Money
from balance_service.domain.movements import Entry, Kind
from balance_service.domain.paging import Part
from balance_service.domain.requests import Request
from balance_service.domain.state import State
from balance_service.domain.statements import Basis, Period, Statement, StatementFalse
from balance_service.reading import periods
from balance_service.repositories import entries, statements, verification
from balance_service.repositories.journal import Journal
from tests import postgres
from tests.commits import commit
from tests.integration.test_commit_path import Verified, deposit, done, open_accounts

BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
# How much later than the last, how much, and how far from that the value date is.
STEPS = st.lists(
    st.tuples(
        st.sampled_from([timedelta(0), MICROSECOND, DAY, 40 * DAY]),
        st.integers(-500, 500).filter(bool),
        st.sampled_from([None, None, -DAY, 3 * DAY, -366 * DAY, 366 * DAY]),
    ),
    min_size=1,
    max_size=8,
)
Steps = list[tuple[timedelta, int, timedelta | None]]


def settle(account: UUID, amount: int, effective_at: datetime | None = None) -> Request:
    origin = Origin(principal="service:test", request_id=None, effective_at=effective_at)
    kind = Kind.DEPOSIT if amount > 0 else Kind.WITHDRAWAL
    return Request((Settle(origin, kind, account, Money(abs(amount), "RUB")),))


async def live(pool: Pool, owner_url: str, steps: Steps) -> tuple[UUID, list[Entry]]:
    """An account that was opened long ago, and its entries at the times of some steps."""
    (account,) = await open_accounts(pool, 1)
    async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as conn:
        dates = {"at": BEGINNING, "account": account}
        await conn.execute(
            "UPDATE accounts SET created_at = %(at)s, changed_at = %(at)s"
            " WHERE account_id = %(account)s",
            dates,
        )
    clock = BEGINNING
    real = Journal.load

    async def load(journal: Journal, *arguments: Any) -> tuple[State, datetime]:
        return (await real(journal, *arguments))[0], clock

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Journal, "load", load)
        done((await commit(pool, deposit(account, 10_000)))[0][0])
        for later, amount, off in steps:
            clock += later
            made = settle(account, amount, None if off is None else clock + off)
            done((await commit(pool, made))[0][0])
    return account, await all_entries(pool, account)


async def all_entries(pool: Pool, account: UUID) -> list[Entry]:
    part = Part(account, 1, 100)
    async with pool.connection() as conn:
        return [line.entry for line in (await entries.parts(conn, [part]))[part]]


async def told(pool: Pool, account: UUID, period: Period) -> Statement:
    return await periods.add_up(pool, await periods.find(pool, account, period, 60))


def date_of(entry: Entry, basis: Basis) -> datetime:
    by_value = basis is Basis.VALUE_DATE
    return (entry.effective_at or entry.created_at) if by_value else entry.created_at


def assert_told(statement: Statement, listed: Sequence[Entry]) -> None:
    """A statement says what a list of all entries says."""
    start, end, basis = statement.period
    within = [e for e in listed if start <= date_of(e, basis) < end]
    before = sum(e.amount_minor for e in listed if date_of(e, basis) < start)
    moved = [e.amount_minor for e in within]
    assert statement.opening_minor == before
    assert statement.closing_minor == before + sum(moved)
    assert statement.in_minor == sum(m for m in moved if m > 0)
    assert statement.out_minor == -sum(m for m in moved if m < 0)
    assert statement.count == len(within)
    numbers = [e.sequence for e in within] or [0]
    assert (statement.first, statement.last) == (min(numbers), max(numbers))
    for kind in {e.kind for e in within}:
        (one,) = [one for one in statement.sums if one.kind == kind]
        of_kind = [e for e in within if e.kind == kind]
        assert one.entries == len(of_kind)
        assert one.net_minor == sum(e.amount_minor for e in of_kind)


@settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(STEPS, st.lists(st.integers(-500, 800), min_size=1, max_size=4), st.sampled_from(Basis))
def test_adjacent_statements_chain_and_say_what_entries_say(
    database_url: str, steps: Steps, cuts: list[int], basis: Basis
) -> None:
    asyncio.run(_chain(database_url, steps, cuts, basis))


async def _chain(database_url: str, steps: Steps, cuts: list[int], basis: Basis) -> None:
    async with pools.create(postgres.of_service(database_url), 4) as pool:
        account, listed = await live(pool, database_url, steps)
        # At entries' own times, just after them, and anywhere.
        edges = {date_of(e, basis) + n * MICROSECOND for e in listed for n in (0, 1)}
        edges |= {BEGINNING + cut * DAY for cut in cuts}
        over = sorted(edge for edge in edges if edge < datetime.now(UTC))
        chain = [
            await told(pool, account, Period(*pair, basis)) for pair in itertools.pairwise(over)
        ]
        for statement in chain:
            assert_told(statement, listed)
        for one, following in itertools.pairwise(chain):
            assert one.closing_minor == following.opening_minor
        async with pool.connection() as conn:
            assert (await verification.verify(conn)).clean


async def test_later_entries_change_no_statement_by_booking_date(
    pool: Pool, database_url: str, verified: Verified
) -> None:
    account, listed = await live(pool, database_url, [(DAY, 7, None), (DAY, -3, None)])
    end = listed[-1].created_at
    booked = Period(BEGINNING, end, Basis.BOOKING_DATE)
    valued = booked._replace(basis=Basis.VALUE_DATE)
    first = [await told(pool, account, period) for period in (booked, valued)]
    assert [one.closing_minor for one in first] == [10_007, 10_007]
    assert [one.final for one in first] == [True, True], "two years have passed"

    done((await commit(pool, settle(account, 100, BEGINNING + DAY / 2)))[0][0])
    again = [await told(pool, account, period) for period in (booked, valued)]
    assert again[0] == first[0]
    # A value date further back than any that is asked for: nobody may ask for it today.
    assert again[1] == first[1]
    await verified()


async def test_backdated_entry_enters_a_statement_by_value_date(pool: Pool) -> None:
    (account,) = await open_accounts(pool, 1)
    now = datetime.now(UTC)
    done((await commit(pool, deposit(account, 50)))[0][0])
    week = Period(now - 7 * DAY, now - 6 * DAY, Basis.VALUE_DATE)
    before = await told(pool, account, week)
    assert (before.closing_minor, before.final) == (0, False)
    done((await commit(pool, settle(account, 30, week.start)))[0][0])
    done((await commit(pool, settle(account, -5, week.end)))[0][0])
    after = await told(pool, account, week)
    assert (after.opening_minor, after.in_minor, after.out_minor) == (0, 30, 0)
    assert (after.closing_minor, after.count, after.first) == (30, 1, 2)


async def test_period_that_is_too_long_is_not_read(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, listed = await live(pool, database_url, [(DAY, n, None) for n in (1, 2, 3)])
    monkeypatch.setattr(periods, "ENTRIES_MAX", 2)
    period = Period(BEGINNING, listed[2].created_at, Basis.BOOKING_DATE)
    assert (await told(pool, account, period)).count == 2
    with pytest.raises(errors.StatementTooLong) as refused:
        await told(pool, account, period._replace(end=listed[3].created_at))
    assert (refused.value.entries, refused.value.entries_max) == (3, 2)


@pytest.mark.parametrize("basis", Basis)
async def test_statement_that_does_not_add_up_is_no_answer(
    pool: Pool, database_url: str, basis: Basis
) -> None:
    account, listed = await live(pool, database_url, [(DAY, n, None) for n in (1, 2, 3)])
    period = Period(BEGINNING + DAY, listed[-1].created_at, basis)
    await told(pool, account, period)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        await conn.execute(
            "UPDATE entries SET amount_minor = amount_minor + 1"
            " WHERE account_id = %s AND sequence = 3",
            [account],
        )
    with pytest.raises(StatementFalse):
        await told(pool, account, period)


async def test_end_of_a_period_is_found_among_entries_of_one_moment(
    pool: Pool, database_url: str
) -> None:
    """Times of entries may be the same: all of them are on one side."""
    same = [(timedelta(0), n, None) for n in range(1, 7)]
    account, _ = await live(pool, database_url, [*same, (MICROSECOND, 9, None)])
    async with pool.connection() as conn:
        found = [
            await statements.place_before(conn, account, last, BEGINNING + after)
            for last in (8, 5, 0)
            for after in (timedelta(0), MICROSECOND, 2 * MICROSECOND)
        ]
    assert [place.sequence for place in found] == [0, 7, 8, 0, 5, 5, 0, 0, 0]
    assert [place.balance_minor for place in found[:3]] == [0, 10_021, 10_030]
