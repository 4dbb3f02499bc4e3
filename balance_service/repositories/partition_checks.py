"""Whether every row of the journal lies in the partition that its key leads to."""

from collections import defaultdict
from typing import LiteralString

from psycopg import AsyncConnection, sql

from balance_service.repositories import queries

_SQL = queries.load(__file__)

CHECKS = {"row_is_in_its_partition": "every row of the journal is in its partition"}


async def find_faults(
    conn: AsyncConnection, faults_max: int
) -> dict[str, list[tuple[str, object, object]]]:
    """Rows that are where they do not belong, by check: what each is about and where it is.

    A row that is not where its key leads to would not be met by another of the same key, and
    equal keys are refused within a partition alone.

    Args:
        conn: Within a transaction.
        faults_max: How many at most.
    """
    bounds: dict[LiteralString, dict[int, LiteralString]] = defaultdict(dict)
    for parent, partition, text in await (await conn.execute(_SQL["partitions"])).fetchall():
        bounds[parent][partition] = text
    found: list[tuple[str, object, object]] = []
    for parent, partitions in bounds.items():
        # Names and bounds are as the catalogue has them, quoted by Postgres.
        cases = sql.SQL(" ").join(
            sql.SQL("WHEN {} THEN {}").format(sql.Literal(partition), _raw(text))
            for partition, text in partitions.items()
        )
        query = sql.SQL(_SQL["row_is_in_its_partition"]).format(_raw(parent), cases)
        cursor = await conn.execute(query, {"limit": faults_max - len(found)})
        found += [(subject, stored, "elsewhere") for subject, stored in await cursor.fetchall()]
    return {"row_is_in_its_partition": found}


def _raw(text: LiteralString) -> sql.SQL:
    return sql.SQL(text)
