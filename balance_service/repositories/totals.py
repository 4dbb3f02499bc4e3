"""Totals of what was posted, by day and minute, rolled up with the sales from the log of events."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg import AsyncConnection

from balance_service.domain.accounts import SYSTEM_ACCOUNTS
from balance_service.domain.chart import CHART, Total
from balance_service.domain.events import EventType
from balance_service.domain.movements import Kind
from balance_service.repositories import arrays, queries, sales

_SQL = queries.load(__file__)

# Events that one transaction rolls up, without the rest of the last commit; and those of a commit,
# by the bound of the setting for it.
ROLLED_UP_AT_ONCE_MAX = 10_000
COMMIT_EVENTS_MAX = 10_000
# Beyond these, an answer would take longer than a caller waits: the job that rolls up stands still.
UNFOLLOWED_EVENTS_MAX = 100_000
UNNUMBERED_COMMITS_MAX = 1_000
_BUILDING_LOCK = 0x746F74616C73  # "totals"


class Progress(NamedTuple):
    """How far totals are.

    Args:
        built: Whether they have what was posted before they began.
        followed: The number of the last event that they have.
        newest: That of the newest event.
        unnumbered: Commits without a number, UNNUMBERED_COMMITS_MAX at most.
        now: Postgres's time.
    """

    built: bool
    followed: int
    newest: int
    unnumbered: int
    now: datetime

    @property
    def is_behind(self) -> bool:
        """Whether what they lack is too much to be added up for an answer."""
        return (
            self.newest - self.followed > UNFOLLOWED_EVENTS_MAX
            or self.unnumbered >= UNNUMBERED_COMMITS_MAX
        )


class Horizon(NamedTuple):
    """A moment, and all transactions that may have read the clock before it.

    Args:
        now: Postgres's time.
        transaction_ids: Those that were under way then.
    """

    now: datetime
    transaction_ids: Sequence[str]


class DayTotal(NamedTuple):
    """A total of one day of UTC."""

    day: datetime
    total: Total


async def roll_up(conn: AsyncConnection) -> int:
    """Adds what follows in the log of events to the totals, and to the sales.

    Args:
        conn: Within a transaction at READ COMMITTED.

    Returns:
        How many commits; 0 if there are none, or another transaction does so.
    """
    values = {**_POSTED, "reach": ROLLED_UP_AT_ONCE_MAX, "commit_max": COMMIT_EVENTS_MAX}
    row = await (await conn.execute(_SQL.of(conn)["roll_up"], values)).fetchone()
    if row is None:
        return 0
    commits, after, until, sold = row
    if sold:
        await sales.roll_up(conn, after, until)
    return int(commits)


async def progress(conn: AsyncConnection) -> Progress:
    """How far totals are."""
    cursor = await conn.execute(_SQL["progress"], {"limit": UNNUMBERED_COMMITS_MAX})
    row = await cursor.fetchone()
    assert row is not None, "a migration adds the one row"
    return Progress(*row)


async def lack(conn: AsyncConnection, moment: datetime) -> bool:
    """Whether they lack something that has a number and was written before a moment."""
    row = await (await conn.execute(_SQL["lack"], {"moment": moment})).fetchone()
    return row is not None


async def at(conn: AsyncConnection, moment: datetime | None) -> list[Total]:
    """What was posted before a moment, in one snapshot.

    Args:
        conn: Any connection.
        moment: A whole minute; None for all.
    """
    day = moment and moment.replace(hour=0, minute=0)
    values = {**_POSTED, "moment": moment, "day": day}
    rows = await (await conn.execute(_SQL.of(conn)["at"], values)).fetchall()
    return [
        Total(CHART[role], currency, int(debit), int(credit), entries, opened)
        for role, currency, debit, credit, entries, opened in rows
    ]


async def days(conn: AsyncConnection, start: datetime, end: datetime) -> Sequence[DayTotal]:
    """Totals of days that were rolled up, oldest first.

    Args:
        conn: Any connection.
        start: A midnight of UTC.
        end: A later one.
    """
    values = {"since": start, "before": end}
    rows = await (await conn.execute(_SQL["days"], values)).fetchall()
    return [
        DayTotal(day, Total(CHART[role], currency, int(debit), int(credit), entries, opened))
        for day, role, currency, debit, credit, entries, opened in rows
    ]


async def read_horizon(conn: AsyncConnection) -> Horizon:
    """The present moment, and what may still be dated before it."""
    row = await (await conn.execute(_SQL.of(conn)["read_horizon"])).fetchone()
    assert row is not None, "a clock always answers"
    return Horizon(*row)


async def is_over(conn: AsyncConnection, horizon: Horizon) -> bool:
    """Whether all that is dated before a moment can be seen."""
    values = {"transaction_ids": horizon.transaction_ids}
    row = await (await conn.execute(_SQL.of(conn)["is_over"], values)).fetchone()
    return bool(row and row[0])


async def begins_at(conn: AsyncConnection) -> datetime | None:
    """From when on totals follow the log, if they lack what was posted before."""
    row = await (await conn.execute(_SQL["begins_at"])).fetchone()
    return row[0] if row else None


async def build(conn: AsyncConnection) -> None:
    """Adds what was posted before the totals began; it reads the whole journal.

    Args:
        conn: Within a transaction at READ COMMITTED, begun when that moment was over.
    """
    await conn.execute(_SQL["lock_building"], {"lock": _BUILDING_LOCK})
    await conn.execute(_SQL["plan_for_whole_tables"])
    await sales.build(conn)
    await conn.execute(_SQL["build"], _SYSTEM)


_SYSTEM: Mapping[str, object] = {
    "system_ids": list(SYSTEM_ACCOUNTS),
    "system_roles": [str(account.role) for account in SYSTEM_ACCOUNTS.values()],
    "system_currencies": [account.currency for account in SYSTEM_ACCOUNTS.values()],
}
_POSTED: Mapping[str, object] = {
    **_SYSTEM,
    # Who receives by quote, and gives back, does so in the currency of the price.
    "received_kinds": arrays.smallints([Kind.TRANSFER, Kind.EXCHANGE]),
    "given_back_kinds": arrays.smallints([Kind.TRANSFER_REVERSAL, Kind.EXCHANGE_REVERSAL]),
    "account_opened": int(EventType.ACCOUNT_OPENED),
    "purchase": int(Kind.PURCHASE),
    "refund": int(Kind.REFUND),
}
