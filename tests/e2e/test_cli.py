"""The command line, as an operator types it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import psycopg
import pytest

from balance_service import DISTRIBUTION
from balance_service.config import Settings
from balance_service.database import migrate
from tests import postgres
from tests.conftest import free_port

PROGRAM = (sys.executable, "-m", "balance_service")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def cli(service_settings: Settings) -> "Cli":
    return Cli(service_settings.environment())


class Cli:
    """Runs `balance-service` with the test's settings."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *arguments],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def __call__(self, *arguments: str, status: int = 0, **env: str) -> str:
        done = self.run(*arguments, **env)
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
        ({"BALANCE_RATES_URL": "https://a:secret@b.example/"}, "BALANCE_RATES_URL"),
        ({"BALANCE_RATES_URL": "https://a:secret@b\u2100.example/"}, "BALANCE_RATES_URL"),
        ({"BALANCE_RATES_URL": "https:///daily.xml"}, "BALANCE_RATES_URL"),
        ({"BALANCE_RATES_STALE_AFTER_HOURS": "8761"}, "BALANCE_RATES_STALE_AFTER_HOURS"),
    ],
)
def test_wrong_setting_is_named(cli: Cli, env: dict[str, str], told: str) -> None:
    said = cli("serve", status=2, **env)
    assert told in said
    assert "secret" not in said


def test_serve_says_what_is_missing(cli: Cli) -> None:
    assert "BALANCE_SECRET" in cli("serve", status=2, BALANCE_SECRET="")
    told = cli("serve", status=2, BALANCE_SECRET="short", BALANCE_GRPC_PORT="0")
    assert "at least 32 characters" in told
    told = cli("serve", status=2, BALANCE_DEVELOPMENT="false", BALANCE_GRPC_PORT="0")
    assert "BALANCE_SMTP_URL" in told


def test_everything_wrong_with_the_settings_is_told_at_once(cli: Cli) -> None:
    wrong = {
        "BALANCE_DATABASE_URL": "postgresql://u:hunter2@extra@127.0.0.1:1/none",
        "BALANCE_SECRET": "short",
        "BALANCE_SMTP_URL": "smtp://u:hunter2/x@mail",
        "BALANCE_GRPC_PORT": "99999",
        "BALANCE_WORKERS": "none",
        "BALANCE_POOL_SIZES": "4",
    }
    for command in ("run", "serve"):
        told = cli(command, status=2, **wrong)
        assert [line.partition(":")[0] for line in told.splitlines()] == sorted(wrong)
        assert "did you mean BALANCE_POOL_SIZE?" in told
        assert "hunter2" not in told


@pytest.mark.parametrize("command", [["verify"], ["health"], ["migrate", "up"], ["gateway"]])
def test_misspelt_setting_is_refused_by_every_command(cli: Cli, command: list[str]) -> None:
    told = cli(*command, status=2, BALANCE_DATABSE_URL="postgresql://elsewhere/x")
    assert told == "BALANCE_DATABSE_URL: is no setting; did you mean BALANCE_DATABASE_URL?\n"


def test_gateway_takes_no_port_that_another_service_answers_on(cli: Cli) -> None:
    with socket.socket() as worker:
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(("127.0.0.1", 0))
        worker.listen()
        port = worker.getsockname()[1]
        told = cli("gateway", "--http-port", str(port), status=1)
    assert told == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_variables_of_kubernetes_and_of_tests_are_no_misspelt_settings(cli: Cli) -> None:
    cli(
        "verify",
        BALANCE_PORT="tcp://10.0.0.1:50051",
        BALANCE_PORT_50051_TCP_ADDR="10.0.0.1",
        BALANCE_SERVICE_HOST="10.0.0.1",
        BALANCE_SERVICE_PORT_GRPC="50051",
        BALANCE_API_PORT="tcp://10.0.0.2:80",
        BALANCE_API_SERVICE_PORT="80",
        BALANCE_TEST_DATABASE="x",
    )
    assert "BALANCE_PORT: is no setting" in cli("verify", status=2, BALANCE_PORT="50051")


REFUSED = {
    "admin create not-an-email": "email",
    "admin create a@b": "email",
    "service-principal create Billing --scope deposits:write": "client_id",
    "service-principal create b --scope deposits:write": "client_id",
    "service-principal create -- -billing": "--scope",
    "service-principal create billing --scope deposits:write --scope deposits:write": "scope",
    f"service-principal create billing --scope deposits:write --description {'x' * 201}": "200",
    "service-principal create billing --scope deposits:write --description \a": "control",
    "service-principal create billing --scope everything:write": "everything:write",
    "service-principal revoke nobody": "nobody",
    "token not-an-email": "email",
}


