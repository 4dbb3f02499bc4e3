"""Takes partitions of entries out of the journal, and puts them back, as the owner of its tables.

A partition that is written to files is sealed first: a constraint refuses new rows, so that what
files have is what is dropped. Nothing is locked for longer than a moment.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection, sql
from psycopg import errors as pg

from balance_service.database import partitions
from balance_service.database.archive_files import ORDERS, File, Manifest
from balance_service.database.archive_rows import Span, copy_in, named, values
from balance_service.database.partitions import Partition
from balance_service.domain.movements import Kind

_SEAL: Final = "is_archived"
_BOUNDS: Final = "is_restored"

_SESSION: LiteralString = """
SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET enable_seqscan = on; SET statement_timeout = 0
"""
# What still reads or writes entries that were booked before a moment.
_OBSTACLES: LiteralString = """
SELECT
    EXISTS (SELECT FROM outbox WHERE created_at < %(ends_at)s)
    OR EXISTS (SELECT FROM events WHERE last_sequence > 0 AND created_at < %(ends_at)s),
    EXISTS (SELECT FROM waiting_receipts WHERE created_at < %(ends_at)s),
    NOT (SELECT built FROM totals_progress),
    EXISTS (SELECT FROM uncovered_history WHERE NOT done),
    EXISTS (
        SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND xact_start < %(ends_at)s
    )
    OR EXISTS (
        SELECT FROM pg_prepared_xacts
        WHERE database = current_database() AND prepared < %(ends_at)s
    )
"""
_REASONS: Final = (
    "events of that time are still kept",
    "receipts of that time wait for their numbers",
    "totals of that time are still added up",
    "movements of that time are still to be covered by checkpoints",
    "a transaction is open that began in that time",
)
_HAS_CONSTRAINT: LiteralString = (
    "SELECT FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s"
)
# What each table's rows bring forward.
CARRY_FORWARD: Final[dict[str, LiteralString]] = {
    "entries": """
INSERT INTO brought_forward (account_id, sequence, balance_minor, created_at)
SELECT DISTINCT ON (account_id) account_id, sequence, balance_after_minor, created_at
FROM {} ORDER BY account_id, sequence DESC
ON CONFLICT (account_id) DO UPDATE SET sequence = excluded.sequence,
    balance_minor = excluded.balance_minor, created_at = excluded.created_at
""",
    "system_entries": """
INSERT INTO system_brought_forward AS forward (account_id, amount_minor, entries)
SELECT account_id, sum(amount_minor), count(*) FROM {} GROUP BY account_id
ON CONFLICT (account_id) DO UPDATE SET entries = forward.entries + excluded.entries,
    amount_minor = forward.amount_minor + excluded.amount_minor
""",
}
_FORGET_FORWARD: LiteralString = """
DELETE FROM brought_forward AS b USING {} AS e
WHERE b.account_id = e.account_id AND e.sequence = 1
"""
# When the last entry before was booked, movements tell.
_TAKE_FORWARD_BACK: LiteralString = """
UPDATE brought_forward AS b SET sequence = e.sequence - 1,
    balance_minor = e.balance_after_minor - e.amount_minor, created_at = earlier.last_at
