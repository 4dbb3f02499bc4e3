"""Holds outside the hot path: read, listed, and found once their time is over."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.holds import Hold, HoldStatus
from balance_service.repositories import queries

_SQL = queries.load(__file__)


class Place(NamedTuple):
    """Where a list of holds goes on: after the last that was shown."""

    created_at: datetime
    hold_id: UUID


async def get(conn: AsyncConnection, account_id: UUID, hold_id: UUID) -> Hold | None:
    """What is left of a hold of an account, if there is one."""
    key = {"account_id": account_id, "hold_id": hold_id}
    cursor = await conn.execute(_SQL["get"], key)
    row = await cursor.fetchone()
    return hold_of(row) if row else None


async def page(
    conn: AsyncConnection,
    account_ids: Sequence[UUID],
    status: HoldStatus | None,
    after: Place | None,
    limit: int,
    skip: int = 0,
) -> list[Hold]:
    """Holds of some accounts, newest first.

    Args:
        conn: Any connection.
        account_ids: The accounts.
        status: The only status to keep; None for all.
        after: The place after which the page starts; None for the first page.
        limit: How many at most.
        skip: How many to leave out before them.
    """
    values = {
        "account_ids": list(account_ids),
        "status": status,
        "after_time": after and after.created_at,
        "after_id": after and after.hold_id,
        "limit": limit,
        "skip": skip,
        "reach": limit + skip,
    }
    cursor = await conn.execute(_SQL.of(conn)["page"], values)
    return [hold_of(row) for row in await cursor.fetchall()]


async def count(
    conn: AsyncConnection, account_ids: Sequence[UUID], status: HoldStatus | None
) -> int:
    """How many holds a list has, on all its pages."""
    values = {"account_ids": list(account_ids), "status": status}
    cursor = await conn.execute(_SQL["count"], values)
    row = await cursor.fetchone()
    assert row is not None, "a count always has a row"
    return int(row[0])


async def expired(conn: AsyncConnection, limit: int) -> list[UUID]:
    """Ids of open holds whose time is over by Postgres's clock, those that wait longest first."""
    cursor = await conn.execute(_SQL["expired"], {"limit": limit})
    return [row[0] for row in await cursor.fetchall()]


def hold_of(row: Sequence[Any]) -> Hold:
    """The hold of a row with the columns of Hold, in their order."""
    account_id, hold_id, left, captured, status, expires_at, created_at = row
    return Hold(account_id, hold_id, left, captured, HoldStatus(status), expires_at, created_at)
