"""Every statement of the service has a plan on a Citus cluster, which refuses some joins."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg

from balance_service import repositories
from balance_service.repositories import cluster_journal, queries
from tests import postgres

# What `verify` and the exports ask has tests of its own.
OTHERS = re.compile(r"\w+_checks|cluster_slices|verification|journal_export|checkpoints")
# Of the journal, statements that commits on a cluster put in other words.
INSTEAD = {("journal", name) for name in cluster_journal.INSTEAD}
_PLANNED = re.compile(r"(--.*\n|\s)*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
_NAMED = re.compile(r"%\((\w+)\)s")
# A value of each type that is no number.
_VALUES = {
    "boolean": "TRUE",
    "bytea": "'a'",
    "date": "'2026-01-01'",
    "interval": "'1 s'",
    "jsonb": "'{}'",
    "pg_lsn": "'0/1'",
    "text": "'a'",
    "timestamp with time zone": "'2026-01-01 UTC'",
    "timestamp without time zone": "'2026-01-01'",
    "uuid": "'00000000-0000-0000-0000-000000000001'",
    "xid8": "'1'",
}


def test_every_statement_has_a_plan(cluster_url: str) -> None:
    url = postgres.of_service(cluster_url)
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as conn:
        refused = {
            (module, name): error
            for module, name, statement in _statements()
            if (error := _refusal(conn, statement))
        }
    assert not {key: error for key, error in refused.items() if key not in INSTEAD}
    assert refused


def _statements() -> Iterator[tuple[str, str, str]]:
    """The statements for a cluster, by module and name."""
    for path in sorted(Path(repositories.__file__).parent.glob("*.py")):
        if path.with_suffix(".sql").exists() and not OTHERS.fullmatch(path.stem):
            for name, statement in queries.load(str(path)).on_cluster.items():
                if _PLANNED.match(statement):
                    yield path.stem, name, statement


def _refusal(conn: psycopg.Connection, statement: str) -> str:
    """Why Citus refuses a statement; empty if it does not."""
    names = list(dict.fromkeys(_NAMED.findall(statement)))
    numbered = _NAMED.sub(lambda found: f"${names.index(found[1]) + 1}", statement)
    conn.execute(f"PREPARE planned AS {numbered.replace('%%', '%')}".encode())
    try:
        found = conn.execute(
            "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'planned'"
        ).fetchone()
        assert found
        values = ", ".join(map(_value, found[0]))
        conn.execute(f"EXPLAIN EXECUTE planned{f'({values})' if values else ''}".encode())
    except psycopg.Error as error:
        return str(error)
    finally:
        conn.execute("DEALLOCATE planned")
    return ""


def _value(type_: str) -> str:
    if type_.endswith("[]"):
        one = _VALUES.get(type_.removesuffix("[]"), "1")
        return f"ARRAY[{one}, {one}]::{type_}"
    return f"{_VALUES.get(type_, '1')}::{type_}"
