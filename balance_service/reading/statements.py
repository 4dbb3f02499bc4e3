"""Reads parts of statements, many in one query.

Only whole parts are read so, those that no filter thins out: what one costs is known by its length.
A filter may have to pass over a long statement, which others should not wait for.
"""

from typing import TypeAlias

from balance_service.database.pool import Pool
from balance_service.domain.movements import Line
from balance_service.domain.paging import Part
from balance_service.reading.gathering import Gathering
from balance_service.repositories import entries

# As many as one page may have, so that no caller waits for much more than a page of others.
LINES_PER_QUERY_MAX = 1000

StatementReads: TypeAlias = Gathering[Part, list[Line]]


def gather(pool: Pool) -> StatementReads:
    """Gathers reads of statements. A part's lines come in the order of their sequence."""
    return Gathering(pool, entries.parts, LINES_PER_QUERY_MAX, lambda part: part.length)
