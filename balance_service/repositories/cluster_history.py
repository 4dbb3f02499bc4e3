"""What checkpoints cover that is older than the log of events, on a cluster.

On one server a statement seeks where a movement's entries begin on an account, by halves. No
server of a cluster can be sent such a search, so each step of it is one statement, for all
movements of a part together.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.repositories import arrays, queries

_SQL = queries.load(__file__)


class Missing(NamedTuple):
    """A movement that no checkpoint covers."""

    movement_id: UUID
    from_account_id: UUID
    to_account_id: UUID
    created_at: datetime


_Side = tuple[UUID, UUID]


async def part(
    conn: AsyncConnection, values: Mapping[str, object]
) -> tuple[UUID | None, Sequence[Missing]]:
    """The last id of a part of the journal, and what of it no checkpoint covers, in its order.

    Args:
        conn: Any connection.
        values: After which id it begins, until when it is dated, and how much it is at most.
    """
    row = await (await conn.execute(_SQL["last_of_part"], values)).fetchone()
    assert row is not None, "an aggregate always answers"
    if row[0] is None:
        return None, ()
    cursor = await conn.execute(_SQL["missing"], {**values, "last_id": row[0]})
    return row[0], [Missing(*each) for each in await cursor.fetchall()]


async def sequences(
    conn: AsyncConnection, missing: Sequence[Missing], commit_entries_max: int
) -> dict[_Side, int]:
    """The numbers of movements' entries, by movement and account.

    Args:
        conn: Any connection.
        missing: The movements.
        commit_entries_max: How many entries of one date an account has at most.
    """
    dated = {
        (m.movement_id, account_id): m.created_at
        for m in missing
        for account_id in (m.from_account_id, m.to_account_id)
    }
    account_ids = {account_id for _, account_id in dated}
    cursor = await conn.execute(_SQL["lengths"], {"account_ids": arrays.uuids(account_ids)})
    lengths: dict[UUID, int] = dict(await cursor.fetchall())
    lows = {side: 1 for side in dated if side[1] in lengths}
    highs = {side: lengths[side[1]] + 1 for side in lows}
    while wanted := [side for side in lows if lows[side] < highs[side]]:
        middles = {side: (lows[side] + highs[side]) // 2 for side in wanted}
        dates = await _dates(conn, [(account, at) for (_, account), at in middles.items()])
        for side, middle in middles.items():
            found = dates.get((side[1], middle))
            if found is None:
                # As on one server, what is missing is not covered.
                del lows[side]
            elif found < dated[side]:
                lows[side] = middle + 1
            else:
                highs[side] = middle
    values = {
        "movement_ids": arrays.uuids(movement_id for movement_id, _ in lows),
        "account_ids": arrays.uuids(account_id for _, account_id in lows),
        "lows": arrays.bigints(lows.values()),
        "reach": commit_entries_max,
    }
    rows = await (await conn.execute(_SQL["near"], values)).fetchall()
    return {(movement_id, account_id): sequence for movement_id, account_id, sequence in rows}


async def _dates(
    conn: AsyncConnection, places: Sequence[tuple[UUID, int]]
) -> dict[tuple[UUID, int], datetime]:
    """When entries were made, by account and number."""
    values = {
        "account_ids": arrays.uuids(account_id for account_id, _ in places),
        "sequences": arrays.bigints(sequence for _, sequence in places),
    }
    rows = await (await conn.execute(_SQL["dates"], values)).fetchall()
    return {(account_id, sequence): created_at for account_id, sequence, created_at in rows}