FROM (
    SELECT DISTINCT ON (account_id) account_id, sequence, amount_minor, balance_after_minor
    FROM {} ORDER BY account_id, sequence
) AS e
JOIN (
    SELECT side.account_id, max(m.created_at) AS last_at
    FROM movements AS m
    CROSS JOIN LATERAL (
        VALUES (m.from_account_id, m.price_minor = 0 AND m.kind = ANY(%(reversals)s)),
        (m.to_account_id, FALSE)
    ) AS side (account_id, is_without_entry)
    WHERE m.created_at < %(starts_at)s::timestamptz AND m.kind <> ALL(%(without_entries)s)
    AND side.is_without_entry IS NOT TRUE
    GROUP BY side.account_id
) AS earlier ON e.account_id = earlier.account_id
WHERE b.account_id = e.account_id
"""
_FORGET_SYSTEM_FORWARD: LiteralString = """
DELETE FROM system_brought_forward AS b
USING (SELECT account_id, count(*) AS entries FROM {} GROUP BY account_id) AS e
WHERE b.account_id = e.account_id AND b.entries = e.entries
"""
_TAKE_SYSTEM_FORWARD_BACK: LiteralString = """
UPDATE system_brought_forward AS b
SET amount_minor = b.amount_minor - e.amount_minor, entries = b.entries - e.entries
FROM (
    SELECT account_id, sum(amount_minor) AS amount_minor, count(*) AS entries
    FROM {} GROUP BY account_id
) AS e
WHERE b.account_id = e.account_id
"""
_INSERT: LiteralString = """
INSERT INTO archives (
    starts_at, ends_at, values_end_at, entries, entries_minor, entries_bytes, entries_sha256,
    system_entries, system_entries_minor, system_entries_bytes, system_entries_sha256,
    last_checkpoint, archived_at
)
VALUES (
    %(starts_at)s, %(ends_at)s, %(values_end_at)s, %(entries)s, %(entries_minor)s,
    %(entries_bytes)s, decode(%(entries_sha256)s, 'hex'), %(system_entries)s,
    %(system_entries_minor)s, %(system_entries_bytes)s, decode(%(system_entries_sha256)s, 'hex'),
    %(last_checkpoint)s, clock_timestamp()
)
"""


class ArchivingRefused(ValueError):  # noqa: N818 - it is what it says
    """A period cannot be put into files, or back; the message says why."""


def spans(found: Iterable[Partition], horizon: datetime | None) -> list[Span]:
    """The periods that could be put into files: from the horizon on, in both tables, but the last.

    Args:
        found: All partitions.
        horizon: Before when entries are in files.
    """
    by_table = {table: [p for p in found if p.table == table and p.end] for table in ORDERS}
    common: list[Span] = []
    expected = horizon
    for first, second in zip(*by_table.values(), strict=False):
        if (first.start, first.end) != (second.start, second.end) or first.start != expected:
            break
        assert first.end is not None
        names = {first.table: first.name, second.table: second.name}
        common.append(Span(first.start, first.end, names))
        expected = first.end
    return [span for span, _ in pairwise(common)]


async def connect(url: str) -> AsyncConnection:
    """A connection in autocommit mode, with times as files have them."""
    conn = await AsyncConnection.connect(url, autocommit=True)
    await conn.execute(_SESSION)
    return conn


async def refuse_obstacles(conn: AsyncConnection, ends_at: datetime) -> None:
    """Refuses a period whose entries are still read or written by others than callers.

    Raises:
        ArchivingRefused: They are.
    """
    row = await (await conn.execute(_OBSTACLES, {"ends_at": ends_at})).fetchone()
    assert row is not None, "an expression always answers"
    found = [reason for reason, holds in zip(_REASONS, row, strict=True) if holds]
    if found:
        raise ArchivingRefused(f"before {ends_at:%Y-%m-%d}: {', and '.join(found)}")


async def seal(conn: AsyncConnection, span: Span) -> None:
    """Has the partitions of a period refuse new rows."""
    for name in span.tables.values():
        # A row without columns is there, and empty.
        if await (await conn.execute(_HAS_CONSTRAINT, (name, _SEAL))).fetchone() is None:
            await _alter(conn, name, "ADD CONSTRAINT {} CHECK (FALSE) NOT VALID")


async def unseal(conn: AsyncConnection, span: Span) -> None:
    """Has them take rows again."""
    for name in span.tables.values():
        await _alter(conn, name, "DROP CONSTRAINT IF EXISTS {}")


async def take_out(conn: AsyncConnection, span: Span, manifest: Manifest) -> None:
    """Detaches a period's partitions, and records what they bring forward and that files have them.

    Args:
        conn: Within a transaction; it holds locks from the end of this on, so it must end then.
        span: The period.
        manifest: Of its files.
    """
    for table, query in CARRY_FORWARD.items():
        await conn.execute(named(query, span.tables[table]))
    await conn.execute(_INSERT, values(manifest))
    detach = sql.SQL("ALTER TABLE {} DETACH PARTITION {}")
    await _locked(
        conn,
        *(detach.format(*map(sql.Identifier, each)) for each in span.tables.items()),
    )


async def tables(conn: AsyncConnection, names: Iterable[str]) -> list[str]:
    """Those of some names that tables have."""
    found = "SELECT relname FROM pg_class WHERE oid = to_regclass(%s)"
    asked = [await (await conn.execute(found, (name,))).fetchone() for name in names]
    return [row[0] for row in asked if row]


async def drop(conn: AsyncConnection, names: Iterable[str]) -> None:
    """Drops tables that are partitions no more; refuses one that somebody attached again."""
    attached = "SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relispartition"
    for name in names:
        if await (await conn.execute(attached, (name,))).fetchone():
            raise ArchivingRefused(f"{name} is attached, although files are said to have its rows")
        await conn.execute(named("DROP TABLE IF EXISTS {}", name))


async def fill(
    conn: AsyncConnection, span: Span, table: str, file: File, blocks: Iterable[bytes]
) -> str:
    """Makes a table of a file's rows that can be attached without being read; its name."""
    name = f"{span.tables[table]}_restored"
    await drop(conn, [name])
    bounds = [sql.SQL("created_at < {}").format(sql.Literal(span.ends_at))]
    if span.starts_at:
        bounds.append(sql.SQL("created_at >= {}").format(sql.Literal(span.starts_at)))
    create = sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL, CONSTRAINT {} CHECK ({}))")
    await conn.execute(
        create.format(
            sql.Identifier(name),
            sql.Identifier(f"{table}_rest"),
            sql.Identifier(_BOUNDS),
            sql.SQL(" AND ").join(bounds),
        )
    )
    await copy_in(conn, name, file.columns, blocks)
    await conn.execute(named("ANALYZE {}", name))
    return name


