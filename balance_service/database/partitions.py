"""The partitions of the journal, by time: read, and made before they are needed.

A table's partitions have keys of their own and the table has none, so a table that was there before
is a partition as it is: `<table>_before`. `<table>_rest` holds what has no partition yet, so that
nothing that is inserted ever fails for want of one.

A movement's place follows from its id alone (`journal_place`): from the time of a version 7 id, if
that is not before the first period. Equal ids meet in one partition, whose key decides that a
request is done once. All other ids belong to `movements_before`, for ever.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import psycopg
from psycopg import errors as pg
from psycopg import sql

from balance_service.domain import ids, periods
from balance_service.domain.periods import Period

# The tables that are partitioned, and the column that says where a row belongs.
KEYS: Final = {"movements": "movement_id", "entries": "created_at", "system_entries": "created_at"}
# Ids that say they are of a later time are placed like ids without one.
END: Final = datetime(2100, 1, 1, tzinfo=UTC)
# A partition is made this long and a whole period before it begins.
AHEAD: Final = timedelta(days=92)
# A lock that is waited for makes everything behind it wait. After a second Postgres ends an
# autovacuum that is in the way.
LOCK_TIMEOUT: Final = "1500ms"
STATEMENT_TIMEOUT: Final = "3s"
ATTEMPTS_MAX: Final = 40
PAUSE_SECONDS: Final = 1.0
# Rows that one transaction moves at most, while others wait for it: some tenths of a second.
MOVED_MAX: Final = 20_000

_LEAVES = """
SELECT
    parent.relname,
    leaf.relname,
    pg_get_expr(leaf.relpartbound, leaf.oid),
    greatest(leaf.reltuples, 0)::bigint,
    pg_total_relation_size(leaf.oid)
FROM pg_inherits
JOIN pg_class AS leaf ON leaf.oid = pg_inherits.inhrelid
JOIN pg_class AS parent ON parent.oid = pg_inherits.inhparent AND parent.relkind = 'p'
WHERE parent.oid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) AS name)
"""
_BOUNDS = re.compile(r"FOR VALUES FROM \((MINVALUE|'.+')\) TO \(('.+')\)")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of one of the tables.

    Args:
        table: Which.
        name: Its own name.
        start: From when on its rows are; None for all times before `end`.
        end: Before when its rows are; None for what has no partition of its own.
        rows: About how many it has.
        size: Bytes that it takes, with its indexes.
    """

    table: str
    name: str
    start: datetime | None
    end: datetime | None
    rows: int
    size: int

    def facts(self) -> dict[str, object]:
        """It as operators are shown it."""
        if self.end is None:
            times = ("other times", "")
        else:
            times = (f"{self.start:%Y-%m-%d}" if self.start else "ever", f"{self.end:%Y-%m-%d}")
        return {
            "name": self.name,
            "from": times[0],
            "until": times[1],
            "rows": self.rows,
            "bytes": self.size,
        }


class Crowded(NamedTuple):
    """A period that gets no partition, because too many of its rows are in `<table>_rest`."""

    table: str
    start: datetime
    end: datetime


class Prepared(NamedTuple):
    """What `prepare` did: the names of the partitions it made, and what it could not make."""

    made: list[str]
    crowded: list[Crowded]


def read(conn: psycopg.Connection) -> list[Partition]:
    """All partitions, by table and time; none if the tables are whole."""
    # By the time zone of the session, times are shown.
    conn.execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'")
    found = conn.execute(_LEAVES, (list(KEYS),)).fetchall()
    read = [Partition(t, name, *_bounds(t, text), *sizes) for t, name, text, *sizes in found]
    order = list(KEYS)
    return sorted(read, key=lambda p: (order.index(p.table), p.end is None, p.end))


def prepare(conn: psycopg.Connection, period: Period | None = None) -> Prepared:
    """Makes the partitions that begin within a period and AHEAD, where the tables have any.

    Args:
        conn: Signed in as the owner, in autocommit mode.
        period: How long they are; as the newest one by default, or a year.

    Raises:
        psycopg.errors.LockNotAvailable: Others held the tables at all of ATTEMPTS_MAX.
    """
    made: list[str] = []
    crowded: list[Crowded] = []
    found = read(conn)
    for table in KEYS:
        dated = [p for p in found if p.table == table and p.end]
        for start, end in _missing(dated, period):
            try:
                done = in_short(conn, partial(_make, conn, table, start, end))
            except pg.QueryCanceled:
                # Postgres reads all of the rest, which took too long.
                done = False
            if done:
                made.append(name_of(table, start))
            else:
                crowded.append(Crowded(table, start, end))
    return Prepared(made, crowded)


