"""Reads statements, and balances of the past."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
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
    entry_filter: Filter,
    limit: int,
    skip: int = 0,
) -> list[Entry]:
    """The entries of some accounts from a position on.

    Args:
        conn: Any connection.
        order: By date or by amount, and in which direction.
        position: Which accounts, and where the page starts in each.
        entry_filter: Which entries to return.
        limit: How many entries at most.
        skip: How many entries to leave out before them.
    """
    after = position.after_amount
    query = {Order.DATE: "by_date", Order.DATE_DESC: "by_date_desc"}.get(order, "by_amount")
    cursor = await conn.execute(
        _SQL[query],
        {
            "account_ids": list(position.ends),
            "lows": [position.after.get(account_id, 0) + 1 for account_id in position.ends],
            "highs": list(position.ends.values()),
            **_filter_values(entry_filter),
            "after_amount": after and after.amount_minor,
            "after_account": after and after.account_id,
            "after_sequence": after and after.sequence,
            "order": -1 if order.descending else 1,
            "limit": limit,
            "skip": skip,
            "reach": limit + skip,
        },
    )
    return [_entry(row) for row in await cursor.fetchall()]


async def count(conn: AsyncConnection, position: Position, entry_filter: Filter) -> int:
    """How many entries of some accounts, as they were at a list's start, pass a filter."""
    if entry_filter == Filter():
        # Entries of an account are numbered from 1 without gaps, so the last number counts them.
        return position.passed + sum(position.ends.values())
    ends = {"account_ids": list(position.ends), "highs": list(position.ends.values())}
    cursor = await conn.execute(_SQL["count"], {**ends, **_filter_values(entry_filter)})
    row = await cursor.fetchone()
    assert row is not None, "a count always has a row"
    return position.passed + int(row[0])


def _filter_values(entry_filter: Filter) -> dict[str, object]:
    return {
        "kind": entry_filter.kind,
        "direction": entry_filter.direction,
        "counterparty_id": entry_filter.counterparty_id,
        "start_time": entry_filter.start_time,
        "end_time": entry_filter.end_time,
        "start_effective": entry_filter.start_effective_time,
        "end_effective": entry_filter.end_effective_time,
        "amount_min": entry_filter.amount_minor_min,
        "amount_max": entry_filter.amount_minor_max,
    }


def _entry(row: Sequence[Any]) -> Entry:
    account_id, sequence, movement_id, kind, amount, balance_after, counterparty_id, created_at = (
        row
    )
    return Entry(
        account_id,
        sequence,
        movement_id,
        Kind(kind),
        amount,
        balance_after,
        counterparty_id,
        created_at,
    )


async def balance_at(conn: AsyncConnection, account_id: UUID, as_of: datetime) -> int:
    """The balance in minor units that an account had right after a moment."""
    cursor = await conn.execute(_SQL["balance_at"], {"account_id": account_id, "as_of": as_of})
    row = await cursor.fetchone()
    return row[0] if row else 0
