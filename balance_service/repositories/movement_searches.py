"""Finds movements across accounts, by references and by pairs of metadata."""

from collections.abc import Collection
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.movements import Movement
from balance_service.domain.searches import ByLabel, ByReference, Place
from balance_service.repositories import journal, queries

_SQL = queries.load(__file__)


async def page(
    conn: AsyncConnection, wanted: ByReference | ByLabel, after: Place, limit: int, skip: int
) -> list[Movement]:
    """Movements, newest first.

    Args:
        conn: Any connection.
        wanted: What they are found by.
        after: Where the page starts.
        limit: How many at most.
        skip: How many to leave out before them.
    """
    query = "by_reference" if isinstance(wanted, ByReference) else "by_label"
    place = {"after_time": after.created_at, "after_id": after.movement_id}
    values = {**wanted._asdict(), **place, "limit": limit, "skip": skip}
    found = [row[0] for row in await (await conn.execute(_SQL.of(conn)[query], values)).fetchall()]
    movements = await journal.movements(conn, found)
    return [movements[movement_id] for movement_id in found]


async def count(conn: AsyncConnection, wanted: ByReference | ByLabel) -> int:
    """How many movements are found so."""
    query = "count_by_reference" if isinstance(wanted, ByReference) else "count_by_label"
    row = await (await conn.execute(_SQL.of(conn)[query], wanted._asdict())).fetchone()
    assert row is not None, "a count always has a row"
    return int(row[0])


async def label_part(
    conn: AsyncConnection, keys: Collection[str], after: UUID, limit: int
) -> UUID | None:
    """Labels a part of the journal, and whatever of it is labelled already stays so.

    Args:
        conn: Any connection.
        keys: The keys of metadata that may be searched by.
        after: The last movement of the part before.
        limit: How many movements the part has at most.

    Returns:
        The last movement of the part; None where the journal ends.
    """
    values = {"keys": list(keys), "after": after, "limit": limit}
    row = await (await conn.execute(_SQL["label_part"], values)).fetchone()
    return row[0] if row else None
