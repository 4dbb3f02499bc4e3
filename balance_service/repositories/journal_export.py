"""The sides of all movements of a period, a part at a time: for journals of accounting programs."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import AsyncConnection

from balance_service.domain.accounts import SYSTEM_ACCOUNTS
from balance_service.domain.journals.forms import Period
from balance_service.domain.journals.transactions import Side
from balance_service.domain.movements import Kind
from balance_service.repositories import queries, totals

_SQL = queries.load(__file__)

# Events of a part, without the rest of its last commit.
PART_EVENTS = 2_000
SIDES_AT_ONCE = 5_000


class Oldest(NamedTuple):
    """The oldest row of the log.

    Args:
        numbered_at: When it was numbered.
        before: The number before its first event.
    """

    numbered_at: datetime
    before: int


class Part(NamedTuple):
    """A part of the log.

    Args:
        last_sequence: The number of its last event; None if there is none after where it begins.
        written_at: When the latest of its commits was written.
        before: The number before its first event.
    """

    last_sequence: int | None
    written_at: datetime | None
    before: int | None


async def oldest(conn: AsyncConnection) -> Oldest:
    """The oldest row of the log."""
    row = await (await conn.execute(_SQL["oldest"])).fetchone()
    assert row is not None, "the last row of the log is never deleted"
    return Oldest(*row)


async def is_waiting(conn: AsyncConnection, moment: datetime) -> bool:
    """Whether something that was written before a moment has no number yet."""
    row = await (await conn.execute(_SQL["waiting"], {"moment": moment})).fetchone()
    return row is not None


async def part(conn: AsyncConnection, after: int) -> Part:
    """Where the next part of the log ends, which is the same wherever the first one began."""
    until = (after // PART_EVENTS + 1) * PART_EVENTS
    values = {"after": after, "until": until, "commit_max": totals.COMMIT_EVENTS_MAX}
    row = await (await conn.execute(_SQL["part"], values)).fetchone()
    assert row is not None, "an aggregate has a row"
    return Part(*row)


async def of_log(conn: AsyncConnection, after: int, until: int, period: Period) -> Sequence[Side]:
    """The sides of movements of a part of the log, in its order.

    Args:
        conn: Any connection.
        after: The number before the part's first event.
        until: The number of its last one.
        period: Keeps movements that are dated within it.
    """
    values = {**_within(period), "after": after, "until": until}
    return [
        _side(row) for row in await (await conn.execute(_SQL.of(conn)["of_log"], values)).fetchall()
    ]


async def of_journal(conn: AsyncConnection, period: Period) -> AsyncGenerator[Side, None]:
    """The sides of movements of a period by time, from one snapshot of the whole journal.

    Args:
        conn: Outside any transaction.
        period: Keeps movements that are dated within it.
    """
    async with conn.transaction():
        await conn.execute(_SQL["snapshot"])
        await conn.execute(_SQL["plan_for_whole_tables"])
        async with conn.cursor("journal") as cursor:
            cursor.itersize = SIDES_AT_ONCE
            await cursor.execute(_SQL.of(conn)["of_journal"], _within(period))
            async for row in cursor:
                yield _side(row)


def _within(period: Period) -> Mapping[str, object]:
    return {**_SYSTEM, "since": period.start, "before": period.end}


def _side(row: Sequence[Any]) -> Side:
    return Side(row[0], Kind(row[1]), *row[2:])


_SYSTEM: Mapping[str, object] = {
    "system_ids": list(SYSTEM_ACCOUNTS),
    "system_roles": [str(account.role) for account in SYSTEM_ACCOUNTS.values()],
    "system_currencies": [account.currency for account in SYSTEM_ACCOUNTS.values()],
}
