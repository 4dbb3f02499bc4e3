"""The service within what the unit of deploy/systemd leaves it."""

import asyncio
import ctypes.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from balance_service.config import Settings
from rehearsals import stage
from tests.service import free_port

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "balance-service.service"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not (shutil.which("systemd-analyze") and ctypes.util.find_library("seccomp")),
        reason="systemd-analyze and libseccomp are not installed",
    ),
]


def run_confined(
    rules: str, *command: str, log: Path, settings: Settings
) -> subprocess.Popen[bytes]:
    program = Path(__file__).with_name("confined.py")
    with log.open("wb") as written:
        return subprocess.Popen(
            [sys.executable, program, rules, sys.executable, *command],
            env=settings.environment(),
            stderr=written,
        )


@pytest.mark.parametrize("door", ["envoy", "grpcio"])
def test_service_serves_with_the_system_calls_of_its_unit(
    service_settings: Settings, tmp_path: Path, door: str
) -> None:
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    filters = [line.partition("=")[2] for line in lines if line.startswith("SystemCallFilter=")]
    # A `~` goes for the whole line.
    rules = " ".join(
        f"~{word.lstrip('~')}" if each.startswith("~") else word
        for each in filters
        for word in each.split()
    )
    assert "~@resources" in rules
    port, log = free_port(), tmp_path / "log"
    settings = service_settings.model_copy(update={"grpc_port": port, "door": door, "workers": 2})
    serving = run_confined(rules, "-m", "balance_service", "serve", log=log, settings=settings)
    try:
        asyncio.run(stage.wait_until_serving(f"127.0.0.1:{port}"))
    finally:
        serving.terminate()
        assert serving.wait(stage.STOPPING_SECONDS_MAX) == 0, log.read_text()


def test_what_is_left_out_is_refused(service_settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "log"
    rules = "@system-service ~@resources"
    lowered = run_confined(rules, "-c", "import os; os.nice(1)", log=log, settings=service_settings)
    assert lowered.wait(60) == 1
    assert "PermissionError" in log.read_text()
