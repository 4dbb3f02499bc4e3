"""`run --ephemeral`: what it says, and that nothing of it is left however it ends."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from balance_client import BalanceError, Reason, v1
from balance_client.testing import find_command, start
from balance_service.cli import app

# One process makes the database that all of them copy.
pytestmark = pytest.mark.xdist_group("ephemeral")


def until(holds: Callable[[], bool]) -> None:
    """Waits for what is about to be."""
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether a process is there, and not only its exit status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def postgres_of(folder: Path) -> int:
    return int((folder / "postgres/postmaster.pid").read_text().splitlines()[0])


def test_several_serve_at_once_and_leave_nothing(ephemeral_home: Path) -> None:
    with start() as one, start(access_token_seconds=60, user_deposits=False) as other:
        assert one.grpc != other.grpc
        assert one.http != other.http
        folders = [one.mailbox.parent, other.mailbox.parent]
        processes = [one.pid, other.pid, *map(postgres_of, folders)]
        user = one.user(Decimal("10.50"))
        assert user.client.balance(user.account).available == Decimal("10.50")
        assert one.admin().users.ListUsers(v1.ListUsersRequest()).users
        with pytest.raises(BalanceError) as error:
            other.client().balance(user.account)
        assert error.value.reason == Reason.ACCOUNT_NOT_FOUND
        poor = other.user(0)
        with pytest.raises(BalanceError) as error:
            poor.client.deposit(poor.account, 1, "RUB")
        assert error.value.reason == Reason.PERMISSION_MISSING
        # One is killed, and cannot tidy up; the other's standard input is closed.
        os.kill(one.pid, signal.SIGKILL)
    until(lambda: not any(folder.exists() for folder in folders))
    assert not any(map(lives, processes))
    (template,) = (ephemeral_home / ".cache/balance-service").iterdir()
    assert not (template / "postmaster.pid").exists()


def command() -> list[str]:
    return [*find_command(), "run", "--ephemeral"]


@contextmanager
def told(*words: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, object]]]:
    """A command that starts a service, and what that says."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.usefixtures("ephemeral_home")
def test_service_ends_with_its_parent_and_says_one_line() -> None:
    child = f"import subprocess as s; s.run({command()!r})"
    with told(sys.executable, "-c", child) as (parent, said):
        folder = Path(str(said["mailbox"])).parent
        with urllib.request.urlopen(f"{said['http']}/healthz") as answer:
            assert answer.status == 200
        parent.kill()
        until(lambda: not folder.exists())
        until(lambda: not lives(int(str(said["pid"]))))
        assert parent.stdout is not None
        # Mails would be here, too, were they not turned to standard error.
        assert parent.stdout.read() == b""


@pytest.mark.parametrize("options", [["--ephemeral", "--workers", "2"], ["--until-stdin-closes"]])
def test_options_that_mean_nothing_are_refused(options: list[str]) -> None:
    done = CliRunner().invoke(app, ["run", *options])
    assert done.exit_code == 2
    assert "--ephemeral is one process" in done.output
