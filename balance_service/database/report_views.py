"""The views of the schema `reports`, set aside while a table that they read is replaced.

A view goes on with the table that it was made over, under whatever name that has since.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from psycopg import sql

SCHEMA = "reports"

# In the order in which they were made, so that each comes after those that it reads.
_VIEWS = """
SELECT
    c.oid::regclass::text,
    pg_get_viewdef(c.oid),
    coalesce(' WITH (' || array_to_string(c.reloptions, ', ') || ')', '')
FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace(%s) AND c.relkind = 'v'
ORDER BY c.oid
"""
_GRANTS = """
SELECT
    acl.privilege_type,
    CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END
    || CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
FROM pg_class AS c
CROSS JOIN LATERAL aclexplode(c.relacl) AS acl
WHERE c.oid = %s::regclass AND acl.grantee <> c.relowner
"""


@contextmanager
def set_aside(conn: psycopg.Connection) -> Iterator[None]:
    """Drops all views of reports, and makes them again as they were at the end.

    Args:
        conn: The owner's, within a transaction.
    """
    views = conn.execute(_VIEWS, (SCHEMA,)).fetchall()
    grants = [conn.execute(_GRANTS, (name,)).fetchall() for name, _, _ in views]
    for name, _, _ in reversed(views):
        conn.execute(sql.SQL("DROP VIEW {}").format(_raw(name)))
    yield
    for (name, query, options), rights in zip(views, grants, strict=True):
        create: LiteralString = "CREATE VIEW {}{} AS {}"
        conn.execute(sql.SQL(create).format(_raw(name), _raw(options), _raw(query)))
        for right, who in rights:
            grant = sql.SQL("GRANT {} ON {} TO {}")
            conn.execute(grant.format(_raw(right), _raw(name), _raw(who)))


def _raw(text: LiteralString) -> sql.SQL:
    """What Postgres itself has quoted."""
    return sql.SQL(text)
