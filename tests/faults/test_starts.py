"""Workers that cannot start: said once, tried a few times, and not without end."""

import asyncio
import contextlib
import os
import secrets as random_source
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from balance_service.config import Settings
from balance_service.operations import signing_keys
from balance_service.server import supervisor
from rehearsals import stage
from tests.cli import Cli
from tests.service import free_port


@contextlib.contextmanager
def fake_workers(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> Iterator[Path]:
    """Has the supervisor start a script in place of a worker; each start adds a line to a file."""
    starts = folder / "starts"
    program = folder / "worker.py"
    program.write_text(
        f"import os, sys, time\nopen({str(starts)!r}, 'a').write('x\\n')\n"
        f"made = len(open({str(starts)!r}).readlines())\nfd = int(sys.argv[-1])\n{script}\n"
    )
    wrapper = folder / "python"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
    wrapper.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(wrapper))
    monkeypatch.setattr(supervisor, "RESTART_INTERVAL_SECONDS", 0.02)
    yield starts


def count(starts: Path) -> int:
    return len(starts.read_text().splitlines()) if starts.exists() else 0


@pytest.mark.parametrize(
    "command",
    ["serve", "run", "keys rotate", "service-principal create billing --scope deposits:write"],
)
async def test_wrong_secret_is_said_to_be_wrong(
    service_settings: Settings, database_url: str, command: str
) -> None:
    await signing_keys.rotate(service_settings)
    wrong = SecretStr(random_source.token_urlsafe(48))
    settings = service_settings.model_copy(update={"secret": wrong, "workers": 2})
    cli = Cli(settings.environment())
    told = await asyncio.to_thread(cli, *command.split(), status=1)
    assert "BALANCE_SECRET is not the one" in told
    assert "Traceback" not in told
    assert wrong.get_secret_value() not in told
    with psycopg.connect(database_url) as conn:
        counts = conn.execute(
            "SELECT (SELECT count(*) FROM signing_keys), (SELECT count(*) FROM users),"
            " (SELECT count(*) FROM service_principals)"
        ).fetchone()
    assert counts == (2, 0, 0)


@pytest.mark.parametrize("command", ["run", "keys rotate"])
async def test_weak_secret_writes_nothing(
    service_settings: Settings, database_url: str, command: str
) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("DROP SCHEMA public CASCADE")
        conn.execute("CREATE SCHEMA public")
    weak = service_settings.model_copy(update={"secret": SecretStr("password" * 5)})
    cli = Cli(weak.environment())
    told = await asyncio.to_thread(cli, *command.split(), status=2)
    assert told.strip().splitlines()[-1] == "BALANCE_SECRET: repeats itself, and must be random"
    with psycopg.connect(database_url) as conn:
        tables = conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchone() == (0,)


async def test_serve_starts_beside_a_key_that_cannot_be_read(
    service_settings: Settings, database_url: str, tmp_path: Path
) -> None:
    await signing_keys.rotate(service_settings)
    with psycopg.connect(database_url) as conn:
        conn.execute("INSERT INTO signing_keys VALUES ('stray', '\\x00', '\\x00', now(), NULL)")
    port, log = free_port(), tmp_path / "log"
    with stage.program(service_settings.model_copy(update={"grpc_port": port}), log) as process:
        await stage.wait_until_serving(f"127.0.0.1:{port}")
    assert process.returncode == 0, log.read_text()
    assert "key_not_unsealed" in log.read_text()


async def test_serve_starts_on_a_schema_that_a_newer_version_only_expanded(
    service_settings: Settings, database_url: str, tmp_path: Path
) -> None:
    row = (
        "INSERT INTO schema_migrations (name, checksum, expands) VALUES ('9999_newer.sql', '', %s)"
    )
    with psycopg.connect(database_url) as conn:
        conn.execute(row, (True,))
    port, log = free_port(), tmp_path / "log"
    settings = service_settings.model_copy(update={"grpc_port": port})
    with stage.program(settings, log):
        await stage.wait_until_serving(f"127.0.0.1:{port}")
    assert '"migrations": ["9999_newer.sql"], "event": "schema_newer"' in log.read_text()
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE schema_migrations SET expands = false WHERE checksum = ''")
    cli = Cli(settings.environment())
    assert "the database is newer" in await asyncio.to_thread(cli, "serve", status=1)


@pytest.mark.parametrize("end", ["sys.exit(1)", "os.kill(os.getpid(), 9)"])
async def test_worker_that_cannot_start_is_given_up(
    service_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    with fake_workers(monkeypatch, tmp_path, end) as starts:
        status = await asyncio.wait_for(supervisor.supervise(service_settings), 60)
    assert status == 1
    assert count(starts) == supervisor.FAILED_STARTS_MAX


async def test_first_start_that_fails_for_good_ends_all(
    service_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"sys.exit({supervisor.STARTUP_FAILED})"
    with fake_workers(monkeypatch, tmp_path, script) as starts:
        assert await asyncio.wait_for(supervisor.supervise(service_settings), 60) == 1
    assert count(starts) == 1


@pytest.mark.parametrize(
    "script",
    [
        # One that has served is started again however often it dies.
        "os.write(fd, b'1'); sys.exit(1)",
        # Fewer failures than are borne, between lives.
        "made % 4 or os.write(fd, b'1'); sys.exit(1)",
        # A database that is away comes back.
        f"sys.exit({supervisor.DATABASE_AWAY})",
    ],
)
async def test_worker_is_started_again_while_there_is_hope(
    service_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    with fake_workers(monkeypatch, tmp_path, script) as starts:
        supervising = asyncio.create_task(supervisor.supervise(service_settings))
        async with asyncio.timeout(60):
            while count(starts) < 3 * supervisor.FAILED_STARTS_MAX:
                assert not supervising.done()
                await asyncio.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(supervising, 60) == 0
