"""Reads accounts and movements of everybody, a bounded part at a time."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.reports import BalanceThen, MovementSearch
from balance_service.repositories import queries

_SQL = queries.load(__file__)


class Hidden(NamedTuple):
    """Commits whose events have no numbers yet.

    Args:
        oldest: When the first of them was written.
        newest: When the last was.
    """

    oldest: datetime
    newest: datetime


async def clock(conn: AsyncConnection) -> datetime:
    """Postgres's time."""
    row = await (await conn.execute(_SQL["clock"])).fetchone()
    assert row is not None, "a clock always answers"
    found: datetime = row[0]
    return found


async def under_way(conn: AsyncConnection) -> frozenset[str]:
    """The numbers of the database's transactions that have one and have not ended."""
    rows = await (await conn.execute(_SQL.of(conn)["under_way"])).fetchall()
    return frozenset(row[0] for row in rows)


async def hidden(conn: AsyncConnection) -> Hidden | None:
    """What is committed and may not be seen on every server yet; None if there is nothing.

    On one server there never is. On a cluster a commit comes to light on one server after another,
    and minutes later where one was lost in between; once all of it is seen its event has a number.
    """
    if not queries.is_of_cluster(conn):
        return None
    row = await (await conn.execute(_SQL.on_cluster["hidden"])).fetchone()
    return Hidden(*row) if row and row[0] else None


async def balances(
    conn: AsyncConnection, as_of: datetime, currency: str, after: UUID, reach: int, limit: int
) -> list[BalanceThen]:
    """What accounts had right after a moment, oldest first; without those opened later.

    Args:
        conn: Any connection.
        as_of: The moment, which is over for all accounts.
        currency: Of which accounts; empty for all.
        after: The account after which the part begins.
        reach: How many accounts it looks at.
        limit: How many at most it answers.
    """
    values = {
        "as_of": as_of,
        "currency": currency,
        "after": after,
        "reach": reach,
        "limit": limit,
    }
    rows = await (await conn.execute(_SQL.of(conn)["balances"], values)).fetchall()
    return [BalanceThen(*row) for row in rows]


async def movements(
    conn: AsyncConnection, wanted: MovementSearch, after: int, until: int, limit: int
) -> list[tuple[int, UUID]]:
    """Movements of a part of the log of events: the numbers of their events, and their ids.

    Args:
        conn: Any connection.
        wanted: Which to keep.
        after: The number of the event before the part.
        until: The number of its last.
        limit: How many at most.
    """
    values = wanted._asdict() | {"after": after, "until": until, "limit": limit}
    return list(await (await conn.execute(_SQL.of(conn)["movements"], values)).fetchall())


async def oldest(conn: AsyncConnection) -> datetime:
    """From when on movements are found by the log."""
    row = await (await conn.execute(_SQL["oldest"])).fetchone()
    assert row is not None, "the last row of the log is never deleted"
    found: datetime = row[0]
    return found


async def passes(conn: AsyncConnection, after: int, until: int, moment: datetime) -> bool:
    """Whether a part of the log has an event that was written at a moment or later."""
    values = {"after": after, "until": until, "moment": moment}
    row = await (await conn.execute(_SQL["passes"], values)).fetchone()
    return row is not None and bool(row[0])
