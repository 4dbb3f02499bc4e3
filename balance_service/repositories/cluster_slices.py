"""The checks that compare what lies on different servers of a cluster, made slice by slice.

A slice is what has ids of some buckets. It is read to the coordinator, where each check is the very
statement that is made on one server: the slice's tables stand for the ledger's. Of which buckets
something may be wrong is found by comparisons; where none can tell, all buckets are looked at.
"""

import itertools
from collections.abc import Mapping
from typing import LiteralString, NamedTuple

from psycopg import AsyncConnection, sql

from balance_service.repositories import cluster_comparisons, queries
from balance_service.repositories.cluster_comparisons import BUCKETS

_SQL = queries.load(__file__)

# As many rows of the table that decides are read at once, or those of one bucket.
SLICE_ROWS = 50_000


class Sliced(NamedTuple):
    """Checks that are made of the same slices.

    Args:
        tables: The query that reads a slice.
        checks: Their names.
        comparisons: By which the buckets are found that may be wrong.
        counting: The query that counts how much there is, if all buckets are looked at.
    """

    tables: str
    checks: tuple[str, ...]
    comparisons: tuple[str, ...] = ()
    counting: str = ""


SLICED = (
    Sliced(
        "of_movements",
        (
            "movement_sums_to_zero",
            "entries_are_of_movements",
            "movement_in_its_accounts_currency",
        ),
        ("entries", "system_entries", "holds"),
    ),
    Sliced("of_unquoted", ("system_entries_are_of_movements",), ("system_entries",)),
    Sliced("of_movements", ("quote_is_used_once",), ("quote_uses",)),
    Sliced("of_movements", ("reference_has_movement",), ("references", "old_references")),
    Sliced("of_accounts", ("owner_has_account", "number_has_account"), ("owners", "numbers")),
    Sliced("of_buyers", ("purchase_has_movement",), ("purchases",)),
    Sliced("of_events", ("movement_has_event", "event_has_entries"), ("events", "event_entries")),
    Sliced("of_checkpoints", ("movement_is_covered",), ("covered", "uncovered")),
    Sliced(
        "of_families",
        (
            "hold_follows_from_movements",
            "hold_has_purpose",
            "hold_shows_balance",
            "follow_has_movement",
            "follow_fits_original",
            "movement_in_its_accounts_currency",
        ),
        counting="count_families",
    ),
    Sliced(
        "of_quotes",
        (
            "movement_sums_to_zero",
            "system_entries_are_of_movements",
            "movement_is_as_quoted",
            "exchange_stays_with_its_owner",
        ),
        counting="count_quotes",
    ),
    Sliced("of_labels", ("label_has_movement",), counting="count_labels"),
    Sliced("of_schedules", ("occurrence_has_movement",), counting="count_occurrences"),
)


async def slices(
    conn: AsyncConnection, sliced: Sliced, parameters: Mapping[str, object]
) -> list[str]:
    """The slices in which something may be wrong, as multiranges of buckets.

    Args:
        conn: Within a view.
        sliced: The checks.
        parameters: Of theirs.
    """
    if sliced.counting:
        return await ranges(conn, _SQL[sliced.counting], parameters)
    rows = await cluster_comparisons.differing(conn, sliced.comparisons, parameters)
    found: list[list[int]] = []
    size = SLICE_ROWS
    for bucket in sorted(rows):
        if size + rows[bucket] > SLICE_ROWS:
            found.append([])
            size = 0
        found[-1].append(bucket)
        size += rows[bucket]
    return ["{" + ",".join(f"[{b},{b}]" for b in buckets) + "}" for buckets in found]


async def ranges(
    conn: AsyncConnection, count: LiteralString, parameters: Mapping[str, object]
) -> list[str]:
    """Slices of all buckets, as multiranges; none if there is nothing.

    Args:
        conn: Any connection.
        count: The statement that counts how much there is.
        parameters: Its own.
    """
    row = await (await conn.execute(count, parameters)).fetchone()
    assert row is not None, "an aggregate always answers"
    parts = min(-(-row[0] // SLICE_ROWS), BUCKETS)
    ends = [BUCKETS * part // parts for part in range(parts + 1)] if parts else []
    return [f"{{[{first},{end})}}" for first, end in itertools.pairwise(ends)]


def query(sliced: Sliced, check: LiteralString) -> sql.Composed:
    """The statement that makes a check of a slice.

    Args:
        sliced: How the slice is read.
        check: The statement that makes it of all.
    """
    return sql.SQL(_SQL[sliced.tables]).format(sql.SQL(check))
