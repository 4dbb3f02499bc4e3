"""Finds the ends of periods on accounts' statements, and sums up what lies between."""

from datetime import datetime
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.movements import Kind
from balance_service.domain.statements import Basis, Period, Place, Sum
from balance_service.repositories import queries

_SQL = queries.load(__file__)
_BEFORE, _WITHIN, _AFTER = -1, 0, 1


async def place_before(
    conn: AsyncConnection, account_id: UUID, last: int, moment: datetime
) -> Place:
    """The place after all entries of an account that are dated before a moment.

    If it lies among archived entries, it is the place after these.

    Args:
        conn: Any connection.
        account_id: The account.
        last: The number of its last entry that counts; those after it are not looked at.
        moment: The moment.
    """
    values = {"account_id": account_id, "last": last, "moment": moment}
    row = await (await conn.execute(_SQL.of(conn)["place_before"], values)).fetchone()
    assert row is not None, "halving ends at one number"
    return Place(*row)


async def sums(
    conn: AsyncConnection, account_id: UUID, after: int, last: int, period: Period
) -> tuple[list[Sum], list[Sum], list[Sum]]:
    """What a part of an account's entries did before, in and after a period.

    Args:
        conn: Any connection.
        account_id: The account.
        after: The number of the entry before the part.
        last: The number of its last entry. Every entry of the part is read.
        period: The period. By booking date, the part is all of it.
    """
    values = {
        "account_id": account_id,
        "after": after,
        "last": last,
        "start_time": period.start,
        "end_time": period.end,
        "by_value_date": period.basis is Basis.VALUE_DATE,
    }
    found: dict[int, list[Sum]] = {_BEFORE: [], _WITHIN: [], _AFTER: []}
    for side, kind, *numbers in await (await conn.execute(_SQL["sums"], values)).fetchall():
        found[side].append(Sum(Kind(kind), *map(int, numbers)))
    return found[_BEFORE], found[_WITHIN], found[_AFTER]
