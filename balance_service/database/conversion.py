"""The journal's tables, made partitioned beside the traffic: nothing is rewritten.

To attach a table of any size in an instant, Postgres needs a validated constraint which says that
all of its rows are from before the first period. A constraint that said so while callers still
write would refuse some of them: an id's time is its caller's word. So the constraint asks a
function, which says yes to all until the one short transaction that locks the table, moves the few
rows that do not belong there, and has the function tell the truth from then on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from balance_service.database import cluster, migrate, partitions, report_views
from balance_service.database.partitions import Prepared
from balance_service.database.roles import ROLE
from balance_service.domain import ids, periods
from balance_service.domain.periods import Period

# Between now and the first period, at least: reading a large ledger twice takes hours.
MARGIN: Final = timedelta(days=1)
_NIL: Final = UUID(int=0)

# What Postgres knows of a table that a new table of its name would not have.
_OBSTACLES = """
SELECT 'view ' || r.ev_class::regclass
FROM pg_depend AS d
JOIN pg_rewrite AS r ON r.oid = d.objid
JOIN pg_class AS v ON v.oid = r.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = %(table)s::regclass
AND v.relnamespace IS DISTINCT FROM to_regnamespace('reports')
UNION
SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = %(table)s::regclass AND NOT tgisinternal
UNION
SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = %(table)s::regclass
UNION
SELECT 'publication ' || p.pubname
FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
WHERE r.prrelid = %(table)s::regclass
UNION
SELECT 'constraint ' || conname FROM pg_constraint
WHERE contype = 'f' AND %(table)s::regclass IN (conrelid, confrelid)
UNION
SELECT 'parent ' || inhparent::regclass FROM pg_inherits WHERE inhrelid = %(table)s::regclass
"""
_UNVALIDATED = """
SELECT conname FROM pg_constraint
WHERE conrelid = %s::regclass AND contype = 'c' AND NOT convalidated
"""
_GRANTS = """
SELECT
    acl.privilege_type || coalesce(' (' || quote_ident(columns.attname) || ')', ''),
    CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END
    || CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
