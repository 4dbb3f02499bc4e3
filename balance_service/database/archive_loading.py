"""Tables that stand for those of the journal in one session, filled from a period's files.

Postgres looks for a name among temporary tables first. So the checks that are made of the entries
in the database are made of those in files by the same queries, a period at a time. No receipt of
such a period waits for its number, so that table stays empty.

The tables end with their transaction. In a session that outlives it, as a pooler's does, they would
stand for the journal's in what callers do next: a commit's entries would go there, and be lost.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString, NamedTuple

from psycopg import AsyncConnection
from psycopg import errors as pg

from balance_service.database import archive_files, archive_rows, archiving
from balance_service.database.archive_files import UNREADABLE, ArchiveBroken, File, Manifest

_STAND_IN: LiteralString = """
CREATE TEMPORARY TABLE entries (LIKE public.entries, PRIMARY KEY (account_id, sequence))
ON COMMIT DROP;
CREATE TEMPORARY TABLE system_entries (
    LIKE public.system_entries, PRIMARY KEY (movement_id, account_id)
) ON COMMIT DROP;
CREATE TEMPORARY TABLE waiting_receipts (LIKE public.waiting_receipts) ON COMMIT DROP;
CREATE TEMPORARY TABLE brought_forward (LIKE public.brought_forward, PRIMARY KEY (account_id))
ON COMMIT DROP;
CREATE TEMPORARY TABLE system_brought_forward (
    LIKE public.system_brought_forward, PRIMARY KEY (account_id)
) ON COMMIT DROP
"""
# The service's role bounds statements, and how long a transaction may wait for a file to be read.
_UNHURRIED: LiteralString = """
SELECT
    set_config('statement_timeout', '0', true),
    set_config('idle_in_transaction_session_timeout', '0', true)
"""
_AS_STORED: LiteralString = """
INSERT INTO pg_temp.brought_forward SELECT * FROM public.brought_forward;
INSERT INTO pg_temp.system_brought_forward SELECT * FROM public.system_brought_forward
"""
_EMPTY: LiteralString = "TRUNCATE pg_temp.entries, pg_temp.system_entries"
_ANALYZE: LiteralString = "ANALYZE pg_temp.entries, pg_temp.system_entries, pg_temp.brought_forward"
_SUMS: LiteralString = """
SELECT
    (SELECT count(*) FROM pg_temp.entries),
    (SELECT coalesce(sum(amount_minor), 0) FROM pg_temp.entries),
    (SELECT count(*) FROM pg_temp.system_entries),
    (SELECT coalesce(sum(amount_minor), 0) FROM pg_temp.system_entries)
"""
_DIFFERENCES: LiteralString = """
SELECT
    coalesce(b.account_id, f.account_id)::text,
    (b.sequence, b.balance_minor, b.created_at)::text,
    (f.sequence, f.balance_minor, f.created_at)::text
FROM public.brought_forward AS b
FULL JOIN pg_temp.brought_forward AS f ON b.account_id = f.account_id
WHERE (b.sequence, b.balance_minor, b.created_at)
IS DISTINCT FROM (f.sequence, f.balance_minor, f.created_at)
UNION ALL
SELECT
    coalesce(b.account_id, f.account_id)::text,
    (b.amount_minor, b.entries)::text,
    (f.amount_minor, f.entries)::text
FROM public.system_brought_forward AS b
FULL JOIN pg_temp.system_brought_forward AS f ON b.account_id = f.account_id
WHERE (b.amount_minor, b.entries) IS DISTINCT FROM (f.amount_minor, f.entries)
LIMIT %s
"""


class Sums(NamedTuple):
    """How many rows were loaded of each table, and the sums of their amounts."""

    entries: int
    entries_minor: int
    system_entries: int
    system_entries_minor: int


async def begin(conn: AsyncConnection, *, from_stored: bool) -> None:
    """Makes the tables.

    Args:
        conn: Within the transaction that the tables end with. Until then no period is put into
            files, or back: making them takes a shared lock of the journal's.
        from_stored: Whether accounts bring forward what the database says, as before the next
            period; or nothing, as before the first.
    """
    await conn.execute(_UNHURRIED)
    await conn.execute(_STAND_IN)
    if from_stored:
        await conn.execute(_AS_STORED)


async def empty(conn: AsyncConnection) -> None:
    """Has the tables hold no entries.

    Args:
        conn: Within that transaction, and in no savepoint: so the room of what they held is free
            at once, and not when the transaction ends.
    """
    await conn.execute(_EMPTY)


async def load(conn: AsyncConnection, place: Path, files: Mapping[str, File]) -> Sums:
    """Has the tables hold what a period's files have.

    Args:
        conn: Within a savepoint, after `empty`.
        place: The period's folder.
        files: By table.

    Raises:
        ArchiveBroken: A file cannot be read, or not as rows of its table.
    """
    for table, file in files.items():
        path = archive_files.path_of(place, table)
        try:
            with archive_files.opened(path) as blocks:
                await archive_rows.copy_in(conn, table, file.columns, blocks)
        except UNREADABLE as error:
            raise ArchiveBroken(f"{path} cannot be read: {error}") from None
        except (pg.DataError, pg.IntegrityError, pg.UndefinedColumn) as error:
            where = (error.diag.context or error.diag.message_detail or "").splitlines()
            told = ": ".join([error.diag.message_primary or "", *where[:1]])
            raise ArchiveBroken(f"{path} cannot be read: {told}") from None
    await conn.execute(_ANALYZE)
    row = await (await conn.execute(_SUMS)).fetchone()
    assert row is not None, "an expression always answers"
    return Sums(*map(int, row))


async def carry_forward(conn: AsyncConnection) -> None:
    """Has accounts bring forward into the next period what the loaded one leaves."""
    for table, query in archiving.CARRY_FORWARD.items():
        await conn.execute(archive_rows.named(query, table))


async def find_differences(conn: AsyncConnection, limit: int) -> list[tuple[str, object, object]]:
    """Accounts that brought forward something else in the database: stored, and as files say."""
    return await (await conn.execute(_DIFFERENCES, (limit,))).fetchall()


def expected(manifest: Manifest) -> Sums:
    """What the files of a manifest should have."""
    entries, system = manifest.files["entries"], manifest.files["system_entries"]
    return Sums(entries.rows, entries.amount_minor, system.rows, system.amount_minor)
