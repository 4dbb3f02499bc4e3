"""Which periods of the journal's entries are in files, and what accounts brought forward."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.repositories import queries

_SQL = queries.load(__file__)


class Horizon(NamedTuple):
    """How far the journal's entries are in files.

    Args:
        ends_at: All entries that were booked before this, and no others, are in files.
        values_end_at: The latest value date among them; None if there are none.
    """

    ends_at: datetime
    values_end_at: datetime | None


class BroughtForward(NamedTuple):
    """Where an account stood after the last of its entries that is in a file.

    Args:
        sequence: That entry's number.
        balance_minor: The balance after it, in minor units.
        created_at: When it was booked.
    """

    sequence: int
    balance_minor: int
    created_at: datetime


class Window(NamedTuple):
    """The times of booking whose entries are looked at, as Postgres's own text.

    Args:
        since: At or after; `-infinity` for all.
        until: Before; `infinity` for all.
    """

    since: str = "-infinity"
    until: str = "infinity"


class Archive(NamedTuple):
    """A period whose entries are in files; as the table has it."""

    starts_at: datetime | None
    ends_at: datetime
    values_end_at: datetime | None
    entries: int
    entries_minor: int
    entries_bytes: int
    entries_sha256: bytes
    system_entries: int
    system_entries_minor: int
    system_entries_bytes: int
    system_entries_sha256: bytes
    last_checkpoint: int
    archived_at: datetime


async def window(conn: AsyncConnection) -> Window:
    """The times whose entries are in the database.

    Args:
        conn: With time zone UTC.
    """
    row = await (await conn.execute(_SQL["window"])).fetchone()
    assert row is not None, "an aggregate always answers"
    until, since = row
    return Window(since, until)


async def horizon(conn: AsyncConnection) -> Horizon | None:
    """How far entries are in files; None if none are."""
    row = await (await conn.execute(_SQL["horizon"])).fetchone()
    return Horizon(*row) if row and row[0] else None


async def every(conn: AsyncConnection) -> list[Archive]:
    """Every period that is in files, the oldest first."""
    return [Archive(*row) for row in await (await conn.execute(_SQL["every"])).fetchall()]


async def brought_forward(
    conn: AsyncConnection, account_ids: Collection[UUID]
) -> dict[UUID, BroughtForward]:
    """What accounts brought forward, by their ids; those without an entry in files are left out."""
    values = {"account_ids": list(account_ids)}
    cursor = await conn.execute(_SQL["brought_forward"], values)
    return {account_id: BroughtForward(*rest) for account_id, *rest in await cursor.fetchall()}
