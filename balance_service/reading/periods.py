"""Statements for periods, exact and final at the moment that they end.

Booked entries of an account are in the order of their times. So the ends of a period are places in
that order, with the balance that the entry before them left. By value date, the entries that may be
in a period are those booked not long before or after it; a balance at its ends is that of booking
at the ends of these, with what lies between added or taken away.

What was brought forward from archived entries stands for these. By value date, that is right of a
period that begins after the value date of the last of them.
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors, paging
from balance_service.domain.movements import Line
from balance_service.domain.statements import (
    Period,
    Place,
    RunningSums,
    Statement,
    Sum,
    net_minor,
)
from balance_service.reading.past import settled
from balance_service.repositories import entries, horizon, statements

# As many are summed up in a fifth of a second on a machine that is busy with others.
ENTRIES_MAX = 100_000
# As many are read at once to be written down.
LINES_MAX = 200


class Part(NamedTuple):
    """The part of an account's entries that a period's statement is made of.

    Args:
        account_id: The account.
        currency: Its ISO 4217 code.
        period: The period.
        start: The place before the first of them.
        end: The place after the last.
        now: Postgres's time when they were found.
    """

    account_id: UUID
    currency: str
    period: Period
    start: Place
    end: Place
    now: datetime

    @property
    def length(self) -> int:
        """How many entries it has."""
        return self.end.sequence - self.start.sequence


async def find(pool: Pool, account_id: UUID, period: Period, timeout_seconds: float | None) -> Part:
    """The entries that a statement is made of, once nothing more can be booked before its end.

    Args:
        pool: Where they are.
        account_id: An existing account.
        period: Over by this worker's clock.
        timeout_seconds: How long the caller waits; None for ever.

    Raises:
        InvalidFields: It is not over by Postgres's clock.
        PeriodArchived: Entries that may be in it are archived.
        DeadlinePassed, Unavailable: A commit is under way that may be in it.
    """
    past = await settled(pool, [account_id], period.end, timeout_seconds)
    if past.now < period.end:
        raise errors.invalid("end_time", "must not be in the future")
    account = past.accounts[0].account
    booked_from, booked_until = period.booked
    async with pool.connection() as conn:
        start = await statements.place_before(conn, account_id, account.sequence, booked_from)
        end = await statements.place_before(conn, account_id, account.sequence, booked_until)
        if start.archived:
            (await horizon.read_met(conn)).check(period.start, period.basis)
    return Part(account_id, account.currency, period, start, end, past.now)


async def add_up(pool: Pool, part: Part) -> Statement:
    """The statement that a part of an account's entries makes.

    Raises:
        StatementTooLong: It has more than ENTRIES_MAX entries.
        StatementFalse: It does not add up.
        PeriodArchived: Entries of it were archived since it was found.
    """
    if part.length > ENTRIES_MAX:
        raise errors.StatementTooLong(part.length, ENTRIES_MAX)
    numbers = part.account_id, part.start.sequence, part.end.sequence
    async with pool.connection() as conn:
        before, within, after = await statements.sums(conn, *numbers, part.period)
        if sum(one.entries for one in (*before, *within, *after)) < part.length:
            await _check_not_archived(conn, part)
    return _checked(part, within, net_minor(before), net_minor(after))


async def lines(
    pool: Pool, part: Part, added_up: RunningSums
) -> AsyncGenerator[Sequence[Line], None]:
    """The entries of a part, LINES_MAX at a time; no connection is kept between.

    Args:
        pool: Where they are.
        part: By booking date.
        added_up: Gets what has been read.

    Raises:
        PeriodArchived: Entries of it were archived since it was found.
    """
    for before in range(part.start.sequence, part.end.sequence, LINES_MAX):
        last = min(before + LINES_MAX, part.end.sequence)
        wanted = paging.Part(part.account_id, before + 1, last)
        async with pool.connection() as conn:
            found = (await entries.parts(conn, [wanted]))[wanted]
            if len(found) < wanted.length:
                await _check_not_archived(conn, part)
        added_up.add(line.entry for line in found)
        yield found


def conclude(part: Part, added_up: RunningSums) -> Statement:
    """The statement of a part whose entries have all been read; raises as `add_up`."""
    return _checked(part, added_up.sums)


async def _check_not_archived(conn: Connection, part: Part) -> None:
    """Checks that a part's entries have not been archived since it was found."""
    archived = await horizon.of_accounts(conn, [part.account_id])
    if archived and archived.last[part.account_id].sequence > part.start.sequence:
        raise errors.PeriodArchived(archived.horizon.booked)


def _checked(
    part: Part, sums: Sequence[Sum], before_minor: int = 0, after_minor: int = 0
) -> Statement:
    statement = Statement(
        part.account_id,
        part.currency,
        part.period,
        part.start.balance_minor + before_minor,
        part.end.balance_minor - after_minor,
        sums,
        part.period.is_final(part.now),
    )
    statement.check()
    return statement
