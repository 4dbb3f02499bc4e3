"""Compares tables that lie on different servers, without a row of them leaving its own.

Each side is added up where it lies, in BUCKETS by the hash of an id: how many rows fall into one,
and the sum of their hashes. The hashes are salted anew in each run, so that no edit can be made to
keep a sum. Only buckets that differ have rows that do.
"""

import secrets
from collections import Counter
from collections.abc import Collection, Mapping
from typing import TypeAlias

from psycopg import AsyncConnection

from balance_service.domain.movements import PAYING_IN
from balance_service.repositories import arrays, queries

SQL = queries.load(__file__)

# As the statements have it. Of a hundred million movements, 1,500 fall into each.
BUCKETS = 65_536
# By the name of each comparison, its two sides.
COMPARISONS = {
    "entries": ("entries_found", "entries_due"),
    "holds": ("holds_found", "holds_due"),
    "system_entries": ("system_entries_found", "system_entries_due"),
    "quote_uses": ("quote_uses_found", "quote_uses_due"),
    "references": ("references_found", "references_due"),
    "old_references": ("old_references_found", "old_references_due"),
    "owners": ("owners_found", "owners_due"),
    "numbers": ("numbers_found", "numbers_due"),
    "purchases": ("purchases_found", "purchases_due"),
    "events": ("events_found", "events_due"),
    "event_entries": ("event_entries_found", "event_entries_due"),
    "covered": ("covered_found", "covered_due"),
    "uncovered": ("uncovered_found", "uncovered_due"),
}

Sums: TypeAlias = dict[int, tuple[int, object]]


async def differing(
    conn: AsyncConnection, comparisons: Collection[str], parameters: Mapping[str, object]
) -> Counter[int]:
    """The buckets in which the sides of some comparisons differ, with how many rows these have.

    Args:
        conn: Within a view.
        comparisons: Their names.
        parameters: Of the checks.
    """
    values = {
        **parameters,
        "seed": secrets.randbits(62),
        "paying_in": arrays.smallints(sorted(PAYING_IN)),
    }
    rows: Counter[int] = Counter()
    for comparison in comparisons:
        found, due = [await _add_up(conn, side, values) for side in COMPARISONS[comparison]]
        for bucket in found.keys() | due.keys():
            if found.get(bucket) != due.get(bucket):
                counted = (sums.get(bucket, (0, 0))[0] for sums in (found, due))
                rows[bucket] = max(rows[bucket], *counted)
    return rows


async def _add_up(conn: AsyncConnection, side: str, values: Mapping[str, object]) -> Sums:
    cursor = await conn.execute(SQL[side], values)
    return {bucket: (rows, fingerprint) for bucket, rows, fingerprint in await cursor.fetchall()}
