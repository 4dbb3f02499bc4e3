"""Reads statements, and balances of the past."""

from datetime import datetime
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.movements import Entry, Kind
from balance_service.domain.paging import Filter, Order, Position
from balance_service.repositories import queries

_SQL = queries.load(__file__)


async def page(
    conn: AsyncConnection,
    order: Order,
    position: Position,
    kept: Filter,
    limit: int,
    skip: int = 0,
) -> list[Entry]:
    """The entries of some accounts from a position on.

    Args:
        conn: Any connection.
        order: How they are ordered.
        position: Which accounts, and where the page starts in each.
        kept: Which entries to keep.
        limit: How many at most.
        skip: How many to leave out before them.
    """
    after = position.after_amount
    query = {Order.DATE: "by_date", Order.DATE_DESC: "by_date_desc"}.get(order, "by_amount")
    cursor = await conn.execute(
        _SQL[query],
        {
            "account_ids": list(position.ends),
            "lows": [position.after.get(account_id, 0) + 1 for account_id in position.ends],
            "highs": list(position.ends.values()),
            **_kept(kept),
            "after_amount": after and after.amount_minor,
            "after_account": after and after.account_id,
            "after_sequence": after and after.sequence,
            "order": -1 if order.descending else 1,
            "limit": limit,
            "skip": skip,
            "reach": limit + skip,
        },
    )
    return [Entry._make([*row[:3], Kind(row[3]), *row[4:]]) for row in await cursor.fetchall()]


async def count(conn: AsyncConnection, position: Position, kept: Filter) -> int:
    """How many entries of some accounts, as they were at a list's start, a filter keeps."""
    if kept == Filter():
        # Statements are numbered without gaps.
        return position.passed + sum(position.ends.values())
    ends = {"account_ids": list(position.ends), "highs": list(position.ends.values())}
    cursor = await conn.execute(_SQL["count"], {**ends, **_kept(kept)})
    row = await cursor.fetchone()
    assert row is not None, "a count always has a row"
    return position.passed + int(row[0])


def _kept(kept: Filter) -> dict[str, object]:
    return {
        "kind": kept.kind,
        "direction": kept.direction,
        "counterparty_id": kept.counterparty_id,
        "start_time": kept.start_time,
        "end_time": kept.end_time,
        "amount_min": kept.amount_minor_min,
        "amount_max": kept.amount_minor_max,
    }


async def balance_at(conn: AsyncConnection, account_id: UUID, as_of: datetime) -> int:
    """The balance in minor units that an account had right after a moment."""
    cursor = await conn.execute(_SQL["balance_at"], {"account_id": account_id, "as_of": as_of})
    row = await cursor.fetchone()
    return row[0] if row else 0
