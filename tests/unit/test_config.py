"""Settings: what they tell, and what they keep to themselves."""

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr, ValidationError

from balance_service import config
from balance_service.config import Settings

SECRETS = {
    "database_url": "postgresql://u:hunter2@db/balance",
    "secret": "hunter2-hunter2-hunter2-hunter2-hunter2",
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
    for zone in ("Europe/Moskau", "", "/etc/localtime", "../UTC", "America"):
        monkeypatch.setenv("BALANCE_DAY_ZONE", zone)
        assert set(config.read()[1]) == {"BALANCE_DAY_ZONE"}, zone
    monkeypatch.delenv("BALANCE_DAY_ZONE")
    for name in ("OVERDRAFT_MAX", "DEBIT_MAX", "DAILY_DEBITS_MAX"):
        monkeypatch.setenv(f"BALANCE_{name}", "RUB=hunter2")
    _, faults = config.read()
    assert set(faults) == {"BALANCE_OVERDRAFT_MAX", "BALANCE_DEBIT_MAX", "BALANCE_DAILY_DEBITS_MAX"}
    assert "hunter2" not in str(faults)
