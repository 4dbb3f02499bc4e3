"""What is read of a ledger whose older entries are archived: right, or refused."""

import itertools
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from balance_service.database.pool import Pool
from balance_service.domain import errors
from balance_service.domain.archived import Archived, Horizon, LastArchived
from balance_service.domain.movements import Entry
from balance_service.domain.paging import Filter, Position
from balance_service.domain.statements import Basis, Period, RunningSums
from balance_service.reading import periods
from balance_service.repositories import entries, reports
from balance_service.repositories import horizon as horizons
from tests.archived import archive
from tests.commits import commit
from tests.integration.test_commit_path import deposit, open_accounts
from tests.integration.test_periods import (
    BEGINNING,
    DAY,
    MICROSECOND,
    Steps,
    assert_told,
    date_of,
    live,
    told,
)

NOBODY = UUID(int=0)
# Some entries share their time, and value dates lie before and after the cut.
STEPS: Steps = [
    (DAY, 7, None),
    (timedelta(0), -3, 3 * DAY),
    (40 * DAY, 100, -366 * DAY),
    (timedelta(0), 20, None),
    (MICROSECOND, -50, -DAY),
    (DAY, 4, None),
]
ARCHIVED = 3


async def archived_account(pool: Pool, database_url: str) -> tuple[UUID, list[Entry], Horizon]:
    """An account whose first three entries are archived, all its entries, and the horizon."""
    account, listed = await live(pool, database_url, STEPS)
    # A year's end lies between two entries, seldom at one.
    cut = listed[ARCHIVED].created_at - DAY
    return account, listed, await archive(database_url, cut)


@pytest.mark.parametrize("basis", Basis)
async def test_statement_says_what_it_said_before_or_is_refused(
    pool: Pool, database_url: str, basis: Basis
) -> None:
    account, listed, horizon = await archived_account(pool, database_url)
    available = horizon.valued if basis is Basis.VALUE_DATE else horizon.booked
    last_archived = max(date_of(e, basis) for e in listed[:ARCHIVED])
    assert last_archived < available
    dates = {date_of(e, basis) for e in listed} | {available, BEGINNING - 400 * DAY}
    edges = sorted({date + n * MICROSECOND for date in dates for n in (0, 1)} | {available + DAY})
    answered = 0
    for start, end in itertools.combinations(edges, 2):
        period = Period(start, end, basis)
        if start <= last_archived:
            with pytest.raises(errors.PeriodArchived) as refused:
                await told(pool, account, period)
            assert refused.value.available_from == available
        else:
            assert_told(await told(pool, account, period), listed)
            answered += 1
    assert answered > 5


async def test_past_balances_say_what_they_said_before_or_are_refused(
    pool: Pool, database_url: str
) -> None:
    account, listed, horizon = await archived_account(pool, database_url)
    (idle,) = await open_accounts(pool, 1)
    dates = {e.created_at for e in listed} | {horizon.booked}
    for as_of in sorted({date + n * MICROSECOND for date in dates for n in (-1, 0, 1)}):
        async with pool.connection() as conn:
            if as_of < listed[ARCHIVED - 1].created_at:
                with pytest.raises(errors.PeriodArchived) as refused:
                    await entries.balance_at(conn, account, as_of)
                assert refused.value.available_from == horizon.booked
                continue
            left = sum(e.amount_minor for e in listed if e.created_at <= as_of)
            assert await entries.balance_at(conn, account, as_of) == left
            assert await entries.balance_at(conn, idle, as_of) == 0
            (then,) = await reports.balances(conn, as_of, "", NOBODY, 100, 100)
            assert then.balance_minor == left
            assert then.sequence == sum(e.created_at <= as_of for e in listed)


async def test_account_whose_last_entry_is_archived_has_its_balance(
    pool: Pool, database_url: str
) -> None:
    account, listed = await live(pool, database_url, STEPS)
    end = listed[-1].created_at + DAY
    await archive(database_url, end)
    left = sum(e.amount_minor for e in listed)
    statement = await told(pool, account, Period(end, end + DAY, Basis.BOOKING_DATE))
    assert (statement.opening_minor, statement.closing_minor, statement.count) == (left, left, 0)
    async with pool.connection() as conn:
        assert await entries.balance_at(conn, account, end) == left
        (then,) = await reports.balances(conn, end, "", NOBODY, 100, 100)
    assert (then.balance_minor, then.sequence) == (left, len(listed))
    # And it goes on from there.
    await commit(pool, deposit(account, 5))
    assert (await told(pool, account, Period(end, end + DAY, Basis.BOOKING_DATE))) == statement


async def test_statement_ends_where_its_entries_are_archived_meanwhile(
    pool: Pool, database_url: str
) -> None:
    account, listed = await live(pool, database_url, STEPS)
    period = Period(BEGINNING, listed[-1].created_at, Basis.BOOKING_DATE)
    part = await periods.find(pool, account, period, 60)
    await archive(database_url, listed[ARCHIVED].created_at)
    with pytest.raises(errors.PeriodArchived):
        await periods.add_up(pool, part)
    with pytest.raises(errors.PeriodArchived):
        async for _ in periods.lines(pool, part, RunningSums()):
            pass


async def test_nothing_is_archived_of_most_accounts(pool: Pool, database_url: str) -> None:
    account, _, horizon = await archived_account(pool, database_url)
    (other,) = await open_accounts(pool, 1)
    async with pool.connection() as conn:
        assert await horizons.of_accounts(conn, [other]) is None
        found = await horizons.of_accounts(conn, [other, account])
        assert await horizons.read(conn) == horizon
    assert found is not None
    assert found.horizon == horizon
    assert set(found.last) == {account}


def test_list_is_refused_only_for_times_that_it_names() -> None:
    account, booked = UUID(int=1), datetime.fromisoformat("2026-01-01T00:00:00Z")
    valued, last = booked + DAY, booked - 10 * DAY
    archived = Archived(Horizon(booked, valued), {account: LastArchived(5, last)})
    later, second = last + MICROSECOND, booked + 2 * DAY
    answered = [
        Filter(),
        Filter(start_time=later),
        Filter(end_time=second),
        Filter(end_effective_time=last),
        Filter(start_effective_time=valued),
        Filter(start_time=booked, start_effective_time=last),
        Filter(start_time=last, start_effective_time=valued),
    ]
    for wanted in answered:
        archived.check(wanted)
    assert [archived.is_met_by(wanted) for wanted in answered] == [
        True, False, True, True, False, False, False,
    ]  # fmt: skip
    for wanted, available_from in (
        (Filter(start_time=last), booked),
        (Filter(end_time=booked), booked),
        (Filter(start_effective_time=later), valued),
        (Filter(start_time=last, start_effective_time=last), booked),
    ):
        with pytest.raises(errors.PeriodArchived) as refused:
            archived.check(wanted)
        assert refused.value.available_from == available_from


def test_list_begins_after_what_is_archived() -> None:
    account, other = UUID(int=1), UUID(int=2)
    archived = Archived(Horizon(BEGINNING, BEGINNING), {account: LastArchived(5, BEGINNING - DAY)})
    position = Position({account: 9, other: 3}, {account: 2, other: 1})
    begun = archived.begin_after(position)
    assert begun == Position({account: 9, other: 3}, {account: 5, other: 1})
    assert (archived.lies_after(position), archived.lies_after(begun)) == (True, False)
    assert archived.count(position) == 5
    assert archived.count(Position({account: 4})) == 4
