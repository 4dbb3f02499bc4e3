"""Applies migrations/ in order, once each, one process at a time.

Migrations are plain SQL and go forward only. Each runs in its own transaction and is recorded with
its checksum; a file that changed after it was applied, or a record without a file, stops all. One
that begins with `-- Expands` promises that versions without it work while and after it runs: so
they may still be started, in the middle of an upgrade or to go back.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from balance_service.database import cluster, partitions
from balance_service.database.connection import CONNECT_TIMEOUT_SECONDS
from balance_service.database.pool import DatabaseUnavailable, check_url, one_line
from balance_service.database.roles import ROLE, ensure_login

_PACKAGED = Path(__file__).parent.parent / "migrations"
_REPOSITORY = Path(__file__).parent.parent.parent / "migrations"
_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
_EXPANDS = "-- Expands"
ADVISORY_LOCK = 0x62616C616E6365  # "balance"
# For another process that applies migrations: longer than the longest statement of one may take.
ADVISORY_LOCK_TIMEOUT = "15min"
# A migration that waits for a lock makes everything behind it wait: better to give up and retry.
LOCK_TIMEOUT = "3s"
STATEMENT_TIMEOUT = "10min"


class SchemaError(Exception):
    """The database's schema is not one that this version knows or can reach."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of migrations/.

    Args:
        name: The file's name, which orders it.
        sql: Its text.
        checksum: SHA-256 of the text.
        applied: Whether the database has it.
    """

    name: str
    sql: str
    checksum: str
    applied: bool


def status(database_url: str) -> list[Migration]:
    """All migrations, and which of them the database has.

    Raises:
        SchemaError: The database has one that is not here, or that differs.
    """
    with connected(database_url) as conn:
        return _compare(_applied(conn))


def read() -> list[Migration]:
    """All migrations of this version, as a database has them that has none.

    Raises:
        SchemaError: There are none here, or one is misnamed.
    """
    return _compare({})


def up(database_url: str, service_url: str = "") -> list[Migration]:
    """Applies what is missing, after waiting for any other process that does.

    Partitions of the journal that are due are made, too, where it has any; and on a cluster, new
    tables are distributed.

    Args:
        database_url: Signs in as the owner of the tables.
        service_url: Whom the service is to sign in as: that role is made ready, too.

    Returns:
        What was applied by this call.

    Raises:
        SchemaError: As `status`; or another process holds the lock for ADVISORY_LOCK_TIMEOUT.
        ValueError: The service is to sign in as the owner.
        psycopg.Error: A migration failed; it left nothing behind, and those before it stay.
    """
    with connected(database_url) as conn, locked(conn):
        pending = [migration for migration in _compare(_applied(conn)) if not migration.applied]
        for migration in pending:
            _apply(conn, migration)
        if service_url:
            ensure_login(conn, service_url)
        if cluster.distributed(conn):
            cluster.distribute(conn)
        partitions.prepare(conn)
        return pending


def check(database_url: str) -> list[str]:
    """Checks that this version can work with the database's schema.

    Returns:
        The migrations of newer versions that it has besides, all of which only expand it.

    Raises:
        SchemaError: It lacks migrations of this version, or has others that do more than expand it.
    """
    with connected(database_url) as conn:
        applied = _applied(conn)
        known = {path.name for path in _files()}
        newer = [name for name in _expansions(conn, applied) if name not in known]
    here = {name: checksum for name, checksum in applied.items() if name not in newer}
    missing = [migration.name for migration in _compare(here) if not migration.applied]
    if missing:
        raise SchemaError(
            f"the database lacks {', '.join(missing)}: run `balance-service migrate up`"
        )
    return newer


@contextmanager
def connected(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection in autocommit mode.

    Raises:
        DatabaseUnavailable: Postgres does not answer.
    """
    check_url(database_url)
    try:
        conn = psycopg.connect(
            database_url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_SECONDS
        )
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"Postgres does not answer: {one_line(error)}") from None
    with conn:
        yield conn


@contextmanager
def locked(conn: psycopg.Connection) -> Iterator[None]:
    """Holds the lock of whoever changes the schema.

    Raises:
        SchemaError: Another process holds it for ADVISORY_LOCK_TIMEOUT.
    """
    try:
        # The transaction bounds the timeout alone: the lock is the session's.
        with conn.transaction():
            conn.execute(f"SET LOCAL lock_timeout = '{ADVISORY_LOCK_TIMEOUT}'")
            conn.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
    except psycopg.errors.LockNotAvailable:
        raise SchemaError(
            f"another process has been applying migrations for {ADVISORY_LOCK_TIMEOUT}"
        ) from None
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("SELECT pg_advisory_unlock(%s)", (ADVISORY_LOCK,))


def _applied(conn: psycopg.Connection) -> dict[str, str]:
    exists = conn.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    if not exists or not exists[0]:
        return {}
    return dict(conn.execute("SELECT name, checksum FROM schema_migrations").fetchall())


def _expansions(conn: psycopg.Connection, applied: dict[str, str]) -> list[str]:
    """Those of the applied migrations of which it is recorded that they only expand the schema."""
    if not applied:
        return []
    # By way of JSON, for a database that an earlier version migrated lacks the column.
    found = conn.execute(
        "SELECT name FROM schema_migrations AS applied"
        " WHERE to_jsonb(applied) ->> 'expands' = 'true' ORDER BY name"
    )
    return [name for (name,) in found.fetchall()]


def _compare(applied: dict[str, str]) -> list[Migration]:
    migrations = []
    for path in _files():
        sql = path.read_text(encoding="utf-8")
        checksum = hashlib.sha256(sql.encode()).hexdigest()
        recorded = applied.pop(path.name, None)
        if recorded not in (None, checksum):
            raise SchemaError(f"{path.name} was changed after it was applied")
        migrations.append(Migration(path.name, sql, checksum, recorded is not None))
    if applied:
        raise SchemaError(f"the database is newer: this version does not know {sorted(applied)}")
    return migrations


def _files() -> list[Path]:
    # A wheel carries migrations/ inside the package; an editable install finds the repository's.
    folder = _PACKAGED if _PACKAGED.is_dir() else _REPOSITORY
    files = sorted(folder.glob("*.sql"))
    strays = [path.name for path in files if not _NAME.fullmatch(path.name)]
    if strays or not files:
        raise SchemaError(f"{folder}: no migrations, or misnamed ones: {strays}")
    return files


def _apply(conn: psycopg.Connection, migration: Migration) -> None:
    with conn.transaction():
        conn.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        conn.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
        conn.execute(migration.sql.encode())
        conn.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            "name text PRIMARY KEY, checksum text NOT NULL, "
            "applied_at timestamptz NOT NULL DEFAULT now())"
        )
        conn.execute("ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS expands boolean")
        conn.execute(f"GRANT SELECT ON schema_migrations TO {ROLE}")
        conn.execute(
            "INSERT INTO schema_migrations (name, checksum, expands) VALUES (%s, %s, %s)",
            (migration.name, migration.checksum, migration.sql.startswith(_EXPANDS)),
        )
