"""Which door there is, and what is said where there is none."""

import importlib.util
import tempfile
from pathlib import Path

import pytest

from balance_service import config
from balance_service.config import Settings
from balance_service.server import supervisor, worker
from balance_service.server.envoy import application, choice, filters, process


def test_missing_wheel_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    assert choice.find_obstacle().endswith("BALANCE_DOOR=grpcio serves without Envoy")
    with pytest.raises(RuntimeError, match="pip install") as error:
        process.become(Settings(door="envoy"))
    assert worker.start_status(error.value) == supervisor.STARTUP_FAILED


def test_missing_wheel_is_a_fault_of_the_door_that_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    (fault,) = choice.find_faults(Settings(door="envoy")).items()
    assert fault == ("BALANCE_DOOR", choice.find_obstacle())
    assert choice.find_faults(Settings(door="grpcio")) == {}


def test_envoy_is_chosen_where_it_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    unset, named = Settings(), Settings(door="grpcio")
    monkeypatch.setattr(choice, "find_obstacle", lambda: "")
    assert choice.choose(unset) == "envoy"
    assert choice.choose(named) == "grpcio"
    monkeypatch.setattr(choice, "find_obstacle", lambda: "no wheel")
    assert choice.choose(unset) == "grpcio"
    assert choice.find_faults(unset) == {}
    secured = Settings(tls_certificate="a", tls_key="b")
    assert choice.find_faults(secured) == {"BALANCE_TLS_CERTIFICATE": "no wheel"}


@pytest.mark.skipif(importlib.util.find_spec("pyvoy") is None, reason="no Envoy")
def test_python_without_a_library_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    import find_libpython

    monkeypatch.setattr(find_libpython, "candidate_paths", lambda: iter(()))
    assert "libpython" in choice.find_obstacle()


@pytest.mark.parametrize(
    ("chosen", "wrong"),
    [
        ({"tls_certificate": "a"}, {"tls_key", "tls_certificate"}),
        ({"tls_key": "b"}, {"tls_key"}),
        ({"tls_client_ca": "c"}, {"tls_client_ca"}),
        ({"tls_certificate": "a", "tls_key": "b"}, {"tls_certificate"}),
    ],
)
def test_tls_belongs_together_and_to_one_door(chosen: dict[str, str], wrong: set[str]) -> None:
    settings, faults = config.read(door="grpcio", **chosen)
    assert faults == {}
    assert choice.find_faults(settings).keys() == {config.variable(name) for name in wrong}


@pytest.mark.skipif(bool(choice.find_obstacle()), reason="no Envoy")
def test_folder_too_long_for_a_socket_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / ("x" * process.SOCKET_PATH_BYTES_MAX)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with pytest.raises(RuntimeError, match="set TMPDIR to a shorter one") as error:
        process.become(Settings(door="envoy"))
    assert worker.start_status(error.value) == supervisor.STARTUP_FAILED


def test_envoy_is_given_the_application_by_its_name() -> None:
    assert f"{application.__name__}:application" == filters.APPLICATION
    assert isinstance(application.application, application.Application)
