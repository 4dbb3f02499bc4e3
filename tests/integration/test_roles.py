"""The role that the service signs in to Postgres as: how it is made, and who is refused instead."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from balance_service.database import migrate, roles
from balance_service.database.roles import RoleUnfit
from tests import postgres


@pytest.fixture
def role(server_url: str) -> Iterator[str]:
    """The name of a role that goes with the test."""
    name = f"role_{secrets.token_hex(6)}"
    yield name
    with psycopg.connect(server_url, autocommit=True) as conn:
        identifier = sql.Identifier(name)
        if conn.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone():
            conn.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(identifier))
            conn.execute(sql.SQL("DROP OWNED BY {}").format(identifier))
            conn.execute(sql.SQL("DROP ROLE {}").format(identifier))


def signed_in_as(url: str, name: str) -> str:
    return make_conninfo(url, user=name, password="hunter2 and more")


def test_role_of_the_service_is_made_and_fit_to_serve(database_url: str, role: str) -> None:
    url = signed_in_as(database_url, role)
    assert migrate.up(database_url, url) == []
    roles.check_login(url)
    with psycopg.connect(url) as conn:
        shown = conn.execute("SELECT session_user, current_user").fetchone()
        assert shown == (role, roles.ROLE)
        stored = conn.execute("SHOW enable_seqscan").fetchone()
    assert stored == ("off",)
    # Again, it finds all as it should be.
    migrate.up(database_url, url)


def test_password_is_kept_as_postgres_keeps_it(database_url: str, role: str) -> None:
    migrate.up(database_url, signed_in_as(database_url, role))
    migrate.up(database_url, make_conninfo(database_url, user=role, password="another one"))
    with psycopg.connect(database_url) as conn:
        found = conn.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (role,))
        (password,) = found.fetchone() or ("",)
    assert password.startswith("SCRAM-SHA-256$")


def test_superuser_is_told_what_to_do_instead(database_url: str) -> None:
    with pytest.raises(RoleUnfit, match=r"a superuser.*BALANCE_OWNER_DATABASE_URL.*migrate up"):
        roles.check_login(database_url)


def test_owner_of_the_tables_is_refused_also_by_membership(database_url: str, role: str) -> None:
    url = signed_in_as(database_url, role)
    migrate.up(database_url, url)
    owner = f"{role}_owner"
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {owner}".encode())
        try:
            conn.execute(f"ALTER TABLE movements OWNER TO {owner}".encode())
            roles.check_login(url)
            conn.execute(f"GRANT {owner} TO {role}".encode())
            with pytest.raises(RoleUnfit, match=f"{role}, the owner of the tables"):
                roles.check_login(url)
        finally:
            conn.execute("ALTER TABLE movements OWNER TO CURRENT_USER")
            conn.execute(f"DROP ROLE {owner}".encode())


def test_role_that_lacks_something_is_named_with_it(database_url: str, role: str) -> None:
    url = signed_in_as(database_url, role)
    migrate.up(database_url, url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(f"ALTER ROLE {role} RESET enable_seqscan".encode())
        with pytest.raises(RoleUnfit, match=r"lacks enable_seqscan = off: run .*migrate up"):
            roles.check_login(url)
        migrate.up(database_url, url)
        roles.check_login(url)
        conn.execute(f"ALTER ROLE {role} RESET ALL".encode())
        conn.execute(f"REVOKE {roles.ROLE} FROM {role}".encode())
    with pytest.raises((RoleUnfit, psycopg.errors.InsufficientPrivilege)):
        roles.check_login(url)


def test_owner_without_superuser_makes_the_role(
    server_url: str, database_url: str, role: str
) -> None:
    owner = f"{role}_owner"
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD 'hunter2 and more'".encode())
        conn.execute(f"GRANT {roles.ROLE} TO {owner} WITH ADMIN OPTION".encode())
        conn.execute(f"ALTER DATABASE {name} OWNER TO {owner}".encode())
    try:
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute(f"GRANT ALL ON schema_migrations TO {owner}".encode())
        url = signed_in_as(database_url, role)
        migrate.up(signed_in_as(database_url, owner), url)
        roles.check_login(url)
    finally:
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute(f"REASSIGN OWNED BY {owner} TO CURRENT_USER".encode())
            conn.execute(f"DROP ROLE {role}".encode())
            conn.execute(f"DROP OWNED BY {owner}".encode())
            conn.execute(f"DROP ROLE {owner}".encode())


def test_service_cannot_be_the_owner(database_url: str) -> None:
    with pytest.raises(ValueError, match="BALANCE_DATABASE_URL must name a user of its own"):
        migrate.up(database_url, database_url)


def test_login_role_of_tests_is_fit(database_url: str) -> None:
    roles.check_login(postgres.of_service(database_url))