FROM pg_class AS c
CROSS JOIN LATERAL (
    SELECT NULL::name AS attname, c.relacl AS acl
    UNION ALL
    SELECT a.attname, a.attacl FROM pg_attribute AS a
    WHERE a.attrelid = c.oid AND NOT a.attisdropped
) AS columns
CROSS JOIN LATERAL aclexplode(columns.acl) AS acl
WHERE c.oid = %s::regclass AND acl.grantee <> c.relowner
"""


class ConversionRefused(ValueError):  # noqa: N818 - it is what it says
    """The tables cannot be made partitioned as they are; the message says why."""


def convert(
    database_url: str,
    period: Period | None = None,
    cutover: datetime | None = None,
    report: Callable[[str], None] = lambda _step: None,
) -> Prepared:
    """Makes the journal's tables partitioned; what is so already is left as it is.

    Args:
        database_url: Signs in as the owner of the tables.
        period: How long partitions are: a year by default, or as long as those that are there.
        cutover: When the first one begins; with the period after a day by default.
        report: Is told what is done now.

    Returns:
        The partitions that were made ahead.

    Raises:
        ConversionRefused: The ledger is distributed, something depends on a table, or its rows do
            not allow it.
        psycopg.Error: A step failed, and left what callers see as it was.
    """
    with migrate.connected(database_url) as conn, migrate.locked(conn):
        if cluster.distributed(conn):
            raise ConversionRefused(
                "the ledger is distributed over a cluster: its shards are whole"
            )
        found = partitions.read(conn)
        begun = [p.end for p in found if p.end and p.start is None]
        first = begun[0] if begun else cutover
        first = first or periods.start_after(datetime.now(UTC) + MARGIN, period or Period.YEAR)
        whole = [table for table in partitions.KEYS if table not in {p.table for p in found}]
        for table in whole:
            _refuse_obstacles(conn, table)
        for table in whole:
            _convert(conn, table, first, report)
        return partitions.prepare(conn, period)


def _convert(
    conn: psycopg.Connection, table: str, first: datetime, report: Callable[[str], None]
) -> None:
    report(f"{table}: reading it, beside the traffic")
    if table != "movements" and _has_later_rows(conn, table, first):
        raise ConversionRefused(f"{table} has rows that are dated {first:%Y-%m-%d} or later")
    with _constrained(conn, table, first):
        for (name,) in conn.execute(_UNVALIDATED, (table,)).fetchall():
            validate = sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(
                sql.Identifier(table), sql.Identifier(name)
            )
            partitions.in_short(conn, partial(conn.execute, validate), "0")
        if table == "movements":
            # Also reads into memory what is read again while others wait.
            _refuse_many_dated(conn, sql.Identifier(table), first)
        report(f"{table}: making it partitioned")
        partitions.in_short(conn, partial(_replace, conn, table, first))


@contextmanager
def _constrained(conn: psycopg.Connection, table: str, first: datetime) -> Iterator[None]:
    """A constraint of all rows that refuses none; it is gone afterwards, whatever happened.

    Of a process that was killed it stays, harmless, until the command is given again.
    """
    add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({}) NOT VALID").format(
        sql.Identifier(table), _constraint(table), _claim(table, first)
    )
    _drop_constraint(conn, table)
    _define(conn, table, None)
    partitions.in_short(conn, partial(conn.execute, add))
    try:
        yield
    except BaseException:
        _drop_constraint(conn, table)
        raise


def _replace(conn: psycopg.Connection, table: str, first: datetime) -> None:
    with report_views.set_aside(conn):
        _swap(conn, table, first)


def _swap(conn: psycopg.Connection, table: str, first: datetime) -> None:
    """Puts a partitioned table in a table's place, which becomes the first of its partitions."""
    parent, before, rest = (sql.Identifier(table + end) for end in ("", "_before", "_rest"))
    conn.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(parent))
    _refuse_late(conn, parent, first)
    _define(conn, table, first)
    conn.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(parent, before))
    conn.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(rest, before))
    conn.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(rest, _constraint(table)))
    if table == "movements":
        # All by the key, which has what is asked.
        conn.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        _refuse_many_dated(conn, before, first)
        partitions.move(conn, before, rest, _is_dated(first))
    conn.execute(
        sql.SQL(
            "CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE"
            " INCLUDING COMMENTS) PARTITION BY RANGE ({})"
        ).format(parent, before, _place(table))
    )
    conn.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(parent, _constraint(table)))
    partitions.attach(conn, table, f"{table}_before", None, partitions.bound(table, first))
    conn.execute(sql.SQL("ALTER TABLE {} ATTACH PARTITION {} DEFAULT").format(parent, rest))
    conn.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(before, _constraint(table)))
    if table != "movements":
        conn.execute(sql.SQL("DROP FUNCTION {}(timestamptz)").format(_function(table)))
    _grant_alike(conn, table)


def _refuse_late(conn: psycopg.Connection, table: sql.Identifier, first: datetime) -> None:
    """Refuses a first period that has begun, and may have rows that were not looked at."""
    row = conn.execute(
        sql.SQL("SELECT clock_timestamp() < {} OR NOT EXISTS (SELECT FROM {})").format(
            sql.Literal(first), table
        )
    ).fetchone()
    if not row or not row[0]:
        raise ConversionRefused(f"{first:%Y-%m-%d} came before this was done: begin again")


def _refuse_many_dated(conn: psycopg.Connection, table: sql.Identifier, first: datetime) -> None:
    counted = conn.execute(
        sql.SQL("SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT {}) AS few").format(
            table, _is_dated(first), sql.Literal(partitions.MOVED_MAX + 1)
        )
    ).fetchone()
    if counted is None or counted[0] > partitions.MOVED_MAX:
        raise ConversionRefused(
            f"more than {partitions.MOVED_MAX} movements have ids that are dated"
            f" {first:%Y-%m-%d} or later, by clocks of callers"
        )


