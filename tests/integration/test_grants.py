"""What the service's role may do in Postgres: what its statements do, and nothing beyond."""

import re
from pathlib import Path

import psycopg
import pytest

from balance_service.repositories import queries
from tests import postgres

REPOSITORIES = Path(queries.__file__).parent
_LOADED = {
    path.stem: queries.load(str(path))
    for path in sorted(REPOSITORIES.glob("*.sql"))
    if not path.stem.endswith(".cluster")
}
STATEMENTS = {
    **{(stem, name): text for stem, found in _LOADED.items() for name, text in found.items()},
    **{
        (f"{stem} on a cluster", name): text
        for stem, found in _LOADED.items()
        for name, text in found.on_cluster.items()
        if text != found.get(name)
    },
}
# What was posted stays as it is, and so does what it refers to.
JOURNAL = {
    "account_changes",
    "account_numbers",
    "account_owners",
    "caller_references",
    "checkpoints",
    "covered_movements",
    "entries",
    "external_references",
    "follows",
    "movements",
    "quote_uses",
    "system_entries",
}
# Rights beyond the statements, each for the reason that its migration gives.
ROW_LOCKS = {("system_deltas", "delta_id")}
WHOLE = {"signing_keys", "confirmation_codes"}
_UPDATABLE = """
SELECT table_name, column_name FROM information_schema.column_privileges
WHERE grantee = 'balance_service' AND privilege_type = 'UPDATE' AND table_schema = 'public'
"""


def numbered(text: str) -> str:
    """A statement with Postgres's own parameters in place of psycopg's."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return re.sub(r"%\((\w+)\)s", number, text).replace("%%", "%")


def test_every_statement_is_allowed_to_the_role(database_url: str) -> None:
    explained = 0
    with psycopg.connect(postgres.of_service(database_url), autocommit=True) as conn:
        if conn.info.server_version < 160_000:
            pytest.skip("EXPLAIN (GENERIC_PLAN) came with Postgres 16")
        for statement, text in STATEMENTS.items():
            if not re.search(r"^(INSERT|UPDATE|DELETE|SELECT|WITH)", text, re.MULTILINE):
                continue
            if "{}" in text:
                # It is completed with names that the catalogue tells.
                continue
            try:
                conn.execute(f"EXPLAIN (GENERIC_PLAN) {numbered(text)}".encode())
            except psycopg.errors.InsufficientPrivilege as error:
                pytest.fail(f"{statement}: {error}")
            except psycopg.errors.DatatypeMismatch:
                # Without values, a parameter of a check has no type. Checks only read.
                assert statement[0] in {"verification", "follow_up_checks"}
                continue
            explained += 1
    assert explained > 100


def test_role_may_update_only_what_statements_update(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        granted = set(conn.execute(_UPDATABLE).fetchall())
    for table, column in granted - ROW_LOCKS:
        if table in WHOLE:
            continue
        changing = [
            text
            for text in STATEMENTS.values()
            if re.search(rf"(UPDATE|INSERT INTO) {table}\b", text)
            and re.search(rf"\b{column} = ", text)
        ]
        assert changing, (table, column)


def test_journal_can_only_grow(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        rights = conn.execute(
            "SELECT table_name, privilege_type FROM information_schema.table_privileges"
            " WHERE grantee = 'balance_service' AND table_name = ANY(%s)",
            (list(JOURNAL),),
        ).fetchall()
        columns = {table for table, _ in conn.execute(_UPDATABLE).fetchall()}
    assert set(rights) == {(table, right) for table in JOURNAL for right in ("SELECT", "INSERT")}
    assert not columns & JOURNAL


BEYOND = (
    "UPDATE accounts SET owner_id = gen_random_uuid()",
    "UPDATE accounts SET number = 1234567897",
    "UPDATE users SET user_id = gen_random_uuid()",
    "UPDATE sessions SET user_id = gen_random_uuid()",
    "UPDATE client_secrets SET client_id = 'other'",
    "UPDATE audit_events SET reason = ''",
    "DELETE FROM audit_events",
    "DELETE FROM audit_seals",
    "UPDATE refresh_tokens SET used_at = NULL, session_id = gen_random_uuid()",
    "UPDATE service_principals SET scopes = '{accounts:write}'",
    "UPDATE idempotency_keys SET request = ''",
    "UPDATE verifications SET code_hash = ''",
    "UPDATE holds SET account_id = gen_random_uuid()",
    "DELETE FROM accounts",
    "DELETE FROM users",
    "DELETE FROM movements",
    "TRUNCATE entries",
    "DROP TABLE entries",
    "ALTER TABLE entries DISABLE TRIGGER ALL",
    "CREATE TABLE mine (x int)",
    "SET ROLE postgres",
)


def test_role_is_refused_what_no_statement_does(database_url: str) -> None:
    with psycopg.connect(postgres.of_service(database_url), autocommit=True) as conn:
        for statement in BEYOND:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement.encode())
