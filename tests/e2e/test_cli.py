"""The command line, as an operator types it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from balance_service.config import Settings
from tests import postgres
from tests.conftest import free_port

RUN = (sys.executable, "-m", "balance_service", "run")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def cli(service_settings: Settings) -> "Cli":
    return Cli(service_settings.environment())


class Cli:
    """Runs `balance-service` with the test's settings."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env

    def __call__(self, *arguments: str, status: int = 0, **env: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "balance_service", *arguments],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == status, done.stderr + done.stdout
        return done.stdout + done.stderr


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


def test_verify_is_clean_and_then_finds_each_forgery(cli: Cli, database_url: str) -> None:
    assert "The ledger is clean." in cli("verify")
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO accounts (account_id, owner_id, number, currency, balance_minor,"
            " created_at, changed_at) VALUES (gen_random_uuid(), gen_random_uuid(), 1234567897,"
            " 'RUB', 5, now(), now())"
        )
    report = cli("verify", status=1)
    assert "The ledger is NOT clean." in report
    # Its balance, its owner and its number.
    assert len(re.findall(r"FAULT", report)) == 3
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


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"BALANCE_WORKERS": "none"}, "BALANCE_WORKERS"),
        ({"BALANCE_WORKERS": "0"}, "BALANCE_WORKERS"),
        ({"BALANCE_GRPC_PORT": "99999"}, "BALANCE_GRPC_PORT"),
        ({"BALANCE_RATES_SOURCE": "guess"}, "BALANCE_RATES_SOURCE"),
        ({"BALANCE_RATES_URL": "file:///etc/passwd"}, "BALANCE_RATES_URL"),
    ],
)
def test_wrong_setting_is_named(cli: Cli, env: dict[str, str], told: str) -> None:
    assert told in cli("serve", status=2, **env)


def test_serve_says_what_is_missing(cli: Cli) -> None:
    assert "BALANCE_SECRET" in cli("serve", status=1, BALANCE_SECRET="")
    told = cli("serve", status=1, BALANCE_SECRET="short", BALANCE_GRPC_PORT="0")
    assert "at least 32 characters" in told
    told = cli("serve", status=1, BALANCE_DEVELOPMENT="false", BALANCE_GRPC_PORT="0")
    assert "BALANCE_SMTP_URL" in told


def test_taken_port_is_said_to_be_taken(cli: Cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert "in use" in cli("serve", status=1, BALANCE_GRPC_PORT=port)


@pytest.fixture
def running(cli: Cli, tmp_path: Path) -> Iterator[str]:
    """`balance-service run` on the test's database; where it listens."""
    port = free_port()
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(
            [*RUN, "--port", str(port), "--http-port", str(free_port())],
            env=cli.env,
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + 30
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
    assert normalised(story) in normalised((ROOT / "README.md").read_text(encoding="utf-8"))
    token = cli("token", "admin@example.com", "--target", running)
    assert token.count(".") == 2
    assert "serving" in cli("health", "--target", running)
    assert "does not serve" in cli("health", "--target", "127.0.0.1:1", status=1)
    assert "The ledger is clean." in cli("verify")


def test_database_that_is_away_is_said_to_be(cli: Cli) -> None:
    away = "postgresql://nobody@127.0.0.1:1/none"
    for command in (["migrate", "status"], ["verify"], ["serve"], ["run"]):
        told = cli(*command, status=1, BALANCE_DATABASE_URL=away)
        assert "Postgres does not answer" in told
        assert "Traceback" not in told


def normalised(text: str) -> str:
    """Text without what differs from run to run: addresses, account numbers, times."""
    text = re.sub(r"-[0-9a-f]{6}@", "-x@", text)
    text = re.sub(r"account \d{10}", "account N", text)
    return re.sub(r"\d\d:\d\d:\d\d", "TIME", text).strip()


def test_demo_says_when_nothing_answers(cli: Cli) -> None:
    assert "nothing answers" in cli("demo", "--target", "127.0.0.1:1", status=1)
