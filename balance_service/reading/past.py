"""Makes answers about the past final, by waiting until nothing can be added to it any more.

A movement is dated by Postgres's clock while its accounts are locked, and never earlier than their
last entry; it can be seen once it is committed, which may take long. So a moment is over for an
account once its statement goes on past it, or once the account is seen unlocked after it: whoever
locks the account then dates what they do later. That holds however long a commit takes and whatever
the clocks of workers say. A margin is left for the clock of a standby that takes over.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from balance_service.database.pool import Connection, Pool
from balance_service.database.roles import LOCK_TIMEOUT_MS
from balance_service.domain import errors
from balance_service.domain.accounts import Account, AccountProfile
from balance_service.repositories import accounts, reports, sub_accounts

# How far the clocks of Postgres servers that take over from each other may be apart.
SKEW_MAX = timedelta(seconds=1)
LOOK_AGAIN_SECONDS = 0.02
# As long as anybody waits for an account's lock.
PATIENCE_SECONDS = LOCK_TIMEOUT_MS / 1000
# Right after a moment is from the next one on: entries have microseconds.
MICROSECOND = timedelta(microseconds=1)


class Settled(NamedTuple):
    """Accounts as they were once a moment was over for them.

    Args:
        now: Postgres's time then.
        accounts: Those that exist, oldest first.
    """

    now: datetime
    accounts: list[AccountProfile]


class NotShown(Exception):  # noqa: N818 - no fault
    """A standby does not show yet all that is dated before a moment."""


async def lately(pool: Pool) -> datetime:
    """A moment that is over soon on the primary, and the last one that is over on a standby."""
    if pool.final_until:
        return pool.final_until - MICROSECOND
    async with pool.connection() as conn:
        return await reports.clock(conn) - SKEW_MAX - MICROSECOND


class Parts:
    """The parts of what was committed when they were first asked about."""

    def __init__(self) -> None:
        self._newest: datetime | None = None

    async def are_seen(self, conn: Connection) -> bool:
        """Whether all of them can be seen, on every server of a cluster."""
        hidden = await reports.hidden(conn)
        if hidden is None:
            return True
        self._newest = self._newest or hidden.newest
        return hidden.oldest > self._newest


def is_over(end: datetime, now: datetime, account: Account, *, free: bool) -> bool:
    """Whether nothing on an account can be dated before a moment any more that is not seen yet.

    Args:
        end: The moment.
        now: The time by Postgres's clock, not later than when the account was seen.
        account: As it was seen.
        free: Whether it was unlocked then.
    """
    return account.changed_at >= end or (free and now >= end + SKEW_MAX)


def check_shown(final_until: datetime, end: datetime) -> datetime:
    """The moment until which a standby shows all that is ever dated.

    Args:
        final_until: That moment.
        end: Before when all is asked for.

    Raises:
        NotShown: The standby does not show that yet.
    """
    if end > final_until:
        raise NotShown
    return final_until


async def settled_everywhere(pool: Pool, end: datetime, timeout_seconds: float | None) -> datetime:
    """Waits until all that is dated before a moment can be seen, on whichever account.

    To ask for the locks of all accounts would write to each. A movement is dated within its
    transaction, which has a number by then, for it has locked its accounts. So once the moment is
    past, and every transaction that is under way then has ended, all of it can be seen; on a
    cluster, once all parts of what these committed are.

    Args:
        pool: Where the accounts are. No connection is kept, and no lock, while waiting.
        end: The moment.
        timeout_seconds: How long the caller waits; None for ever.

    Returns:
        Postgres's time, before the moment if that is in the future: then nothing was waited for.

    Raises:
        DeadlinePassed: The caller stops waiting before that.
        Unavailable: A transaction is under way and takes long, whatever it does.
        NotShown: As `check_shown`, of a standby, which has nothing to wait for.
    """
    if pool.final_until:
        return check_shown(pool.final_until, end)
    loop = asyncio.get_running_loop()
    began = loop.time()
    waited_for: frozenset[str] | None = None
    parts = Parts()
    while True:
        async with pool.connection() as conn:
            now = await reports.clock(conn)
            if now < end:
                return now
            if now >= end + SKEW_MAX:
                # Asked for after the clock, and so with all that dated something before.
                under_way = await reports.under_way(conn)
                waited_for = under_way if waited_for is None else waited_for & under_way
                ended = not waited_for and not await sub_accounts.waits_before(conn, end)
                if ended and await parts.are_seen(conn):
                    return now
        await _pause(end - now, loop.time() - began, timeout_seconds)


async def settled(
    pool: Pool, account_ids: Sequence[UUID], end: datetime, timeout_seconds: float | None
) -> Settled:
    """Waits until all that is dated before a moment can be seen; not for one in the future.

    Args:
        pool: Where the accounts are. No connection is kept, and no lock, while waiting.
        account_ids: Existing accounts.
        end: The moment.
        timeout_seconds: How long the caller waits; None for ever.

    Raises:
        DeadlinePassed: The caller stops waiting before that.
        Unavailable: A commit is under way and takes long.
        NotShown: As `check_shown`, of a standby, which has nothing to wait for.
    """
    if pool.final_until:
        now = check_shown(pool.final_until, end)
        async with pool.connection() as conn:
            return Settled(now, await accounts.get(conn, account_ids))
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        async with pool.connection() as conn:
            now, free = await accounts.find_unlocked(conn, account_ids)
            # After the locks were looked at, and so with all that was committed before.
            profiles = await accounts.get(conn, account_ids)
        if now < end or all(
            is_over(end, now, p.account, free=p.account.account_id in free) for p in profiles
        ):
            return Settled(now, profiles)
        await _pause(end - now, loop.time() - began, timeout_seconds)


async def _pause(left: timedelta, waited_seconds: float, timeout_seconds: float | None) -> None:
    """Waits before the next look.

    Args:
        left: How long until the moment.
        waited_seconds: How long the caller has waited.
        timeout_seconds: How long the caller waits; None for ever.

    Raises:
        DeadlinePassed, Unavailable: That would be too long.
    """
    pause = max((left + SKEW_MAX).total_seconds(), LOOK_AGAIN_SECONDS)
    if timeout_seconds is not None and waited_seconds + pause >= timeout_seconds:
        raise errors.DeadlinePassed
    if waited_seconds > SKEW_MAX.total_seconds() + PATIENCE_SECONDS:
        raise errors.Unavailable
    await asyncio.sleep(pause)
