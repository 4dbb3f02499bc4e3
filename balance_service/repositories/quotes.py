"""Quotes, which never change: that one was carried out stands in the journal."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row

from balance_service.domain.money import Money
from balance_service.domain.pricing import Rate
from balance_service.domain.quotes import Quote, Rounding
from balance_service.repositories import arrays, queries

_SQL = queries.load(__file__)


async def read_clock(conn: AsyncConnection) -> datetime:
    """The time by Postgres's clock, which all workers share."""
    row = await (await conn.execute(_SQL["read_clock"])).fetchone()
    assert row is not None, "a clock always answers"
    moment: datetime = row[0]
    return moment


async def insert(conn: AsyncConnection, quote: Quote) -> bool:
    """Adds a quote; whether there was none of its id."""
    cursor = await conn.execute(
        _SQL["insert"],
        {
            "quote_id": quote.quote_id,
            "principal": quote.principal,
            "account_id": quote.account_id,
            "paid_minor": quote.paid.minor,
            "paid_currency": quote.paid.currency,
            "received_minor": quote.received.minor,
            "received_currency": quote.received.currency,
            "rate": quote.rate.value,
            "rate_source": quote.rate.source,
            "rate_as_of": quote.rate.as_of,
            "rounding": int(quote.rounding),
            "created_at": quote.created_at,
            "expires_at": quote.expires_at,
        },
    )
    return cursor.rowcount == 1


async def get(conn: AsyncConnection, quote_ids: Sequence[UUID]) -> dict[UUID, Quote]:
    """Those quotes that exist, by id."""
    cursor = conn.cursor(row_factory=namedtuple_row)
    await cursor.execute(_SQL["get"], {"quote_ids": arrays.uuids(quote_ids)})
    found = [_quote(row) for row in await cursor.fetchall()]
    return {quote.quote_id: quote for quote in found}


async def clear_expired(conn: AsyncConnection, kept_for: timedelta, limit: int) -> int:
    """Deletes quotes that were never carried out.

    Those that were stay for ever, because their movements name them.

    Args:
        conn: Any connection.
        kept_for: How long after its end a quote is kept, by Postgres's clock: much longer than a
            commit may take that carries it out.
        limit: How many to look at.

    Returns:
        How many were looked at; fewer than the limit if there are no more for now.
    """
    values = {"kept_for": kept_for, "limit": limit}
    if queries.is_of_cluster(conn):
        async with conn.transaction():
            return await _clear_on_cluster(conn, values)
    row = await (await conn.execute(_SQL["clear_expired"], values)).fetchone()
    assert row is not None, "a count always has a row"
    return int(row[0])


async def _clear_on_cluster(conn: AsyncConnection, values: Mapping[str, object]) -> int:
    """As the statement for one server, by one for the quotes and one for their uses on shards."""
    sql = _SQL.on_cluster
    rows = await (await conn.execute(sql["expired"], values)).fetchall()
    if not rows:
        return 0
    expired, accounts = {row[0] for row in rows}, {row[1] for row in rows}
    asked = {"account_ids": arrays.uuids(accounts), "quote_ids": arrays.uuids(expired)}
    used = {row[0] for row in await (await conn.execute(sql["used"], asked)).fetchall()}
    await conn.execute(sql["keep"], {"quote_ids": arrays.uuids(used)})
    await conn.execute(sql["delete"], {"quote_ids": arrays.uuids(expired - used)})
    return len(expired)


def _quote(row: Any) -> Quote:  # noqa: ANN401 - a named tuple of the query's columns
    rate = Rate(row.paid_currency, row.received_currency, row.rate, row.rate_source, row.rate_as_of)
    return Quote(
        quote_id=row.quote_id,
        principal=row.principal,
        account_id=row.account_id,
        paid=Money(row.paid_minor, row.paid_currency),
        received=Money(row.received_minor, row.received_currency),
        rate=rate,
        rounding=Rounding(row.rounding),
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
