"""Second factors: sealed secrets, and hashes of the recovery codes that stand in for them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.repositories import queries

_SQL = queries.load(__file__)


class SecondFactor(NamedTuple):
    """A user's secret, and whether they proved that they have it."""

    sealed_secret: bytes
    confirmed: bool


class Sealed(NamedTuple):
    """A user's secret, sealed."""

    user_id: UUID
    sealed_secret: bytes


async def put(conn: AsyncConnection, user_id: UUID, sealed_secret: bytes, now: datetime) -> bool:
    """Stores a secret that is to be confirmed; False if one was confirmed before."""
    values = {"user_id": user_id, "sealed_secret": sealed_secret, "now": now}
    return (await conn.execute(_SQL["put"], values)).rowcount == 1


async def get(conn: AsyncConnection, user_id: UUID) -> SecondFactor | None:
    """A user's second factor, if they have one or are about to."""
    row = await (await conn.execute(_SQL["get"], {"user_id": user_id})).fetchone()
    return SecondFactor(bytes(row[0]), row[1]) if row else None


async def confirm(
    conn: AsyncConnection, user_id: UUID, sealed_secret: bytes, step: int, now: datetime
) -> bool:
    """Notes that a user has a secret; False if another took its place, or it was noted before."""
    values = {"user_id": user_id, "sealed_secret": sealed_secret, "step": step, "now": now}
    return (await conn.execute(_SQL["confirm"], values)).rowcount == 1


async def use_step(conn: AsyncConnection, user_id: UUID, step: int) -> bool:
    """Uses up a time step; False if it, or a later one, was used before."""
    values = {"user_id": user_id, "step": step}
    return (await conn.execute(_SQL["use_step"], values)).rowcount == 1


async def insert_recovery_codes(
    conn: AsyncConnection, user_id: UUID, code_hashes: Sequence[bytes], mark: bytes
) -> None:
    """Adds recovery codes, which the service's secret with a mark hashed."""
    values = {"user_id": user_id, "code_hashes": list(code_hashes), "mark": mark}
    await conn.execute(_SQL["insert_recovery_codes"], values)


async def use_recovery_code(
    conn: AsyncConnection, user_id: UUID, code_hashes: Sequence[bytes]
) -> bool:
    """Uses up the recovery code with one of some hashes; False if there is none such."""
    values = {"user_id": user_id, "code_hashes": list(code_hashes)}
    return (await conn.execute(_SQL["use_recovery_code"], values)).rowcount == 1


async def list_sealed(conn: AsyncConnection, after: UUID | None, limit: int) -> list[Sealed]:
    """Some users' secrets, in the order of their ids."""
    values = {"after": after or UUID(int=0), "limit": limit}
    cursor = await conn.execute(_SQL["list_sealed"], values)
    return [Sealed(row[0], bytes(row[1])) for row in await cursor.fetchall()]


async def replace_seal(
    conn: AsyncConnection, user_id: UUID, sealed_secret: bytes, again: bytes
) -> int:
    """Replaces the seal of a secret; 0 if it is not sealed that way any more, or gone."""
    values = {"user_id": user_id, "sealed_secret": sealed_secret, "again": again}
    return (await conn.execute(_SQL["replace_seal"], values)).rowcount


async def count_codes_of_others(conn: AsyncConnection, mark: bytes) -> int:
    """How many recovery codes another secret of the service hashed, as far as is known."""
    cursor = await conn.execute(_SQL["count_codes_of_others"], {"mark": mark})
    row = await cursor.fetchone()
    assert row, "a count has a row"
    return int(row[0])


async def delete(conn: AsyncConnection, user_id: UUID) -> None:
    """Removes a user's second factor, with its recovery codes."""
    for query in ("delete_factor", "delete_recovery_codes"):
        await conn.execute(_SQL[query], {"user_id": user_id})
