"""A server made from a base back-up and the archived log, as it was at a moment.

Nobody reaches it while it is made: it listens on a socket in a folder of its own.
"""

import contextlib
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from balance_service.database.backups import BackupFailed

# Of pg_ctl, which gives up after a minute by default: to recover takes as long as it takes.
FOR_EVER_SECONDS = "31536000"
POLL_SECONDS = 0.1
PORT = ("-p", "5432")
# Whom Postgres runs as where this is root, which it refuses: Debian's user, the embedded one's.
_USERS = ("postgres", "pgserver")
_AUTO_CONF = "postgresql.auto.conf"


class Plan(NamedTuple):
    """How a server is made.

    Args:
        base: The base back-up.
        restore_command: Fetches a file of the log, as Postgres's setting of that name.
        moment: As of when; None for all that the archive has.
        target: The new data directory; must not be there, or be empty.
        programs: The folder of Postgres's programs.
        user: Whom Postgres runs as where this is root; empty for whoever runs this.
    """

    base: Path
    restore_command: str
    moment: datetime | None
    target: Path
    programs: Path
    user: str


def restore_command(wal: Path) -> str:
    """The command for Postgres that fetches a file of the log from a folder."""
    return f"cp {shlex.quote(f'{wal}/%f')} %p"


def check_target(target: Path) -> None:
    """Raises BackupFailed unless a new data directory may be made there."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupFailed(f"{target} is there, and is no empty directory")


def copy(plan: Plan, report_progress: Callable[[int, int], None]) -> None:
    """Copies the base back-up, with what it takes to recover from it.

    Args:
        plan: How.
        report_progress: Is told how many files are copied, of how many.

    Raises:
        BackupFailed: The target is in use, or the back-up has tablespaces, whose places are fixed.
        OSError: Something cannot be read or written.
    """
    check_target(plan.target)
    if any((plan.base / "pg_tblspc").iterdir()):
        raise BackupFailed(f"{plan.base} has tablespaces, which only Postgres's own tools restore")
    total, done = sum(len(files) for _, _, files in os.walk(plan.base)), 0

    def copy_file(source: str, target: str) -> str:
        nonlocal done
        done += 1
        report_progress(done, total)
        return shutil.copy2(source, target)

    shutil.copytree(plan.base, plan.target, copy_function=copy_file, dirs_exist_ok=True)
    plan.target.chmod(0o700)
    # Where it lies elsewhere, as on Debian, the server is made with defaults.
    (plan.target / "postgresql.conf").touch()
    settings = {"restore_command": plan.restore_command, "recovery_target_action": "promote"}
    if plan.moment:
        settings["recovery_target_time"] = plan.moment.astimezone(UTC).isoformat(sep=" ")
    with (plan.target / _AUTO_CONF).open("a", encoding="utf-8") as conf:
        for name, value in settings.items():
            conf.write(f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n")
    (plan.target / "recovery.signal").touch()


@contextlib.contextmanager
def recovered(plan: Plan) -> Iterator[Path]:
    """A server on what `copy` made, from when it is recovered on; stopped at the end.

    What only the recovery needed is gone from its settings then.

    Yields:
        The folder of its socket, over which every role may sign in.

    Raises:
        BackupFailed: It does not start, or ends before the moment.
    """
    user, conf = plan.user, plan.base / _AUTO_CONF
    with tempfile.TemporaryDirectory(prefix="balance-restore-") as name:
        folder = Path(name)
        hba = folder / "pg_hba.conf"
        hba.write_text("local all all trust\n", encoding="utf-8")
        if user:
            for path in (plan.target, folder):
                _give(path, user)
        log = folder / "log"
        start = ("-l", str(log), "-o", _options(folder, hba), "-w", "-t", FOR_EVER_SECONDS, "start")
        try:
            # Over once it recovers, or has ended by itself.
            ended = _control(plan, user, *start)
            while not ended and _run([plan.programs / "pg_isready", "-q", "-h", folder, *PORT]):
                time.sleep(POLL_SECONDS)
                ended = _control(plan, user, "status")
            if ended:
                raise BackupFailed(f"Postgres could not recover: {_last_words(log)}")
            yield folder
        finally:
            _control(plan, user, "-m", "fast", "-w", "-t", FOR_EVER_SECONDS, "stop")
            # Written in place, so that it stays whose it is.
            (plan.target / _AUTO_CONF).write_bytes(conf.read_bytes())


def _options(folder: Path, hba: Path) -> str:
    settings = {
        "listen_addresses": "",
        "port": PORT[1],
        "unix_socket_directories": str(folder),
        "hba_file": str(hba),
        "ssl": "off",
        "archive_mode": "off",
        "logging_collector": "off",
        "log_destination": "stderr",
        # A standby that answers must allow as many connections as the server that wrote the log.
        "hot_standby": "off",
    }
    return " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())


def _last_words(log: Path) -> str:
    """Why a server ended, as far as it told."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    told = [line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
    return told[-1] if told else "it told nothing of why"


def _control(plan: Plan, user: str, *arguments: str) -> int:
    """Runs pg_ctl on the target; its status."""
    # By a program: a child that changes its user in Python would run gRPC's fork handlers.
    as_user: Sequence[str] = ("setpriv", f"--reuid={user}", "--clear-groups") if user else ()
    return _run([*as_user, plan.programs / "pg_ctl", "-D", plan.target, *arguments])


def _run(command: Sequence[str | Path]) -> int:
    """Runs a program; its status."""
    # Nothing is piped: a server outlives pg_ctl, and would keep the pipe open.
    nowhere = subprocess.DEVNULL
    done = subprocess.run(command, stdout=nowhere, stderr=nowhere, check=False, cwd="/")  # noqa: S603
    return done.returncode


def choose_user(asked: str, wal: Path) -> str:
    """Whom Postgres runs as; empty for whoever runs this.

    Args:
        asked: Who was asked for, if anybody.
        wal: The archived log, whose owner is chosen otherwise: its files are readable by them.

    Raises:
        BackupFailed: This is root, whom Postgres refuses to run as, and there is no such user.
    """
    if os.geteuid() != 0:
        return ""
    names = [asked] if asked else [*_owner(wal), *_USERS]
    for name in names:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise BackupFailed("Postgres does not run as root: name the user that it is to run as, --user")


def _owner(path: Path) -> list[str]:
    """Who owns a file, unless that is root or nobody known."""
    with contextlib.suppress(OSError, KeyError):
        return [name for name in [path.owner()] if name != "root"]
    return []


def _give(path: Path, user: str) -> None:
    """Makes somebody the owner of a directory and all that is in it."""
    for each in (path, *path.rglob("*")):
        shutil.chown(each, user)
