"""Sales by service and month, added up as far in the log of events as the totals are."""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.movements import Kind
from balance_service.domain.reports import MonthlySales
from balance_service.repositories import queries

_SQL = queries.load(__file__)
_KINDS: Mapping[str, object] = {"purchase": int(Kind.PURCHASE), "refund": int(Kind.REFUND)}
_LOWEST, _HIGHEST = UUID(int=0), UUID(int=2**128 - 1)


class Place(NamedTuple):
    """After which sales a page begins: month, service and the two currencies.

    With the month alone, it is before the first ones of that month.
    """

    month: date
    after: UUID = _LOWEST
    currency: str = ""
    price_currency: str = ""


async def roll_up(conn: AsyncConnection, after: int, until: int) -> None:
    """Adds what was sold by some events.

    Args:
        conn: Within the transaction that says how far the totals are.
        after: The number of the event before the first.
        until: That of the last, which ends a commit.
    """
    await conn.execute(_SQL.of(conn)["roll_up"], {**_KINDS, "after": after, "until": until})


async def build(conn: AsyncConnection) -> None:
    """Adds what was sold before the totals began, unless they have it; it reads all movements.

    Args:
        conn: Within the transaction that builds the totals, before they are said to be built.
    """
    await conn.execute(_SQL["build"], _KINDS)


async def page(
    conn: AsyncConnection, place: Place, end: date, service_id: UUID | None, limit: int
) -> list[MonthlySales]:
    """Sales of some months, in one snapshot, by month, service and currencies.

    Args:
        conn: Any connection.
        place: Where it begins.
        end: The last month.
        service_id: Of which service; None for all.
        limit: How many at most.
    """
    values = {
        **_KINDS,
        **place._asdict(),
        "last_month": end,
        "first": service_id or _LOWEST,
        "last": service_id or _HIGHEST,
        "limit": limit,
    }
    rows = await (await conn.execute(_SQL.of(conn)["page"], values)).fetchall()
    return [MonthlySales(*row[:4], *map(int, row[4:])) for row in rows]
