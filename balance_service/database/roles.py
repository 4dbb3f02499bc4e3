"""The role that the service signs in to Postgres as: made by `migrate up`, checked before serving.

What a session needs lies at the role, not in statements that open a session: so it also holds
behind a pooler that gives each transaction another session (PgBouncer's `pool_mode = transaction`).
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from balance_service.database import cluster
from balance_service.database.connection import CONNECT_TIMEOUT_SECONDS
from balance_service.database.pool import DatabaseUnavailable, one_line

# What the migrations grant rights to. It cannot sign in: the service's login role is a member.
ROLE: Final = "balance_service"
# The login role of `run`.
LOGIN_ROLE: Final = "balance_service_login"
STATEMENT_TIMEOUT_MS: Final = 30_000
LOCK_TIMEOUT_MS: Final = 5_000
_ADVICE = "see docs/operating/running.md, Roles"

# As Postgres shows them, by the names that it shows.
SESSION: Final[Mapping[str, str]] = {
    "role": ROLE,
    "statement_timeout": f"{STATEMENT_TIMEOUT_MS // 1000}s",
    "lock_timeout": f"{LOCK_TIMEOUT_MS // 1000}s",
    # A client that dies in a transaction must not keep its accounts locked.
    "idle_in_transaction_session_timeout": f"{STATEMENT_TIMEOUT_MS // 1000}s",
    # Every query of the service finds its rows by key. A plan made while the tables were small,
    # or before they were analysed, would scan them, and stay prepared while they grow.
    "enable_seqscan": "off",
    # No query's plan depends on its values, so none is planned again for them: for a commit of
    # one movement that was a third of Postgres's work.
    "plan_cache_mode": "force_generic_plan",
    # Compiling a query takes a hundred times as long as one that finds its rows by key runs.
    "jit": "off",
    # Times are compared with and sent as UTC; parsing their zone by name is slower.
    "TimeZone": "UTC",
}
# The servers of a cluster sign in to each other as the login role, which acts by what it inherits:
# `role` would have them sign in as who cannot. And Citus finds a row's shard as it plans.
SESSION_ON_CLUSTER: Final[Mapping[str, str]] = {
    **{name: value for name, value in SESSION.items() if name != "role"},
    "plan_cache_mode": "force_custom_plan",
}

_FOUND = """
SELECT
    session_user,
    me.rolsuper,
    pg_has_role(session_user, journal.relowner, 'MEMBER'),
    (SELECT pg_has_role(session_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = %(role)s)
FROM pg_roles AS me
JOIN pg_class AS journal ON journal.oid = 'movements'::regclass
WHERE me.rolname = session_user
"""
_SHOWN = "SELECT name, current_setting(name) FROM unnest(%(names)s::text[]) AS name"


class RoleUnfit(Exception):  # noqa: N818 - it is what it says
    """The service would sign in to Postgres as somebody it must not be."""


def service_url(owner_url: str, password: str = "") -> str:
    """The URL of the login role of `run`, in the database of another URL.

    Args:
        owner_url: Whose host and database it has.
        password: The role's; none if empty.
    """
    return make_conninfo(owner_url, user=LOGIN_ROLE, password=password or None)


def ensure_login(conn: psycopg.Connection, url: str) -> None:
    """Makes the role that a URL names one that the service can sign in as.

    A role that is there keeps its password. Nothing is run that is not needed, so that a role made
    by somebody else needs no right over it here.

    Args:
        conn: Signed in as who may create roles, in autocommit mode.
        url: Its user is the role; its password, if any, that of a new one.

    Raises:
        ValueError: It names no user, or the one that `conn` is signed in as.
    """
    parts = conninfo_to_dict(url)
    name, password = str(parts.get("user", "")), str(parts.get("password", ""))
    if name in ("", conn.info.user):
        raise ValueError(
            "BALANCE_DATABASE_URL must name a user of its own, other than that of "
            f"BALANCE_OWNER_DATABASE_URL: {_ADVICE}"
        )
    role = sql.Identifier(name)
    found = conn.execute(
        "SELECT pg_has_role(oid, %s, 'MEMBER') FROM pg_roles WHERE rolname = %s", (ROLE, name)
    ).fetchone()
    if found is None:
        _create(conn, name, password)
    if found is None or not found[0]:
        conn.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(ROLE), role))
    kept, session = _kept(conn, name), _session(conn)
    for setting, value in session.items():
        if kept.get(setting.lower()) != value:
            change = sql.SQL("ALTER ROLE {} SET {} = {}")
            conn.execute(change.format(role, sql.Identifier(setting), sql.Literal(value)))
    for setting in SESSION.keys() - session.keys():
        if setting.lower() in kept:
            reset = sql.SQL("ALTER ROLE {} RESET {}")
            conn.execute(reset.format(role, sql.Identifier(setting)))


def check_login(database_url: str) -> None:
    """Checks that a URL signs in as a role that may do what the service does, and no more.

    Raises:
        DatabaseUnavailable: Postgres does not answer.
        RoleUnfit: It is a superuser or owns the tables, is not a member of ROLE, or lacks settings.
    """
    try:
        connection = psycopg.connect(
            database_url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_SECONDS
        )
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"Postgres does not answer: {one_line(error)}") from None
    with connection as conn:
        row = conn.execute(_FOUND, {"role": ROLE}).fetchone()
        assert row, "whoever is signed in is a role"
        name, superuser, owner, member = row
        if superuser or owner:
            kind = "a superuser" if superuser else "the owner of the tables"
            raise RoleUnfit(
                f"BALANCE_DATABASE_URL signs in to Postgres as {name}, {kind}, whom no grant "
                "holds back. Set BALANCE_OWNER_DATABASE_URL to that URL, BALANCE_DATABASE_URL to "
                f"one with another user, and run `balance-service migrate up`: {_ADVICE}"
            )
        session = _session(conn)
        shown: dict[str, str] = dict(conn.execute(_SHOWN, {"names": list(SESSION)}).fetchall())
    lacking = [f"{key} = {value}" for key, value in session.items() if shown[key] != value]
    if "role" not in session and shown["role"] != "none":
        lacking.append("role = none")
    if not member or lacking:
        what = "; ".join(lacking) if member else f"membership in {ROLE}"
        raise RoleUnfit(
            f"the role {name} lacks {what}: run `balance-service migrate up` with "
            f"BALANCE_OWNER_DATABASE_URL set: {_ADVICE}"
        )


def _session(conn: psycopg.Connection) -> Mapping[str, str]:
    return SESSION_ON_CLUSTER if cluster.installed(conn) else SESSION


def _create(conn: psycopg.Connection, name: str, password: str) -> None:
    create = sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name))
    if password:
        # As Postgres keeps it, so that no log of statements shows the password itself.
        verifier = conn.pgconn.encrypt_password(
            password.encode(), name.encode(), b"scram-sha-256"
        ).decode()
        create += sql.SQL(" PASSWORD {}").format(sql.Literal(verifier))
    # Roles belong to the whole server: another database may have made it, even just now.
    with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        conn.execute(create)


def _kept(conn: psycopg.Connection, name: str) -> dict[str, str]:
    """The settings that lie at a role, by their names in small letters."""
    rows = conn.execute(
        "SELECT unnest(setconfig) FROM pg_db_role_setting AS kept"
        " JOIN pg_roles ON pg_roles.oid = kept.setrole"
        " WHERE kept.setdatabase = 0 AND pg_roles.rolname = %s",
        (name,),
    ).fetchall()
    return {key.lower(): value for key, _, value in (text.partition("=") for (text,) in rows)}
