"""Databases on a Citus cluster, for tests that TEST_CLUSTER_URL gives one.

It is the URL of a superuser on the coordinator, in a database that has the extension and whose
workers are added, by addresses that this machine can reach.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from balance_service.database import cluster, migrate
from tests import late_commits, postgres

# Few, because each costs every test its time; more than one on each of some workers.
SHARDS = 4
_NODES = """
SELECT nodename, nodeport, groupid = 0 FROM pg_dist_node
WHERE noderole = 'primary' ORDER BY groupid
"""

Node = tuple[str, int]


def url() -> str:
    """The cluster's, or nothing."""
    return os.environ.get("TEST_CLUSTER_URL", "")


@contextlib.contextmanager
def database(name: str, *, late: bool = False) -> Iterator[str]:
    """A distributed database on all servers of the cluster, as long as the context.

    Args:
        name: Its own.
        late: Whether the parts of a commit come to light at different times: `late_commits`.
    """
    with empty_database(name, late=late) as made:
        migrate.up(made, postgres.of_service(made))
        with migrate.connected(made) as conn:
            cluster.distribute(conn, SHARDS)
        yield made


@contextlib.contextmanager
def empty_database(name: str, *, late: bool = False) -> Iterator[str]:
    """The same without anything in it."""
    nodes = _nodes()
    with contextlib.ExitStack() as ending:
        ending.callback(_drop, nodes, name)
        for node in nodes:
            _on(node, "postgres", "CREATE DATABASE {}", name)
            _on(node, name, "CREATE EXTENSION citus")
        coordinator, *workers = nodes
        if late:
            workers = ending.enter_context(late_commits.doors(workers))
        made = make_conninfo(url(), dbname=name)
        with psycopg.connect(made, autocommit=True) as conn:
            conn.execute("SELECT citus_set_coordinator_host(%s, %s)", coordinator)
            for worker in workers:
                conn.execute("SELECT citus_add_node(%s, %s)", worker)
        yield made


def _drop(nodes: list[Node], name: str) -> None:
    for node in nodes:
        _take_back_prepared(node, name)
        _on(node, "postgres", "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _take_back_prepared(node: Node, name: str) -> None:
    """Takes back what an interrupted test left prepared, beside which no database is dropped."""
    where = make_conninfo(url(), host=node[0], port=str(node[1]))
    with psycopg.connect(make_conninfo(where, dbname="postgres"), autocommit=True) as conn:
        left = conn.execute("SELECT gid FROM pg_prepared_xacts WHERE database = %s", (name,))
        if not (gids := left.fetchall()):
            return
    with psycopg.connect(make_conninfo(where, dbname=name), autocommit=True) as conn:
        for (gid,) in gids:
            conn.execute(sql.SQL("ROLLBACK PREPARED {}").format(gid))


def _nodes() -> list[Node]:
    """Where the servers are, the coordinator first."""
    with psycopg.connect(url()) as conn:
        return [(host, port) for host, port, _ in conn.execute(_NODES).fetchall()]


def _on(node: Node, database: str, statement: LiteralString, name: str = "") -> None:
    where = make_conninfo(url(), host=node[0], port=str(node[1]), dbname=database)
    with psycopg.connect(where, autocommit=True) as conn:
        conn.execute("SET citus.enable_create_database_propagation = off")
        conn.execute(sql.SQL(statement).format(sql.Identifier(name)))


def copy(source: str, target: str) -> None:
    """Copies all rows of a distributed database to a migrated one, whose own are lost."""
    with psycopg.connect(source) as theirs, psycopg.connect(target) as ours:
        for table in sorted(cluster.DISTRIBUTED.keys() | cluster.LOCAL):
            name = sql.Identifier(table)
            ours.execute(sql.SQL("TRUNCATE {}").format(name))
            rows = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(name)
            fill = sql.SQL("COPY {} FROM STDIN").format(name)
            with theirs.cursor().copy(rows) as reading, ours.cursor().copy(fill) as writing:
                for part in reading:
                    writing.write(part)
