"""What all commands have in common: help, examples, completion, output, questions, the settings."""

import contextlib
import json
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from balance_service.cli import app
from balance_service.config import Settings, variable
from balance_service.repositories.verification import CHECKS
from tests.cli import PROGRAM, Cli, Typed

ROOT = Path(__file__).parent.parent.parent


def commands(group: Any, *path: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name)), command


ALL = dict(commands(typer.main.get_command(app)))


@pytest.fixture
def typed(service_settings: Settings) -> Typed:
    return Typed(service_settings.environment())


@pytest.mark.parametrize("path", [path for path in ALL if path not in ("worker", "operators")])
def test_examples_of_the_help_are_well_formed(path: str) -> None:
    """As far as reading the arguments goes, of which nothing is carried out."""
    command = ALL[path]
    lines = (command.epilog or "").split("\n\n")[1:]
    assert lines, "its help has an example"
    asked = re.sub(r"^key ", "keys ", re.sub(r"^principal ", "service-principal ", path))
    for line in lines:
        words = shlex.split(line.partition(" >")[0])
        begun = ["balance-service", *asked.split()]
        assert words[: len(begun)] == begun
        command.make_context(path, words[len(begun) :])


def test_commands_page_is_what_the_commands_say() -> None:
    script = ["docs/generate_pages.py", "check"]
    done = subprocess.run([sys.executable, *script], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_completion_knows_nouns_verbs_and_options(cli: Cli) -> None:
    def complete(words: str) -> str:
        return cli(
            "",
            _BALANCE_SERVICE_COMPLETE="complete_bash",
            COMP_WORDS=f"balance-service {words}",
            COMP_CWORD=str(words.count(" ") + 1),
        )

    assert "account" in complete("acc")
    assert set(complete("account un").split()) == {"unfreeze"}
    assert "--reason" in complete("account freeze 1 --re")


def test_whatever_is_listed_is_json_a_line_or_a_table(typed: Typed) -> None:
    typed("service-principal", "create", "billing", "--scope", "deposits:write")
    typed("admin", "create", "root@example.com")
    for command in ("admin list", "keys list", "service-principal list", "migrate status"):
        told = typed.run(*command.split(), "--output", "json").out
        objects = [json.loads(line) for line in told.splitlines()]
        assert objects
        table = typed.run(*command.split()).out.splitlines()
        assert len(table) == len(objects) + 1
        assert re.fullmatch(r"[A-Z ]+", table[0])
    key = json.loads(typed("key", "list", "-o", "json").splitlines()[0])
    assert json.loads(typed("keys", "show", key["key"], "-o", "json")) == key
    assert json.loads(typed("principal", "show", "billing", "-o", "json"))["state"] == "active"
    typed("keys", "list", "-o", "yaml", status=2)


def test_verify_reports_to_programs(typed: Typed) -> None:
    done = typed.run("verify", "--json")
    report = json.loads(done.out)
    assert (done.status, done.err, report["clean"]) == (0, "", True)
    assert [check["check"] for check in report["checks"]] == list(CHECKS)
    assert report["rows"]["movements"] == 0
    assert done.out.count("\n") == 1


def on_terminal(cli: Cli, answer: bytes, *command: str) -> tuple[int, str]:
    """Runs a command on a terminal of its own, where somebody answers; its status, what it said."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *command], env=cli.env, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    told = b""
    try:
        os.write(leader, answer)
        # A terminal that nobody writes to any more ends with an error.
        with contextlib.suppress(OSError):
            while part := os.read(leader, 4096):
                told += part
        return process.wait(60), told.decode()
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def test_what_cannot_be_taken_back_is_asked_about_on_a_terminal(cli: Cli, typed: Typed) -> None:
    typed("service-principal", "create", "billing", "--scope", "deposits:write")
    asked = ("service-principal", "revoke", "billing")
    status, told = on_terminal(cli, b"n\n", *asked)
    assert (status, "Stop billing for good?" in told) == (1, True)
    assert "active" in typed("service-principal", "list")
    status, told = on_terminal(cli, b"y\n", *asked)
    assert (status, "no longer" in told) == (0, True)


def test_progress_is_shown_on_a_terminal_alone(cli: Cli, typed: Typed) -> None:
    status, told = on_terminal(cli, b"", "verify")
    assert (status, "Verifying" in told) == (0, True)
    assert "Verifying" not in typed("verify")


def test_settings_are_shown_with_where_they_come_from(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("only-for-tests-and-long-enough-0123456789")
    env = {
        "BALANCE_SECRET": "",
        "BALANCE_SECRET_FILE": str(tmp_path / "secret"),
        "BALANCE_BATCHES_IN_FLIGHT": "2",
        "BALANCE_WORKERS": "none",
    }
    del typed.env["BALANCE_COMMITS_IN_FLIGHT"], typed.env["BALANCE_HOST"]
    told = typed.run("config", "show", "-o", "json", **env).out
    shown = {each["setting"]: each for each in map(json.loads, told.splitlines())}
    assert shown.keys() == {variable(name) for name in Settings.model_fields}
    assert shown["BALANCE_SECRET"]["value"] == "********"
    assert shown["BALANCE_SECRET"]["source"] == f"file {tmp_path / 'secret'}"
    assert shown["BALANCE_DATABASE_URL"]["value"] == "********"
    assert shown["BALANCE_HOST"]["source"] == "default"
    assert shown["BALANCE_GRPC_PORT"]["source"] == "environment"
    renamed = shown["BALANCE_COMMITS_IN_FLIGHT"]["source"]
    assert renamed == "environment, as BALANCE_BATCHES_IN_FLIGHT"
    assert "integer" in shown["BALANCE_WORKERS"]["fault"]
    assert "long-enough" not in told


def checked(typed: Typed, status: int, **env: str) -> dict[str, tuple[bool, str]]:
    done = typed.run("config", "check", "-o", "json", **env)
    assert done.status == status, done
    found = map(json.loads, done.out.splitlines())
    return {each["check"]: (each["ok"], each["told"]) for each in found}


def test_settings_that_will_do_are_said_to(typed: Typed) -> None:
    found = checked(typed, 0)
    assert found.keys() == {"database", "mail", "rates"}
    assert all(ok for ok, _ in found.values())
    assert "currencies" in found["rates"][1]


def test_all_that_is_wrong_with_the_settings_is_told_at_once(typed: Typed) -> None:
    found = checked(
        typed,
        2,
        BALANCE_DATABASE_URL="postgresql://nobody:hunter2@127.0.0.1:1/none",
        BALANCE_SECRET="short",
        BALANCE_SMTP_URL="smtp://u:hunter2@127.0.0.1:1",
        BALANCE_RATES_SOURCE="cbr",
        BALANCE_RATES_URL="http://127.0.0.1:1/daily.xml",
        BALANCE_WORKERS="none",
    )
    wrong = {"BALANCE_SECRET", "BALANCE_WORKERS", "database", "mail", "rates"}
    assert {name for name, (ok, _) in found.items() if not ok} == wrong
    assert "Postgres does not answer" in found["database"][1]
    assert "127.0.0.1:1 cannot be used" in found["mail"][1]
    assert "hunter2" not in repr(found)


def test_secret_of_another_database_and_an_owner_are_found(typed: Typed, database_url: str) -> None:
    typed("keys", "rotate")
    wrong = "another-one-of-tests-and-long-enough-98765"
    assert "sealed with" in checked(typed, 2, BALANCE_SECRET=wrong)["database"][1]
    told = checked(typed, 2, BALANCE_DATABASE_URL=database_url)["database"]
    assert "no grant holds back" in told[1]