def _is_dated(first: datetime) -> sql.Composable:
    """That a movement's id says that it is of the first period or later: a range of the key."""
    return sql.SQL(
        "movement_id >= {} AND movement_id < {} AND get_byte(uuid_send(movement_id), 6) >> 4 = 7"
    ).format(sql.Literal(ids.first_id(first)), sql.Literal(ids.first_id(partitions.END)))


def _define(conn: psycopg.Connection, table: str, first: datetime | None) -> None:
    """Defines the function that a table's constraint asks.

    Args:
        conn: The owner's.
        table: A table that is not partitioned, or is just becoming so.
        first: When the first period begins; None to say of everything that it is from before.
    """
    # Postgres puts the body in the place of each call, which costs a comparison.
    if table == "movements":
        signature = sql.SQL("(movement_id uuid) RETURNS uuid")
        body: sql.Composable = sql.Literal(_NIL)
        if first is not None:
            dated = sql.SQL("CASE WHEN {} THEN movement_id ELSE {} END")
            body = dated.format(_is_dated(first), body)
    else:
        signature = sql.SQL("(created_at timestamptz) RETURNS boolean")
        body = sql.SQL("TRUE")
        if first is not None:
            body = sql.SQL("created_at < {}").format(sql.Literal(first))
    conn.execute(
        sql.SQL(
            "CREATE OR REPLACE FUNCTION {} {} LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN {}"
        ).format(_function(table), signature, body)
    )
    if table == "movements":
        conn.execute(
            sql.SQL("GRANT EXECUTE ON FUNCTION journal_place(uuid) TO {}").format(
                sql.Identifier(ROLE)
            )
        )


def _function(table: str) -> sql.Identifier:
    return sql.Identifier("journal_place" if table == "movements" else f"{table}_are_early")


def _constraint(table: str) -> sql.Identifier:
    return sql.Identifier(f"{table}_before_first_period")


def _place(table: str) -> sql.Composable:
    """What a table is partitioned by."""
    return sql.SQL("journal_place(movement_id)" if table == "movements" else "created_at")


def _claim(table: str, first: datetime) -> sql.Composable:
    """That a row is from before the first period, as Postgres can conclude the bounds from it."""
    if table == "movements":
        # A check holds of what is null, and a bound does not.
        return sql.SQL(
            "journal_place(movement_id) IS NOT NULL AND journal_place(movement_id) < {}"
        ).format(sql.Literal(ids.first_id(first)))
    return sql.SQL("{}(created_at)").format(_function(table))


def _drop_constraint(conn: psycopg.Connection, table: str) -> None:
    """Drops the constraint that a conversion left behind, if any."""
    found = conn.execute(
        "SELECT FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s",
        (table, f"{table}_before_first_period"),
    ).fetchone()
    if found is not None:
        drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
            sql.Identifier(table), _constraint(table)
        )
        partitions.in_short(conn, partial(conn.execute, drop))


def _refuse_obstacles(conn: psycopg.Connection, table: str) -> None:
    found = sorted(text for (text,) in conn.execute(_OBSTACLES, {"table": table}).fetchall())
    if found:
        raise ConversionRefused(
            f"these depend on {table} and would go on with a part of it alone: {', '.join(found)}."
            " Drop them, and make them again afterwards"
        )


def _has_later_rows(conn: psycopg.Connection, table: str, first: datetime) -> bool:
    ask: LiteralString = "SELECT EXISTS (SELECT FROM {} WHERE created_at >= {})"
    row = conn.execute(sql.SQL(ask).format(sql.Identifier(table), sql.Literal(first))).fetchone()
    return bool(row and row[0])


def _grant_alike(conn: psycopg.Connection, table: str) -> None:
    """Grants what was granted on the table before to whom it was."""
    for rights, who in conn.execute(_GRANTS, (f"{table}_before",)).fetchall():
        grant: LiteralString = "GRANT {} ON {} TO {}"
        conn.execute(sql.SQL(grant).format(_raw(rights), sql.Identifier(table), _raw(who)))


def _raw(text: LiteralString) -> sql.SQL:
    """What Postgres itself has quoted."""
    return sql.SQL(text)
