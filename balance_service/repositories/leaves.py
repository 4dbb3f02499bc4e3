"""Leaves of the trees of checkpoints: hashes over all that a movement and its entries say.

docs/concepts/proof.md describes them, byte by byte.
"""

from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.checkpoints import NO_SIDE, Proved
from balance_service.domain.movements import PAYING_IN
from balance_service.repositories import queries
from balance_service.repositories.archives import Window

_SQL = queries.load(__file__)
HASH_BYTES = 32
_SALT_BYTES = 16
_VALUES = {"no_side": NO_SIDE, "paying_in": sorted(PAYING_IN)}


class Covered(NamedTuple):
    """Movements that a checkpoint covers, as arrays in Postgres's own text: they only pass through.

    Args:
        movement_ids: Their ids, in the order of the leaves.
        from_sequences: The numbers of their entries on the accounts that they left; null where
            there is none.
        to_sequences: Those on the accounts that they reached.
    """

    movement_ids: str
    from_sequences: str
    to_sequences: str


async def of_movements(conn: AsyncConnection, covered: Covered, salt_key: bytes) -> list[bytes]:
    """The leaves of movements that are to be covered.

    Args:
        conn: With time zone UTC.
        covered: They exist.
        salt_key: Random bytes, kept with the checkpoint.
    """
    values = {**_VALUES, **Window()._asdict(), **covered._asdict(), "salt_key": salt_key}
    row = await (await conn.execute(_SQL.of(conn)["leaves"], values)).fetchone()
    assert row is not None, "an aggregate always answers"
    leaves = split(row[0] or b"")
    assert len(leaves) == row[1], "what an event names is in the journal"
    return leaves


async def of_checkpoints(
    conn: AsyncConnection, first: int, last: int, window: Window
) -> dict[int, list[bytes]]:
    """The leaves of all that some checkpoints cover, as it is now, by their numbers.

    Args:
        conn: With time zone UTC.
        first: The number of the first checkpoint.
        last: That of the last.
        window: Whose entries are looked at; other leaves are those that are stored.
    """
    values = {**_VALUES, **window._asdict(), "first": first, "last": last}
    cursor = await conn.execute(_SQL.of(conn)["of_checkpoints"], values)
    return {number: split(leaves) for number, leaves, _ in await cursor.fetchall()}


async def find(conn: AsyncConnection, movement_id: UUID) -> Proved | None:
    """What proves a movement; None if no checkpoint covers it yet.

    Args:
        conn: With time zone UTC.
        movement_id: The movement.
    """
    values = {**_VALUES, "movement_id": movement_id}
    row = await (await conn.execute(_SQL.of(conn)["receipt"], values)).fetchone()
    if row is None:
        return None
    number, place, leaves, salts, *texts = row
    return Proved(
        number, place - 1, split(leaves), (salts[:_SALT_BYTES], salts[_SALT_BYTES:]), *texts
    )


def split(leaves: bytes) -> list[bytes]:
    """Leaves that stand one after the other."""
    return [leaves[at : at + HASH_BYTES] for at in range(0, len(leaves), HASH_BYTES)]
