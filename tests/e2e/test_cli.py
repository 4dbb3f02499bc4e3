"""The command line: what each command does, as an operator types it."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import psycopg
import pytest

from balance_service import DISTRIBUTION
from tests import postgres
from tests.cli import PROGRAM, Cli
from tests.service import free_port

ROOT = Path(__file__).parent.parent.parent
# The demo waits for a checkpoint. What `run` chooses is overridden here: the environment is whole.
SOON = {"BALANCE_CHECKPOINT_SECONDS": "1"}


def test_migrate_shows_plans_and_applies(cli: Cli, server_url: str) -> None:
    name = f"cli_{os.getpid()}_{time.time_ns()}"
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
    url = postgres.of_database(server_url, name)
    try:
        assert "pending  0001_" in cli("migrate", "status", BALANCE_DATABASE_URL=url)
        assert "CREATE TABLE entries" in cli("migrate", "plan", BALANCE_DATABASE_URL=url)
        assert "migrate up" in cli("serve", status=1, BALANCE_DATABASE_URL=url)
        assert "applied  0002_" in cli("migrate", "up", BALANCE_DATABASE_URL=url)
        assert "pending" not in cli("migrate", "status", BALANCE_DATABASE_URL=url)
    finally:
        with psycopg.connect(server_url, autocommit=True) as conn:
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_serve_refuses_who_owns_the_tables_and_says_what_to_do(cli: Cli, database_url: str) -> None:
    told = cli("serve", status=1, BALANCE_DATABASE_URL=database_url)
    assert "a superuser, whom no grant holds back. Set BALANCE_OWNER_DATABASE_URL to" in told
    assert len(told.splitlines()) == 1
    # With both set, as that says, the schema and the role are made ready.
    assert "up to date" in cli("migrate", "up", BALANCE_OWNER_DATABASE_URL=database_url)


def test_verify_is_clean_and_then_finds_each_forgery(cli: Cli, database_url: str) -> None:
    assert "The ledger is clean." in cli("verify")
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO accounts (account_id, owner_id, number, currency, balance_minor,"
            " created_at, changed_at) VALUES (gen_random_uuid(), gen_random_uuid(), 1234567897,"
            " 'RUB', 5, now() - interval '1 hour', now() - interval '1 hour')"
        )
    report = cli("verify", status=1)
    assert "The ledger is NOT clean." in report
    # Its balance, its owner, its number, and that no total counts it.
    assert len(re.findall(r"FAULT", report)) == 4
    assert re.search(r": 5, should be 0", report)


def test_admin_and_service_principal_are_made(cli: Cli, database_url: str) -> None:
    assert "is an admin" in cli("admin", "create", "Root@Example.com")
    made = json.loads(cli("service-principal", "create", "billing", "--scope", "deposits:write"))
    assert made["client_id"] == "billing"
    with psycopg.connect(database_url) as conn:
        admin = conn.execute("SELECT email, role FROM users").fetchall()
        stored = conn.execute("SELECT p::text FROM service_principals AS p").fetchone()
    assert admin == [("root@example.com", 3)]
    assert stored
    assert made["client_secret"] not in stored[0]
    again = cli("service-principal", "create", "billing", "--scope", "deposits:write", status=1)
    assert "exists already" in again
    assert "no longer" in cli("service-principal", "revoke", "billing")
    cli("service-principal", "revoke", "billing", status=1)
    cli("service-principal", "create", "x", "--scope", "everything:write", status=2)


def test_version_and_completion_are_told(cli: Cli) -> None:
    assert cli("--version") == f"balance-service {metadata.version(DISTRIBUTION)}\n"
    assert "_BALANCE_SERVICE_COMPLETE" in cli("", _BALANCE_SERVICE_COMPLETE="source_bash")


@pytest.mark.parametrize("name", ["run", "serve", "gateway", "verify", "health", "demo", "token"])
def test_help_says_what_a_command_does(cli: Cli, name: str) -> None:
    told = cli(name, "--help", COLUMNS="200")
    assert f"Usage: balance-service {name}" in told
    if name in ("health", "demo", "token", "gateway"):
        assert "BALANCE_GRPC_PORT" in told


def test_health_loads_little(cli: Cli) -> None:
    """What it costs is mostly what it imports; a container asks every few seconds."""
    done = cli.run("health", "--target", "127.0.0.1:1", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 1
    loaded = set(re.findall(r"\| +(\S+)$", done.stderr, re.MULTILINE))
    assert "grpc" in loaded
    assert not loaded & {"psycopg", "starlette", "uvicorn", "cryptography", "rich", "structlog"}


@pytest.fixture
def running(cli: Cli, tmp_path: Path) -> Iterator[str]:
    """`balance-service run` on the test's database; where it listens."""
    port = free_port()
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(
            [*PROGRAM, "run", "--port", str(port), "--http-port", str(free_port())],
            env=cli.env | SOON,
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + 120
        while "Try:" not in (tmp_path / "out").read_text():
            assert time.monotonic() < deadline, (tmp_path / "out").read_text()
            assert process.poll() is None, (tmp_path / "out").read_text()
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_run_and_demo_tell_the_whole_story(cli: Cli, running: str) -> None:
    story = cli("demo", "--target", running)
    for told in (
        "signed in and opened account",
        "deposited 5000.00 RUB: balance 5000.00",
        "replayed True",
        "for 19.99 USD = 1599.20 RUB at 80 (static)",
        "already purchased True, nothing charged",
        "sent Boris 750.50 RUB: balance 2650.30",
        "97349.70 RUB missing",
        "Boris's statement:",
    ):
        assert told in story
    assert normalised(story) in normalised((ROOT / "docs/start.md").read_text(encoding="utf-8"))
    token = cli("token", "admin@example.com", "--target", running)
    assert token.count(".") == 2
    assert "serving" in cli("health", "--target", running)
    assert "does not serve" in cli("health", "--target", "127.0.0.1:1", status=1)
    assert "The ledger is clean." in cli("verify")


def normalised(text: str) -> str:
    """Text without what differs from run to run: addresses, account numbers, times."""
    text = re.sub(r"-[0-9a-f]{6}@", "-x@", text)
    text = re.sub(r"account \d{10}", "account N", text)
    return re.sub(r"\d\d:\d\d:\d\d", "TIME", text).strip()


def test_demo_says_when_nothing_answers(cli: Cli) -> None:
    assert "nothing answers" in cli("demo", "--target", "127.0.0.1:1", status=1)


def test_commands_find_the_run_of_their_data_directory(cli: Cli, tmp_path: Path) -> None:
    """Whatever its port; and never what listens where one ended."""
    out = tmp_path / "out"
    with out.open("w") as file:
        process = subprocess.Popen([*PROGRAM, "run"], env=cli.env | SOON, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 120
        while "Stop with" not in out.read_text():
            assert time.monotonic() < deadline, out.read_text()
            time.sleep(0.1)
        target = re.findall(r"gRPC +(\S+),", out.read_text())[0]
        assert cli("health") == f"{target} is serving\n"
        assert cli("token", "Demo@Example.com").count(".") == 2
        assert "Boris's statement:" in cli("demo", BALANCE_GRPC_PORT="1")
        # What the greeting says works as it stands, in a shell that knows no settings.
        commands = re.findall(r"^  (\S.* (?:token|demo)\b.*)$", out.read_text(), re.MULTILINE)
        assert len(commands) == 2
        for command in commands:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd="/",
                capture_output=True,
                check=False,
                timeout=60,
            )
            assert done.returncode == 0, (command, done.stderr)
    finally:
        (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait(30)
        os.kill(int(worker), signal.SIGKILL)
    # It had no time to take its address back.
    assert (tmp_path / "address").read_text() == target
    assert "no service runs on" in cli("token", "demo@example.com", status=1)
    assert "no service runs on" in cli("demo", status=1)
    assert target not in cli("health", status=1)
