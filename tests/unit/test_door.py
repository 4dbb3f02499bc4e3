"""Which door there is, and what is said where there is none."""

import importlib.util
from pathlib import Path

import find_libpython
import pytest
from grpc_health.v1 import health
from pydantic import ValidationError

from balance_service.calls.dispatch import Calls
from balance_service.config import Settings
from balance_service.server import workers
from balance_service.server.door import GrpcioDoor
from balance_service.server.envoy import process


def test_missing_wheel_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find_spec", lambda _: None)
    assert "use grpcio" in process.missing()
    with pytest.raises(RuntimeError, match="pip install") as error:
        process.become(Settings(door="envoy"))
    assert workers.start_status(error.value) == workers.STARTUP_FAILED


@pytest.mark.skipif(importlib.util.find_spec("pyvoy") is None, reason="no Envoy")
def test_python_without_a_library_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_libpython, "candidate_paths", lambda: iter(()))
    assert "libpython" in process.missing()


def test_tls_belongs_together_and_to_one_door(tmp_path: Path) -> None:
    for wrong in ({"tls_certificate": "a"}, {"tls_key": "b"}, {"tls_client_ca": "c"}):
        with pytest.raises(ValidationError):
            Settings.model_validate(wrong)
    settings = Settings(tls_certificate="a", tls_key="b")
    with pytest.raises(ValueError, match="BALANCE_DOOR=envoy"):
        GrpcioDoor(settings, Calls.__new__(Calls), health.aio.HealthServicer())