def in_short(
    conn: psycopg.Connection, work: Callable[[], _T], statement_timeout: str = STATEMENT_TIMEOUT
) -> _T:
    """Does something in a transaction that waits briefly for locks, again until it gets them.

    Args:
        conn: In autocommit mode.
        work: What is done; it may be done several times.
        statement_timeout: How long one statement may take; 0 for as long as it takes.
    """
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            with conn.transaction():
                conn.execute("SELECT set_config('lock_timeout', %s, true)", (LOCK_TIMEOUT,))
                conn.execute(
                    "SELECT set_config('statement_timeout', %s, true)", (statement_timeout,)
                )
                return work()
        except (pg.LockNotAvailable, pg.DeadlockDetected):
            if attempt == ATTEMPTS_MAX:
                raise
            time.sleep(PAUSE_SECONDS)
    raise AssertionError("the last attempt returns or raises")


def name_of(table: str, start: datetime) -> str:
    """The name of the partition that begins then."""
    return f"{table}_{start:%Y_%m}"


def bound(table: str, moment: datetime) -> UUID | datetime:
    """A moment, as a value of the column that a table is partitioned by."""
    return ids.first_id(moment) if table == "movements" else moment


def attach(conn: psycopg.Connection, table: str, name: str, start: object, end: object) -> None:
    """Makes a table a partition.

    Args:
        conn: A transaction.
        table: Which table it is to be a part of.
        name: Its own name.
        start: The least key that it holds; None for the least of all.
        end: The key that all of its own are less than.
    """
    least = sql.SQL("MINVALUE") if start is None else sql.Literal(start)
    conn.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            sql.Identifier(table), sql.Identifier(name), least, sql.Literal(end)
        )
    )


def _missing(dated: list[Partition], period: Period | None) -> Iterator[tuple[datetime, datetime]]:
    """The periods that need a partition and have none, after those that are there."""
    if not dated:
        return
    newest = dated[-1]
    start = newest.end
    if period is None:
        period = periods.nearest(newest.start, start) if newest.start and start else Period.YEAR
    while start and start < END:
        end = periods.start_after(start, period)
        if start - AHEAD > datetime.now(UTC) + (end - start):
            return
        yield start, end
        start = end


def _make(conn: psycopg.Connection, table: str, start: datetime, end: datetime) -> bool:
    """Makes one partition and moves what it holds from the rest; False if that is too much."""
    name, rest = sql.Identifier(name_of(table, start)), sql.Identifier(f"{table}_rest")
    parent = sql.Identifier(table)
    bounds = bound(table, start), bound(table, end)
    held = sql.SQL("{0} >= {1} AND {0} < {2}").format(
        sql.Identifier(KEYS[table]), *map(sql.Literal, bounds)
    )
    conn.execute(sql.SQL("LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE").format(parent))
    conn.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(rest))
    counted = conn.execute(
        sql.SQL("SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT {}) AS few").format(
            rest, held, sql.Literal(MOVED_MAX + 1)
        )
    ).fetchone()
    if counted is None or counted[0] > MOVED_MAX:
        return False
    conn.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(name, rest))
    move(conn, rest, name, held)
    attach(conn, table, name_of(table, start), *bounds)
    return True


def move(
    conn: psycopg.Connection, source: sql.Identifier, target: sql.Identifier, which: sql.Composable
) -> None:
    """Moves rows from one table to another of the same columns."""
    conn.execute(
        sql.SQL(
            "WITH moved AS (DELETE FROM {} WHERE {} RETURNING *) INSERT INTO {} SELECT * FROM moved"
        ).format(source, which, target)
    )


def _bounds(table: str, text: str) -> tuple[datetime | None, datetime | None]:
    """The times of a partition, of the words that Postgres has for its bounds."""
    found = _BOUNDS.fullmatch(text)
    if found is None:
        return None, None
    start, end = (_moment(table, each.strip("'")) for each in found.groups())
    return start, end


def _moment(table: str, text: str) -> datetime | None:
    if text == "MINVALUE":
        return None
    return ids.time_of(UUID(text)) if table == "movements" else datetime.fromisoformat(text)
