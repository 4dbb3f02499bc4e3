"""The command line when something is wrong: said in a line, and nothing is stored."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from balance_service.database import migrate
from tests import postgres
from tests.cli import PROGRAM, Cli


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


@pytest.mark.parametrize("command", ["serve", "gateway"])
def test_plain_text_beyond_this_machine_has_to_be_meant(cli: Cli, command: str) -> None:
    told = cli(command, status=2, BALANCE_HOST="0.0.0.0")
    assert "BALANCE_ALLOW_PLAIN_TEXT: is needed to speak plain text beyond this machine" in told


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


def test_secrets_are_taken_from_files_that_can_be_read(cli: Cli, tmp_path: Path) -> None:
    url, secret = tmp_path / "url", tmp_path / "secret"
    url.write_text(cli.env["BALANCE_DATABASE_URL"] + "\n")
    secret.write_text("short\n")
    in_files = Cli(
        cli.env
        | {"BALANCE_DATABASE_URL": "", "BALANCE_DATABASE_URL_FILE": str(url)}
        | {"BALANCE_SECRET": "", "BALANCE_SECRET_FILE": str(secret)}
    )
    told = in_files("verify", status=2)
    assert re.fullmatch(r"BALANCE_SECRET: .*at least 32 .*characters.*\n", told)
    secret.write_text(cli.env["BALANCE_SECRET"] + "\n")
    in_files("verify")
    url.unlink()
    missing = f"cannot be read from BALANCE_DATABASE_URL_FILE: {url}: No such file or directory"
    assert in_files("verify", status=2) == f"BALANCE_DATABASE_URL: {missing}\n"


@pytest.mark.parametrize("command", [["verify"], ["health"], ["migrate", "up"], ["gateway"]])
def test_misspelt_setting_is_refused_by_every_command(cli: Cli, command: list[str]) -> None:
    told = cli(*command, status=2, BALANCE_DATABSE_URL="postgresql://elsewhere/x")
    assert told == "BALANCE_DATABSE_URL: is no setting; did you mean BALANCE_DATABASE_URL?\n"


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
        # A Service called balance-grpc, which has the name of a setting.
        BALANCE_GRPC_PORT="tcp://10.0.0.3:50051",
        BALANCE_GRPC_PORT_50051_TCP="tcp://10.0.0.3:50051",
        BALANCE_GRPC_SERVICE_HOST="10.0.0.3",
    )
    assert "BALANCE_PORT: is no setting" in cli("verify", status=2, BALANCE_PORT="50051")
    assert "balance_grpcport: is no setting" in cli("verify", status=2, balance_grpcport="1")


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
    usage = "--scope" in told or "everything" in told
    output = cli(*command.split(" "), status=1 if told == "nobody" else 2)
    assert told in output
    assert "Traceback" not in output
    assert usage or len(output.splitlines()) == 1
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
        deadline = time.monotonic() + 120
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


def test_taken_port_is_said_to_be_taken(cli: Cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert "in use" in cli("serve", status=1, BALANCE_GRPC_PORT=port)


def test_database_that_is_away_is_said_to_be(cli: Cli) -> None:
    away = "postgresql://nobody@127.0.0.1:1/none"
    for command in (["migrate", "status"], ["verify"], ["serve"], ["run"]):
        told = cli(*command, status=1, BALANCE_DATABASE_URL=away)
        assert "Postgres does not answer" in told
        assert "Traceback" not in told


def test_gateway_takes_no_port_that_another_service_answers_on(cli: Cli) -> None:
    with socket.socket() as worker:
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(("127.0.0.1", 0))
        worker.listen()
        port = worker.getsockname()[1]
        told = cli("gateway", "--http-port", str(port), status=1)
    assert told == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"
