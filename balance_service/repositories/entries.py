"""Reads statements, and balances of the past."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.database.roles import LOCK_TIMEOUT_MS
from balance_service.domain import errors
from balance_service.domain.movements import BETWEEN_USERS, Entry, Kind, Line, Movement
from balance_service.domain.paging import Filter, Order, Part, Position
from balance_service.domain.pricing import Rate
from balance_service.domain.statements import Basis
from balance_service.repositories import arrays, horizon, queries

_SQL = queries.load(__file__)
# The column of a movement, counted from the end: it is never null, where there is a movement.
_PRINCIPAL = -19
LOOK_AGAIN_SECONDS = 0.02


async def page(
    conn: AsyncConnection,
    order: Order,
    position: Position,
    entry_filter: Filter,
    limit: int,
    skip: int = 0,
) -> list[Line]:
    """The entries of some accounts from a position on, with their movements.

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
    rows = await _rows(
        conn,
        query,
        {
            "account_ids": arrays.uuids(position.ends),
            "lows": arrays.bigints(position.after.get(a, 0) + 1 for a in position.ends),
            "highs": arrays.bigints(position.ends.values()),
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
    return [_line(row) for row in rows]


async def parts(conn: AsyncConnection, wanted: Sequence[Part]) -> dict[Part, list[Line]]:
    """Parts of statements, each in the order of its sequence.

    Args:
        conn: Any connection.
        wanted: Any parts; those of one account may overlap.
    """
    columns = {
        "account_ids": arrays.uuids(part.account_id for part in wanted),
        "lows": arrays.bigints(part.first for part in wanted),
        "highs": arrays.bigints(part.last for part in wanted),
        "lengths": arrays.bigints(part.length for part in wanted),
    }
    found: dict[Part, list[Line]] = {part: [] for part in wanted}
    for place, *row in await _rows(conn, "parts", columns, prepare=True):
        found[wanted[place - 1]].append(_line(row))
    return found


def count_all(position: Position) -> int:
    """How many entries some accounts had at a list's start.

    Entries of an account are numbered from 1 without gaps, so the last number counts them.
    """
    return position.passed + sum(position.ends.values())


async def count(conn: AsyncConnection, position: Position, entry_filter: Filter) -> int:
    """How many entries of some accounts, as they were at a list's start, pass a filter."""
    if entry_filter == Filter():
        return count_all(position)
    ends = {"account_ids": list(position.ends), "highs": list(position.ends.values())}
    cursor = await conn.execute(_SQL["count"], {**ends, **_filter_values(entry_filter)})
    row = await cursor.fetchone()
    assert row is not None, "a count always has a row"
    return position.passed + int(row[0])


async def _rows(
    conn: AsyncConnection, query: str, values: Mapping[str, object], *, prepare: bool | None = None
) -> Sequence[Sequence[Any]]:
    """The rows of lines, each with its movement.

    On a cluster, a commit is seen on one shard before another: an entry, and its movement not yet.
    So they are read again until every line is whole.

    Raises:
        Unavailable: A commit stays in part for longer than anybody waits for a lock.
    """
    cursor = conn.cursor(binary=True)
    began = time.monotonic()
    while True:
        await cursor.execute(_SQL.of(conn)[query], values, prepare=prepare)
        rows = await cursor.fetchall()
        if all(row[_PRINCIPAL] is not None for row in rows):
            return rows
        if time.monotonic() - began > LOCK_TIMEOUT_MS / 1000:
            raise errors.Unavailable
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


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


def _line(row: Sequence[Any]) -> Line:
    """The line of a row, by the columns' places: names cost time here."""
    account_id, sequence, movement_id, kind_number, change_minor, left_minor, counterparty_id = row[
        :7
    ]
    created_at, sender_id, receiver_id, amount_minor, currency, balance_after_minor = row[7:13]
    principal, request_id, description, metadata, source, reference = row[13:19]
    service_id, price_minor, price_currency, rate, rate_source, rate_as_of = row[19:25]
    original_id, whole, final, expires_at, effective_at, quote_id, quantity = row[25:]
    kind = Kind(kind_number)
    # By a quote, the rate turns the amount into the other currency, and not a price into it.
    pair = (currency, price_currency) if kind in BETWEEN_USERS else (price_currency, currency)
    entry = Entry(
        account_id,
        sequence,
        movement_id,
        kind,
        change_minor,
        left_minor,
        counterparty_id,
        created_at,
        effective_at,
    )
    movement = Movement(
        movement_id,
        kind,
        sender_id,
        receiver_id,
        amount_minor,
        currency,
        balance_after_minor,
        principal,
        request_id,
        description,
        metadata or {},
        created_at,
        source,
        reference,
        service_id,
        price_minor,
        rate and Rate(*pair, rate, rate_source, rate_as_of),
        original_id,
        bool(whole),
        bool(final),
        expires_at,
        effective_at,
        quote_id,
        quantity,
    )
    return Line(entry, movement)


async def balance_at(conn: AsyncConnection, account_id: UUID, as_of: datetime) -> int:
    """The balance in minor units that an account had right after a moment.

    Raises:
        PeriodArchived: The entry that left it is archived.
    """
    cursor = await conn.execute(_SQL["balance_at"], {"account_id": account_id, "as_of": as_of})
    row = await cursor.fetchone()
    assert row is not None, "one account was asked for"
    balance_minor, archived = row
    if archived:
        (await horizon.read_met(conn)).check(as_of, Basis.BOOKING_DATE)
    return int(balance_minor)
