"""Journals of a period for accounting programs: movement by movement, or day by day.

Movements are read from the log of events, by its numbers: there is no index of them by time. A
movement is in the log soon after it was dated, so the log is read from the period's start until
some minutes after its end.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta

from balance_service.database.pool import Pool
from balance_service.domain import errors
from balance_service.domain.chart import Total
from balance_service.domain.journals.forms import WRITERS, Detail, Form, Period
from balance_service.domain.journals.transactions import Side, Transaction, of_days, of_sides
from balance_service.domain.journals.transactions import opening as opening_of
from balance_service.domain.statements import Basis
from balance_service.reading import trial_balance
from balance_service.reading.past import LOOK_AGAIN_SECONDS, SKEW_MAX, NotShown
from balance_service.repositories import events, horizon, journal_export, totals

PART_DAYS = timedelta(days=31)
# Of one part, read from the journal itself.
PART_SIDES = 5_000
# How long numbering and rolling up may take before nobody waits for them.
PATIENCE_SECONDS = 20.0
# How much later than its date a movement may be written; a commit is given up much sooner.
LATE_MAX = timedelta(minutes=10)


async def export(
    pool: Pool,
    period: Period,
    form: Form,
    detail: Detail,
    timeout_seconds: float | None = None,
    *,
    from_journal: bool = False,
) -> AsyncIterator[str]:
    """A journal, in parts of whole lines.

    Args:
        pool: Where the ledger is.
        period: Days of UTC, if it is told day by day.
        form: How it is written.
        detail: What its transactions stand for.
        timeout_seconds: How long the caller waits for it to begin; None for ever.
        from_journal: Whether movements that the log does not have are read from the journal itself,
            all of which is read then.

    Raises:
        InvalidFields: The period's end is in the future.
        EventsExpired: The log does not have all movements of the period.
        PeriodArchived: Entries of it are archived, and it is told movement by movement.
        LedgerTotalsMissing, DeadlinePassed, Unavailable: As `trial_balance.read`.
        NotShown: A standby does not show all of the period yet, or not its numbers.
    """
    if period.end > await trial_balance.settle(pool, period.end, timeout_seconds):
        raise errors.invalid("end_time", "must not be in the future")
    opening = await trial_balance.read(pool, period.start, "start_time", timeout_seconds)
    by_day = detail is Detail.DAY
    newest = await _wait_for_log(pool, period.end, timeout_seconds, rolled_up=by_day)
    if by_day:
        parts = _by_day(pool, period)
    elif (after := await _begin(pool, period, opening.totals)) is not None:
        parts = _by_log(pool, period, after, newest)
    elif from_journal:
        parts = _by_journal(pool, period)
    else:
        raise await _expired(pool)
    writer = WRITERS[form]
    first = opening_of(opening.totals, period.start)
    yield writer.head(period) + "".join(map(writer.write, first))
    async with aclosing(parts):
        async for part in parts:
            if not by_day:
                # Once they are read: what is missing among them is archived by then.
                await _check_kept(pool, period)
            if text := "".join(map(writer.write, part)):
                yield text


async def _wait_for_log(
    pool: Pool, end: datetime, timeout_seconds: float | None, *, rolled_up: bool
) -> int:
    """Waits until what is dated before a moment has its number, and perhaps is in the totals.

    Args:
        pool: Shows all that is dated before it.
        end: The moment.
        timeout_seconds: How long the caller waits; None for ever.
        rolled_up: Whether the totals have to have it.

    Returns:
        A number after which nothing of it is.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with pool.connection() as conn:
        # What a standby shows of it was written before that moment of the primary's clock.
        shown = pool.as_of or (await totals.read_horizon(conn)).now
    written = min(shown, end + LATE_MAX)
    while True:
        async with pool.connection() as conn:
            if not await journal_export.is_waiting(conn, written) and not (
                rolled_up and await totals.lack(conn, written)
            ):
                return (await events.newest(conn)).sequence
        if pool.as_of:
            raise NotShown
        waited = loop.time() - began
        if timeout_seconds is not None and waited >= timeout_seconds:
            raise errors.DeadlinePassed
        if waited > PATIENCE_SECONDS:
            raise errors.Unavailable
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def _begin(pool: Pool, period: Period, opening: Sequence[Total]) -> int | None:
    """The number in the log after which a period's movements are; None if it lacks some of them."""
    async with pool.connection() as conn:
        oldest = await journal_export.oldest(conn)
        if oldest.numbered_at > period.start:
            # A log that begins later than the period is whole if nothing was posted before it.
            at_oldest = oldest.numbered_at.replace(second=0, microsecond=0)
            begun = max(at_oldest, period.start)
            if oldest.before > 0 or _entries(await totals.at(conn, begun)) != _entries(opening):
                return None
        return await events.before_time(conn, period.start - SKEW_MAX)


async def _by_log(
    pool: Pool, period: Period, after: int, newest: int
) -> AsyncGenerator[Sequence[Transaction], None]:
    end = period.end + LATE_MAX
    while after < newest:
        async with pool.connection() as conn:
            part = await journal_export.part(conn, after)
            if part.last_sequence is None or part.written_at is None or part.before != after:
                raise await _expired(pool)
            sides = await journal_export.of_log(conn, after, part.last_sequence, period)
        yield list(of_sides(sides, period.start))
        if part.written_at > end:
            return
        after = part.last_sequence


async def _by_journal(pool: Pool, period: Period) -> AsyncGenerator[Sequence[Transaction], None]:
    async with pool.connection() as conn, aclosing(journal_export.of_journal(conn, period)) as all_:
        sides: list[Side] = []
        async for side in all_:
            if len(sides) >= PART_SIDES and side.movement_id != sides[-1].movement_id:
                yield list(of_sides(sides, period.start))
                sides = []
            sides.append(side)
        yield list(of_sides(sides, period.start))


async def _by_day(pool: Pool, period: Period) -> AsyncGenerator[Sequence[Transaction], None]:
    start = period.start
    while start < period.end:
        end = min(start + PART_DAYS, period.end)
        async with pool.connection() as conn:
            days = await totals.days(conn, start, end)
        yield list(of_days(days))
        start = end


async def _check_kept(pool: Pool, period: Period) -> None:
    async with pool.connection() as conn:
        found = await horizon.read(conn)
    if found:
        found.check(period.start, Basis.BOOKING_DATE)


async def _expired(pool: Pool) -> errors.EventsExpired:
    async with pool.connection() as conn:
        return errors.EventsExpired(str(await events.oldest(conn) + 1))


def _entries(counted: Sequence[Total]) -> int:
    return sum(total.entries for total in counted)