@pytest.mark.parametrize(("command", "told"), REFUSED.items())
def test_refused_command_says_why_in_a_line_and_stores_nothing(
    cli: Cli, database_url: str, command: str, told: str
) -> None:
    wrongly_used = "--scope" in told or "everything" in told
    output = cli(*command.split(" "), status=2 if wrongly_used else 1)
    assert told in output
    assert "Traceback" not in output
    assert wrongly_used or len(output.splitlines()) == 1
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT * FROM users").fetchall() == []
        assert conn.execute("SELECT * FROM service_principals").fetchall() == []


WRITING = (
    ["admin", "create", "root@example.com"],
    ["service-principal", "create", "billing", "--scope", "deposits:write"],
    ["service-principal", "revoke", "billing"],
    ["keys", "rotate"],
)


@pytest.mark.parametrize("command", WRITING)
def test_database_that_takes_no_writes_is_told_in_a_line(
    cli: Cli, server_url: str, database_url: str, command: list[str]
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    assert re.fullmatch(r"Postgres refused: .*read-only transaction\n", cli(*command, status=1))


@pytest.mark.parametrize("command", [*WRITING, ["verify"], ["serve"]])
def test_database_without_the_schema_is_told_in_a_line(
    cli: Cli, server_url: str, command: list[str]
) -> None:
    url = postgres.of_database(server_url, "template1")
    told = cli(*command, status=1, BALANCE_DATABASE_URL=url)
    assert re.fullmatch(r"the database lacks 0001_.*: run `balance-service migrate up`\n", told)


@pytest.mark.parametrize("command", [*WRITING, ["verify"], ["migrate", "up"], ["serve"], ["run"]])
def test_database_that_allows_nothing_is_told_in_a_line(
    cli: Cli, server_url: str, database_url: str, command: list[str]
) -> None:
    role = f"stranger_{os.getpid()}_{time.time_ns()}"
    url = psycopg.conninfo.make_conninfo(database_url, user=role, password="hunter2")
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'hunter2'".encode())
        try:
            told = cli(*command, status=1, BALANCE_DATABASE_URL=url)
        finally:
            conn.execute(f"DROP ROLE {role}".encode())
    assert "permission denied" in told
    assert len(told.splitlines()) == 1
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("command", "url"),
    [
        (["verify"], "postgresql://u:hunter2@127.0.0.1:1/none"),
        (["migrate", "up"], "host=127.0.0.1 port=1 user=u password=hunter2"),
        (["serve"], "postgresql://u:x/hunter2@127.0.0.1:1/none"),
        (["run"], "postgres:/u:hunter2@127.0.0.1:1/none"),
    ],
)
def test_password_of_the_database_is_not_told(cli: Cli, command: list[str], url: str) -> None:
    done = cli.run(*command, BALANCE_DATABASE_URL=url)
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1
    assert "hunter2" not in done.stderr + done.stdout


def test_folder_that_cannot_be_written_is_told_in_a_line(cli: Cli) -> None:
    for env in ({"BALANCE_DATABASE_URL": ""}, {}):
        told = cli("run", status=1, BALANCE_DATA_DIR="/dev/null/data", **env)
        assert re.fullmatch(r"/dev/null/data\S*: Not a directory\n", told)


def test_interrupted_command_ends_quietly(cli: Cli, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", (migrate.ADVISORY_LOCK,))
        process = subprocess.Popen(
            [*PROGRAM, "migrate", "up"],
            env=cli.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        deadline = time.monotonic() + 30
        while not conn.execute(waiting).fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (130, b"")


def test_closed_streams_are_no_reason_for_a_traceback(cli: Cli) -> None:
    made = "service-principal create billing --scope deposits:write"
    for command, status in (("verify <&-", 0), ("verify >/dev/full", 1), (f"{made} >&-", 1)):
        script = f"{sys.executable} -m balance_service {command}"
        done = subprocess.run(
            ["bash", "-c", script],
            env=cli.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == status, done.stderr
        assert len(done.stderr.splitlines()) == status


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
            [*PROGRAM, "run", "--port", str(port), "--http-port", str(free_port())],
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


def test_commands_find_the_run_of_their_data_directory(cli: Cli, tmp_path: Path) -> None:
    """Whatever its port; and never what listens where one ended."""
    out = tmp_path / "out"
    with out.open("w") as file:
        process = subprocess.Popen([*PROGRAM, "run"], env=cli.env, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 30
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
