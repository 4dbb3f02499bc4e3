"""The trial balance: what was posted to every account of the chart before a moment.

A movement is dated by Postgres's clock under the locks that its transaction holds, and so after
that transaction got its number. A moment is over once all transactions are that had a number when
the clock had passed it: whatever comes later is dated later. A margin is left for the clock of a
standby that takes over.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors
from balance_service.domain.chart import Total
from balance_service.reading.past import (
    LOOK_AGAIN_SECONDS,
    PATIENCE_SECONDS,
    SKEW_MAX,
    Parts,
    check_shown,
)
from balance_service.repositories import totals
from balance_service.repositories.totals import Horizon


class TrialBalance(NamedTuple):
    """What was posted before a moment.

    Args:
        time: The moment: of the present one, before when all that was acknowledged is counted.
        totals: What was posted, by currency and account.
    """

    time: datetime
    totals: Sequence[Total]


async def read(
    pool: Pool, moment: datetime | None, field: str, timeout_seconds: float | None
) -> TrialBalance:
    """The trial balance of a moment, which never changes if it is a past one.

    Args:
        pool: Where the ledger is. No connection is kept while a past moment is waited for.
        moment: Rounded down to the minute; None for the present, as one snapshot shows it.
        field: The moment's, for the refusal.
        timeout_seconds: How long the caller waits; None for ever.

    Raises:
        InvalidFields: The moment is in the future.
        LedgerTotalsMissing: What was posted before an upgrade was never added up.
        DeadlinePassed, Unavailable: As `settle`.
        Unavailable: Also, the job that adds up is too far behind.
    """
    end = None
    if moment:
        end = moment.replace(second=0, microsecond=0)
        if moment > await settle(pool, end, timeout_seconds):
            raise errors.invalid(field, "must not be in the future")
    async with pool.connection() as conn:
        now = await check_built(conn)
        # A standby's clock says nothing of how far it is.
        return TrialBalance(end or pool.as_of or now, await totals.at(conn, end))


async def check_built(conn: Connection) -> datetime:
    """Checks that totals, and sales with them, have all but what an answer can add up itself.

    Returns:
        Postgres's time.

    Raises:
        LedgerTotalsMissing: What was posted before an upgrade was never added up.
        Unavailable: The job that adds up is too far behind.
    """
    progress = await totals.progress(conn)
    if not progress.built:
        raise errors.LedgerTotalsMissing
    if progress.is_behind:
        raise errors.Unavailable
    return progress.now


async def settle(pool: Pool, end: datetime, timeout_seconds: float | None) -> datetime:
    """Waits until all that is dated before a moment can be seen; not for one in the future.

    Returns:
        Postgres's time.

    Raises:
        DeadlinePassed: The caller stops waiting before that.
        Unavailable: A transaction is under way and takes long.
        NotShown: As `past.check_shown`, of a standby, which has nothing to wait for.
    """
    if pool.final_until:
        return check_shown(pool.final_until, end)
    loop = asyncio.get_running_loop()
    began = loop.time()
    horizon: Horizon | None = None
    parts = Parts()
    while True:
        async with pool.connection() as conn:
            seen = await totals.read_horizon(conn)
            if horizon is None and seen.now >= end + SKEW_MAX:
                horizon = seen
            if seen.now < end:
                return seen.now
            if horizon and await totals.is_over(conn, horizon) and await parts.are_seen(conn):
                return seen.now
        waited = loop.time() - began
        pause = max((end + SKEW_MAX - seen.now).total_seconds(), LOOK_AGAIN_SECONDS)
        if timeout_seconds is not None and waited + pause >= timeout_seconds:
            raise errors.DeadlinePassed
        if waited > SKEW_MAX.total_seconds() + PATIENCE_SECONDS:
            raise errors.Unavailable
        await asyncio.sleep(pause)