async def put_back(conn: AsyncConnection, span: Span) -> None:
    """Attaches the tables that `fill` made, and takes back what the period brought forward.

    Args:
        conn: Within a transaction, as of `take_out`.
        span: The period that was put into files last.
    """
    filled = {table: f"{name}_restored" for table, name in span.tables.items()}
    asked: dict[str, Any] = {
        "starts_at": span.starts_at,
        "reversals": [int(Kind.TRANSFER_REVERSAL), int(Kind.EXCHANGE_REVERSAL)],
        "without_entries": [int(Kind.HOLD), int(Kind.RELEASE), int(Kind.EXPIRY)],
    }
    for query in (_FORGET_FORWARD, _TAKE_FORWARD_BACK):
        await conn.execute(named(query, filled["entries"]), asked)
    for query in (_FORGET_SYSTEM_FORWARD, _TAKE_SYSTEM_FORWARD_BACK):
        await conn.execute(named(query, filled["system_entries"]))
    await conn.execute("DELETE FROM archives WHERE ends_at = %s", (span.ends_at,))
    least = sql.Literal(span.starts_at) if span.starts_at else sql.SQL("MINVALUE")
    attach = sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})")
    rename = sql.SQL("ALTER TABLE {} RENAME TO {}")
    unbound = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
    steps: list[sql.Composed] = []
    for table, name in span.tables.items():
        own = sql.Identifier(name)
        steps += [
            rename.format(sql.Identifier(filled[table]), own),
            attach.format(sql.Identifier(table), own, least, sql.Literal(span.ends_at)),
            unbound.format(own, sql.Identifier(_BOUNDS)),
        ]
    await _locked(conn, *steps)


async def _alter(conn: AsyncConnection, name: str, change: LiteralString) -> None:
    text = sql.SQL("ALTER TABLE {} {}").format(
        sql.Identifier(name), sql.SQL(change).format(sql.Identifier(_SEAL))
    )
    async with conn.transaction():
        await _in_short(conn, [text])


async def _locked(conn: AsyncConnection, *steps: sql.Composed) -> None:
    """Does something while nobody uses the tables, which are locked in the order of commits."""
    lock = sql.SQL("LOCK TABLE ONLY {}, ONLY {} IN ACCESS EXCLUSIVE MODE").format(
        *map(sql.Identifier, ORDERS)
    )
    await _in_short(conn, [lock, *steps])


async def _in_short(conn: AsyncConnection, steps: Sequence[sql.Composed]) -> None:
    """As `partitions.in_short`, within a transaction that has done other things before."""
    bounds = (
        "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)"
    )
    for attempt in range(1, partitions.ATTEMPTS_MAX + 1):
        try:
            async with conn.transaction():
                await conn.execute(bounds, (partitions.LOCK_TIMEOUT, partitions.STATEMENT_TIMEOUT))
                for step in steps:
                    await conn.execute(step)
                return
        except (pg.LockNotAvailable, pg.DeadlockDetected):
            if attempt == partitions.ATTEMPTS_MAX:
                raise
            await asyncio.sleep(partitions.PAUSE_SECONDS)
