"""Databases on a Citus cluster, for tests that TEST_CLUSTER_URL gives one.

It is the URL of a superuser on the coordinator, in a database that has the extension and whose
workers are added, by addresses that this machine can reach; or "docker", for containers. With
TEST_ON_CLUSTER besides, every test that asks for a database gets one there, copied from a
distributed template.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from balance_service.database import cluster, migrate
from tests import late_commits, postgres

# Few, because each costs every test its time; more than one on each of some workers.
SHARDS = 4
DROPS_MAX = 12
_NODES = """
SELECT nodename, nodeport, groupid = 0 FROM pg_dist_node
WHERE noderole = 'primary' ORDER BY groupid
"""
# Whatever the cluster's own language is: names are looked for in small letters.
_CREATE: LiteralString = (
    "CREATE DATABASE {} TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
)
_END_CONNECTIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"

# In place of a URL: for a cluster of containers, `cluster_containers`.
IN_CONTAINERS = "docker"

Node = tuple[str, int]


def url() -> str:
    """The cluster's, or nothing."""
    return os.environ.get("TEST_CLUSTER_URL", "")


def what_lacks() -> str:
    """Why there is no cluster; empty if there is one."""
    if not url():
        return "TEST_CLUSTER_URL names no Citus cluster"
    return "no Docker daemon answers, for a cluster of containers" if url() == IN_CONTAINERS else ""


def skip_without() -> None:
    """Skips a test where there is no cluster."""
    if lacking := what_lacks():
        pytest.skip(lacking)


def is_for_all() -> bool:
    """Whether all tests get databases of the cluster."""
    return "TEST_ON_CLUSTER" in os.environ


def refuses(call: str) -> bool:
    """Whether all tests get databases of the cluster, and a call is refused there."""
    return is_for_all() and call == "SetSubAccounts"


class Template:
    """The distributed database that those of a test run are copied from, made when it is needed."""

    def __init__(self) -> None:
        self._made = contextlib.ExitStack()
        self._name = ""

    def name(self) -> str:
        if not self._name:
            name = f"template_{secrets.token_hex(8)}"
            self._made.enter_context(database(name))
            self._name = name
            _at_once(lambda node: _close(node, name), servers())
        return self._name

    def stop(self) -> None:
        self._made.close()


@contextlib.contextmanager
def copied(template: str, name: str) -> Iterator[str]:
    """A distributed database of its own, with what the template has, as long as the context."""
    create: LiteralString = "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY"
    nodes = servers()
    try:
        _at_once(lambda node: _on(node, "postgres", create, name, template), nodes)
        yield make_conninfo(url(), dbname=name)
    finally:
        _drop(nodes, name)


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
    nodes = servers()
    with contextlib.ExitStack() as ending:
        ending.callback(_drop, nodes, name)
        for node in nodes:
            _on(node, "postgres", _CREATE, name)
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
    def drop(node: Node) -> None:
        _take_back_prepared(node, name)
        for attempt in range(1, DROPS_MAX + 1):
            try:
                _on(node, "postgres", "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
            except psycopg.errors.ObjectInUse:
                # Citus's own worker came back meanwhile. Each attempt waits five seconds for it.
                if attempt == DROPS_MAX:
                    raise
            else:
                return

    _at_once(drop, nodes)


def _close(node: Node, name: str) -> None:
    """Lets nobody into a database, not even Citus's own worker: beside them none is copied."""
    _on(node, "postgres", "ALTER DATABASE {} ALLOW_CONNECTIONS false", name)
    with _connected(node, "postgres") as conn:
        conn.execute(_END_CONNECTIONS, (name,))


def _take_back_prepared(node: Node, name: str) -> None:
    """Takes back what an interrupted test left prepared, beside which no database is dropped."""
    with _connected(node, "postgres") as conn:
        left = conn.execute("SELECT gid FROM pg_prepared_xacts WHERE database = %s", (name,))
        if not (gids := left.fetchall()):
            return
    with _connected(node, name) as conn:
        for (gid,) in gids:
            conn.execute(sql.SQL("ROLLBACK PREPARED {}").format(gid))


def _at_once(act: Callable[[Node], None], nodes: list[Node]) -> None:
    with ThreadPoolExecutor(len(nodes)) as threads:
        list(threads.map(act, nodes))


def servers() -> list[Node]:
    """Where the servers are, the coordinator first."""
    with psycopg.connect(url()) as conn:
        return [(host, port) for host, port, _ in conn.execute(_NODES).fetchall()]


def _on(node: Node, database: str, statement: LiteralString, *names: str) -> None:
    with _connected(node, database) as conn:
        conn.execute("SET citus.enable_create_database_propagation = off")
        conn.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _connected(node: Node, database: str) -> psycopg.Connection:
    host, port = node
    where = make_conninfo(url(), host=host, port=str(port), dbname=database)
    return psycopg.connect(where, autocommit=True)


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
