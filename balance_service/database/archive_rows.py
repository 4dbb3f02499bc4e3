"""The rows of a period, between tables and files."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, LiteralString, NamedTuple

from psycopg import AsyncConnection, sql

from balance_service.database import archive_files
from balance_service.database.archive_files import ORDERS, Block, File, Manifest

_COLUMNS: LiteralString = """
SELECT attname FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""
_SUMS: Final[dict[str, LiteralString]] = {
    "entries": "SELECT count(*), coalesce(sum(amount_minor), 0),"
    " max(coalesce(effective_at, created_at)) FROM {}",
    "system_entries": "SELECT count(*), coalesce(sum(amount_minor), 0), NULL FROM {}",
}
_LAST_CHECKPOINT: LiteralString = """
SELECT coalesce(max(c.number), 0)
FROM movements AS m JOIN covered_movements AS c ON m.movement_id = c.movement_id
WHERE m.created_at < %(ends_at)s
AND (%(starts_at)s::timestamptz IS NULL OR m.created_at >= %(starts_at)s)
"""


class Span(NamedTuple):
    """A period of both tables.

    Args:
        starts_at: When it begins; None for all times before `ends_at`.
        ends_at: When it ends.
        tables: The names of its partitions, by table.
    """

    starts_at: datetime | None
    ends_at: datetime
    tables: dict[str, str]


async def write(conn: AsyncConnection, span: Span, place: Path) -> None:
    """Writes a period's rows to files."""
    values_end_at: datetime | None = None
    files: dict[str, File] = {}
    with archive_files.written(place) as part:
        for table, name in span.tables.items():
            columns = [c for (c,) in await (await conn.execute(_COLUMNS, (name,))).fetchall()]
            path = archive_files.path_of(part, table)
            size, digest = await archive_files.write(path, rows(conn, table, name, columns))
            asked = await conn.execute(named(_SUMS[table], name))
            count, total, latest = _row(await asked.fetchone())
            files[table] = File(columns, count, int(total), size, digest)
            values_end_at = values_end_at or latest
        times = {"starts_at": span.starts_at, "ends_at": span.ends_at}
        (checkpoint,) = _row(await (await conn.execute(_LAST_CHECKPOINT, times)).fetchone())
        manifest = Manifest(span.starts_at, span.ends_at, values_end_at, checkpoint, files)
        archive_files.write_manifest(part, manifest)


async def rows(
    conn: AsyncConnection, table: str, name: str, columns: Sequence[str]
) -> AsyncGenerator[Block]:
    """A partition's rows as its file has them."""
    copy = sql.SQL("COPY (SELECT {} FROM {} ORDER BY {}) TO STDOUT (FORMAT csv, HEADER)").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(name),
        sql.SQL(", ").join(map(sql.Identifier, ORDERS[table].split(", "))),
    )
    async with conn.cursor() as cursor, cursor.copy(copy) as copied:
        async for block in copied:
            yield block


async def copy_in(
    conn: AsyncConnection, name: str, columns: Sequence[str], blocks: Iterable[bytes]
) -> None:
    """Adds a file's rows to a table."""
    copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, HEADER MATCH)").format(
        sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    async with conn.cursor() as cursor, cursor.copy(copy) as copied:
        for block in blocks:
            await copied.write(block)


def named(query: LiteralString, table: str) -> sql.Composed:
    """A query of a table."""
    return sql.SQL(query).format(sql.Identifier(table))


def values(manifest: Manifest) -> dict[str, object]:
    """A manifest as its row has it."""
    values: dict[str, object] = {
        "starts_at": manifest.starts_at,
        "ends_at": manifest.ends_at,
        "values_end_at": manifest.values_end_at,
        "last_checkpoint": manifest.last_checkpoint,
    }
    for table, file in manifest.files.items():
        values |= {
            table: file.rows,
            f"{table}_minor": file.amount_minor,
            f"{table}_bytes": file.size,
            f"{table}_sha256": file.sha256,
        }
    return values


def _row(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    assert row is not None, "an aggregate always answers"
    return row
