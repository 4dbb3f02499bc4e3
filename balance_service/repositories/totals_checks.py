"""What must be true of the totals that a trial balance is read from, and of sales."""

from collections import defaultdict
from collections.abc import Mapping
from typing import TypeAlias

from psycopg import AsyncConnection

from balance_service.repositories import cluster_slices, queries

SQL = queries.load(__file__)

CHECKS = {
    "totals_are_of_entries": "every total of a minute is the sum of what was posted in it",
    "totals_are_brought_forward": "totals before the horizon lead to what was brought forward",
    "totals_add_up": "every total of a day is the sum of its minutes",
    "sales_are_of_movements": "the sales of every month are those of its purchases and refunds",
}

# A month, a service, the currency that was paid in and that of the price.
_Key: TypeAlias = tuple[object, ...]


async def find_wrong_sales(
    conn: AsyncConnection, parameters: Mapping[str, object]
) -> list[tuple[str, object, object]]:
    """What sales_are_of_movements finds, on a cluster: refunds are added up slice by slice.

    Args:
        conn: Within a view.
        parameters: Of the checks.
    """
    statements = SQL.on_cluster
    built = await (await conn.execute(statements["is_built"])).fetchone()
    if not built or not built[0]:
        return []
    counted = defaultdict[_Key, list[int]](lambda: [0] * 7)

    async def add(name: str, values: Mapping[str, object]) -> None:
        for row in await (await conn.execute(statements[name], values)).fetchall():
            sums = counted[row[:4]]
            counted[row[:4]] = [int(a + b) for a, b in zip(sums, row[4:], strict=True)]

    await add("purchases_sold", parameters)
    for part in await cluster_slices.ranges(conn, statements["count_refunds"], parameters):
        await add("refunds_sold", {**parameters, "slice": part})
    rows = await (await conn.execute(statements["sales_kept"])).fetchall()
    kept = {row[:4]: [int(value) for value in row[4:]] for row in rows}
    return [
        (_text(key), _text(kept.get(key)), _text(counted.get(key)))
        for key in sorted(kept.keys() | counted.keys(), key=str)
        if kept.get(key) != counted.get(key)
    ]


def _text(values: _Key | list[int] | None) -> str:
    """Values as Postgres writes a row of them."""
    return f"({','.join(map(str, values or ()))})"
