"""The keys that access tokens are signed with; their private halves are sealed."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from psycopg import AsyncConnection

from balance_service.repositories import queries

_SQL = queries.load(__file__)


class SigningKey(NamedTuple):
    """A key: the private half sealed, the public half raw (32 bytes).

    Args:
        signs_at: From when it signs; it is published before.
        stops_at: When an operator stopped it; None if it signs until the next one does.
        now: Postgres's time when it was read.
    """

    key_id: str
    sealed_private_key: bytes
    public_key: bytes
    created_at: datetime
    signs_at: datetime
    stops_at: datetime | None
    now: datetime


class NewKey(NamedTuple):
    """A key that is to be stored.

    Args:
        after: How long it is only published before it signs.
    """

    key_id: str
    sealed_private_key: bytes
    public_key: bytes
    after: timedelta


async def lock(conn: AsyncConnection) -> None:
    """Lets nobody else change keys until the transaction ends."""
    await conn.execute(_SQL["lock"])


async def in_use(conn: AsyncConnection) -> list[SigningKey]:
    """The keys that were not taken out of use, the newest first."""
    return [SigningKey(*row) for row in await (await conn.execute(_SQL["in_use"])).fetchall()]


async def public_key(conn: AsyncConnection, key_id: str) -> bytes:
    """The public half of a key that signed once."""
    row = await (await conn.execute(_SQL["public_key"], {"key_id": key_id})).fetchone()
    return bytes(row[0]) if row else b""


async def insert(conn: AsyncConnection, key: NewKey) -> None:
    await conn.execute(_SQL["insert"], key._asdict())


async def begin(conn: AsyncConnection, key_id: str) -> None:
    """Has a key that is only published sign from now on."""
    await conn.execute(_SQL["begin"], {"key_id": key_id})


async def stop(conn: AsyncConnection, key_id: str) -> None:
    """Has a key sign no more."""
    await conn.execute(_SQL["stop"], {"key_id": key_id})


async def remove(conn: AsyncConnection, key_ids: Collection[str]) -> int:
    """Takes keys out of use, and forgets their private halves; how many there were."""
    cursor = await conn.execute(_SQL["remove"], {"key_ids": list(key_ids)})
    return cursor.rowcount


async def reseal(conn: AsyncConnection, key_id: str, sealed_private_key: bytes) -> None:
    """Replaces a key's seal."""
    values = {"key_id": key_id, "sealed_private_key": sealed_private_key}
    await conn.execute(_SQL["reseal"], values)
