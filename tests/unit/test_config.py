"""Settings: what they tell, and what they keep to themselves."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from balance_service import config, secret_files
from balance_service.config import Settings
from balance_service.server import startup

SECRETS = {
    "database_url": "postgresql://u:hunter2@db/balance",
    "owner_database_url": "postgresql://owner:hunter2@db/balance",
    "backup_database_url": "postgresql://backup:hunter2@db/balance",
    "secret": "hunter2-hunter2-hunter2-hunter2-hunter2",
    "previous_secret": "hunter2-before-hunter2-before-hunter2-0",
    "replica_url": "postgresql://u:hunter2@db2/x",
    "smtp_url": "smtp://u:hunter2@mail",
}


def test_settings_show_no_password() -> None:
    settings = Settings.model_validate(SECRETS)
    for shown in (repr(settings), str(settings), str(settings.model_dump()), f"{settings}"):
        assert "hunter2" not in shown
    assert "hunter2" not in settings.model_dump_json()
    told = settings.environment()
    assert told["BALANCE_DATABASE_URL"] == SECRETS["database_url"]


@pytest.mark.parametrize("name", [*SECRETS, "workers", "grpc_port", "log_level", "rates_url"])
def test_error_shows_no_value(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(ValidationError) as error:
        Settings.model_validate({name: ["hunter2"]})
    assert "hunter2" not in str(error.value)
    monkeypatch.setenv("BALANCE_WORKERS", "hunter2")
    monkeypatch.setenv("BALANCE_RATES_URL", "hunter2")
    _, faults = config.read(grpc_port="hunter2")
    assert set(faults) == {"BALANCE_WORKERS", "BALANCE_RATES_URL", "BALANCE_GRPC_PORT"}
    assert "hunter2" not in str(faults)


def test_password_has_no_place_in_the_rates_url() -> None:
    with pytest.raises(ValidationError, match="user name or password"):
        Settings(rates_url="https://u:p@rates.example/daily.xml")


def test_some_connections_are_left_for_everything_but_commits() -> None:
    with pytest.raises(ValidationError, match="must be less than BALANCE_POOL_SIZE"):
        Settings(pool_size=4, commits_in_flight=4)


def test_what_is_wrong_is_replaced_by_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALANCE_WORKERS", "none")
    monkeypatch.setenv("BALANCE_POOL_SIZE", "4")
    settings, faults = config.read(grpc_port=1)
    assert (settings.workers, settings.pool_size, settings.grpc_port) == (1, 4, 1)
    assert list(faults) == ["BALANCE_WORKERS"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("BALANCE_GRPC_PROT", "BALANCE_GRPC_PORT"),
        ("BALANCE_DATABASEURL", "BALANCE_DATABASE_URL"),
        ("BALANCE_WORKER", "BALANCE_WORKERS"),
        ("BALANCE_SMTP", "BALANCE_SMTP_URL"),
        ("BALANCE_SECRETS", "BALANCE_SECRET"),
        ("BALANCE_SECRET_FILES", "BALANCE_SECRET_FILE"),
        ("BALANCE_TLS_KEY_FILE", "BALANCE_TLS_KEY"),
    ],
)
def test_misspelt_variable_is_named_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "1")
    _, faults = config.read()
    assert faults == {name: f"is no setting; did you mean {nearest}?"}


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("127.0.0.1", "127.0.0.1:5"),
        ("0.0.0.0", "127.0.0.1:5"),
        ("::", "[::1]:5"),
        ("[::]", "[::1]:5"),
        ("::1", "[::1]:5"),
        ("10.0.0.7", "10.0.0.7:5"),
        ("localhost", "localhost:5"),
    ],
)
def test_callers_on_this_machine_are_told_where(host: str, target: str) -> None:
    settings = Settings(host=host, grpc_port=5, http_port=5)
    assert settings.grpc_target == target
    assert settings.http_url == f"http://{target}"


def test_copy_keeps_its_secrets() -> None:
    changed = Settings().model_copy(update={"database_url": SecretStr(SECRETS["database_url"])})
    assert "hunter2" not in repr(changed)


def test_old_name_of_a_setting_is_read_and_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.read_renamed() == {}
    monkeypatch.setenv("BALANCE_BATCHES_IN_FLIGHT", "5")
    monkeypatch.setenv("BALANCE_BATCH_COMMANDS_MAX", "50")
    settings, faults = config.read()
    assert (settings.commits_in_flight, settings.commit_commands_max, faults) == (5, 50, {})
    assert config.read_renamed() == {
        "BALANCE_BATCHES_IN_FLIGHT": "BALANCE_COMMITS_IN_FLIGHT",
        "BALANCE_BATCH_COMMANDS_MAX": "BALANCE_COMMIT_COMMANDS_MAX",
    }


def test_child_process_is_told_new_names_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALANCE_BATCHES_IN_FLIGHT", "5")
    environment = config.read()[0].environment()
    assert environment["BALANCE_COMMITS_IN_FLIGHT"] == "5"
    assert "BALANCE_BATCHES_IN_FLIGHT" not in environment


def test_old_and_new_name_of_a_setting_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALANCE_BATCHES_IN_FLIGHT", "5")
    monkeypatch.setenv("BALANCE_COMMITS_IN_FLIGHT", "5")
    assert config.read()[1] == {}
    monkeypatch.setenv("BALANCE_COMMITS_IN_FLIGHT", "6")
    assert set(config.read()[1]) == {"BALANCE_BATCHES_IN_FLIGHT"}


def test_wrong_value_under_an_old_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALANCE_BATCHES_IN_FLIGHT", "hunter2")
    settings, faults = config.read()
    assert settings.commits_in_flight == 2
    assert set(faults) == {"BALANCE_COMMITS_IN_FLIGHT"}
    assert "hunter2" not in str(faults)


def test_limits_are_read_and_what_is_wrong_with_them_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(debit_max="RUB=5,USD=0.50", day_zone="Europe/Moscow")
    assert settings.limits.debit_minor == {"RUB": 500, "USD": 50}
    assert settings.limits.daily_minor == {}
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert settings.limits.calendar.day(noon).end == datetime(2026, 11, 24, 21, tzinfo=UTC)
    for zone in ("Europe/Moskau", "", "/etc/localtime", "../UTC", "America", "right/UTC"):
        monkeypatch.setenv("BALANCE_DAY_ZONE", zone)
        assert set(config.read()[1]) == {"BALANCE_DAY_ZONE"}, zone
    monkeypatch.delenv("BALANCE_DAY_ZONE")
    for name in ("OVERDRAFT_MAX", "DEBIT_MAX", "DAILY_DEBITS_MAX"):
        monkeypatch.setenv(f"BALANCE_{name}", "RUB=hunter2")
    _, faults = config.read()
    assert set(faults) == {"BALANCE_OVERDRAFT_MAX", "BALANCE_DEBIT_MAX", "BALANCE_DAILY_DEBITS_MAX"}
    assert "hunter2" not in str(faults)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_secret_is_read_from_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, end: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(f" {SECRETS[name]}\n{end}".encode())
    monkeypatch.setenv(config.file_variable(name), str(file))
    # Compose and Kubernetes pass variables on that are not set as empty ones.
    monkeypatch.setenv(config.variable(name), "")
    settings, faults = config.read()
    assert faults == {}
    assert getattr(settings, name).get_secret_value() == f" {SECRETS[name]}" + "\n" * bool(end)
    environment = settings.environment()
    assert environment[config.variable(name)] == getattr(settings, name).get_secret_value()
    assert config.file_variable(name) not in environment


@pytest.mark.parametrize(
    ("host", "allowed", "told"),
    [
        ("127.0.0.1", False, False),
        ("127.8.9.10", False, False),
        ("localhost", False, False),
        ("[::1]", False, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("", False, True),
        ("10.0.0.1", False, True),
        ("balance.example.com", False, True),
        ("0.0.0.0", True, False),
    ],
)
def test_plain_text_beyond_this_machine_is_told(host: str, *, allowed: bool, told: bool) -> None:
    settings = config.Settings(host=host, allow_plain_text=allowed)
    faults = startup.find_plain_text(settings, tls=False)
    assert set(faults) == ({"BALANCE_ALLOW_PLAIN_TEXT"} if told else set())
    assert startup.find_plain_text(settings, tls=True) == {}


def test_secrets_are_all_settings_that_are_not_shown() -> None:
    assert set(config.SECRETS) == set(SECRETS)


@pytest.mark.parametrize("name", SECRETS)
def test_secret_both_in_a_variable_and_in_a_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRETS[name])
    monkeypatch.setenv(config.variable(name), SECRETS[name])
    monkeypatch.setenv(config.file_variable(name).lower(), str(file))
    variable, file_variable = config.variable(name), config.file_variable(name)
    told = f"is set, and {file_variable} as well: set one of them"
    assert config.read()[1] == {variable: told}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"hunter2\xff", "is not UTF-8"),
        (b"hunter2\0", "is not text"),
        (b"hunter2" * secret_files.BYTES_MAX, "is longer than 65536 bytes"),
    ],
)
def test_file_without_a_secret_is_named_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, told: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("BALANCE_SECRET_FILE", str(file))
    settings, faults = config.read()
    assert faults == {"BALANCE_SECRET": f"cannot be read from BALANCE_SECRET_FILE: {file}: {told}"}
    assert settings.secret.get_secret_value() == ""


def test_secret_in_place_of_its_files_path_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALANCE_DATABASE_URL_FILE", SECRETS["database_url"])
    _, faults = config.read()
    told = "cannot be read from BALANCE_DATABASE_URL_FILE: must be an absolute path"
    assert faults == {"BALANCE_DATABASE_URL": told}


def test_folder_is_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BALANCE_SMTP_URL_FILE", str(tmp_path))
    assert f"{tmp_path}: Is a directory" in config.read()[1]["BALANCE_SMTP_URL"]
