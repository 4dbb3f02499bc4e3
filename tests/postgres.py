"""A Postgres for the tests: the one that TEST_POSTGRES_BIN names, else a container where a Docker
daemon answers, else the embedded one.

One server serves all test processes; every test gets a database of its own, cloned from a migrated
template, whose journal is in partitions if TEST_PARTITIONED is set.
"""

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from balance_service.database import conversion, embedded, migrate, roles
from rehearsals import servers

TEMPLATE = "migrated_template"
# Of the role that the service signs in as.
PASSWORD = "only-for-tests"
# Tests lose nothing that a crash of the machine could take; crashes of processes they survive.
_FAST = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=300",
    "shared_buffers=64MB",
    "max_wal_size=256MB",
)
# On a busy disk a test's database is made in seconds; in memory, in less than a tenth of one.
_MEMORY = Path("/dev/shm")
_MEMORY_BYTES_MIN = 4 << 30


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """A running server with the template database; the URL of its superuser."""
    with _choose(folder) as url:
        make_template(url)
        yield url


def make_template(url: str) -> None:
    """Makes the template database on a server; the URL is its superuser's."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    template = of_database(url, TEMPLATE)
    migrate.up(template, of_service(template))
    if os.environ.get("TEST_PARTITIONED"):
        conversion.convert(template, cutover=datetime(2026, 1, 1, tzinfo=UTC))


class SharedServer:
    """The one server of a test run, started by the first test that needs a database."""

    def __init__(self) -> None:
        self._context: contextlib.AbstractContextManager[str] | None = None
        self._url = ""

    def url(self) -> str:
        if not self._url:
            self._context = _server_of_tests()
            self._url = self._context.__enter__()
        return self._url

    def stop(self) -> None:
        if self._context:
            self._context.__exit__(None, None, None)


@contextlib.contextmanager
def _server_of_tests() -> Iterator[str]:
    with (
        tempfile.TemporaryDirectory(
            prefix="balance-tests-", dir=_choose_place(), ignore_cleanup_errors=True
        ) as name,
        server(Path(name) / "postgres") as url,
    ):
        yield url


def _choose_place() -> Path | None:
    """Memory, if files have room there; else where temporary files are."""
    has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _MEMORY_BYTES_MIN
    return _MEMORY if has_room else None


def of_service(url: str) -> str:
    """The same database by the role that the service signs in as."""
    return roles.service_url(url, PASSWORD)


def of_database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return psycopg.conninfo.make_conninfo(url, dbname=name)


@contextlib.contextmanager
def database(url: str, name: str) -> Iterator[str]:
    """A database of its own on the server, cloned from the template, as long as the context."""
    identifier, template = sql.Identifier(name), sql.Identifier(TEMPLATE)
    with psycopg.connect(url, autocommit=True) as conn:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        conn.execute(create.format(identifier, template))
    try:
        yield of_database(url, name)
    finally:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def _choose(folder: Path) -> contextlib.AbstractContextManager[str]:
    if os.environ.get("TEST_POSTGRES_BIN"):
        return installed(folder, servers.BIN)
    return _container() if docker_answers() else _embedded(folder)


@contextlib.contextmanager
def installed(folder: Path, programs: Path) -> Iterator[str]:
    """A server of the version whose programs are in a folder; the URL of its superuser."""
    folder.parent.chmod(0o755)
    server = servers.Postgres(folder, _FAST, programs=programs)
    try:
        server.start()
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _embedded(folder: Path) -> Iterator[str]:
    with embedded.running(folder) as url, psycopg.connect(url, autocommit=True) as conn:
        for setting in _FAST:
            name, value = setting.split("=")
            conn.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
    with embedded.running(folder) as url:
        yield url
    shutil.rmtree(folder, ignore_errors=True)


def docker_answers() -> bool:
    """Whether a Docker daemon listens where its clients look for it."""
    if os.environ.get("DOCKER_HOST"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(3)
        return probe.connect_ex("/var/run/docker.sock") == 0


@contextlib.contextmanager
def _container() -> Iterator[str]:
    from testcontainers.postgres import PostgresContainer

    command = "postgres " + " ".join(f"-c {setting}" for setting in _FAST)
    with PostgresContainer("postgres:18-alpine", driver=None).with_command(command) as container:
        yield container.get_connection_url()
