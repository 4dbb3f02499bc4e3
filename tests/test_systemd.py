"""The units of deploy/systemd: what they run, may do and wait for; and what systemd is told."""

import asyncio
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from balance_service.config import SECRETS, Settings, file_variable
from balance_service.server import supervisor
from balance_service.server.health import serves
from rehearsals import stage
from tests.service import free_port

ROOT = Path(__file__).parent.parent
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
INSTALLED = "/opt/balance/bin"
# Of ten; what is left is that the service has a network and files of the host to read.
EXPOSURE_MAX = 1.5
ANALYZE = shutil.which("systemd-analyze") or ""

needs_systemd = pytest.mark.skipif(not ANALYZE, reason="systemd-analyze is not installed")


def read(name: str) -> dict[str, list[str]]:
    """A unit: the values of each key, which may be given several times."""
    values: dict[str, list[str]] = {}
    path = ROOT / "deploy" / "systemd" / f"{name}.service"
    for line in path.read_text(encoding="utf-8").splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            values.setdefault(key, []).append(value)
    return values


@needs_systemd
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_unit_is_what_systemd_takes_and_may_do_little(path: Path, tmp_path: Path) -> None:
    # Of the program that is installed here.
    here = tmp_path / path.name
    text = path.read_text(encoding="utf-8")
    assert INSTALLED in text
    here.write_text(text.replace(INSTALLED, str(Path(sys.executable).parent)))
    for arguments in (
        ["verify", "--man=no"],
        ["security", "--offline=yes", f"--threshold={EXPOSURE_MAX * 10:.0f}", "--no-pager"],
    ):
        ended = subprocess.run(
            [ANALYZE, *arguments, here], check=False, capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert not ended.stderr, ended.stderr


def test_serving_unit_never_sees_the_owner() -> None:
    serving, migrating = read("balance-service"), read("balance-service-migrate")
    given = {credential.partition(":")[0] for credential in serving["LoadCredential"]}
    assert given == {"secret", "database-url", "smtp-url"}
    owner = "owner-database-url"
    assert owner in {credential.partition(":")[0] for credential in migrating["LoadCredential"]}
    for values in (serving, migrating):
        variables = dict(line.split("=", 1) for line in values["Environment"])
        files = {name: path for name, path in variables.items() if name.startswith("BALANCE_")}
        assert set(files) <= {file_variable(name) for name in SECRETS}
        credentials = {f"%d/{each.partition(':')[0]}" for each in values["LoadCredential"]}
        assert set(files.values()) == credentials


def test_unit_waits_for_the_drain() -> None:
    serving = read("balance-service")
    drain_seconds = Settings.model_fields["drain_seconds"].default
    longest = drain_seconds + supervisor.KILL_AFTER_SECONDS
    assert int(serving["TimeoutStopSec"][0]) > longest
    assert serving["KillMode"] == ["mixed"]
    assert serving["Type"] == ["notify"]


async def test_systemd_is_told_when_the_service_serves_and_stops(
    service_settings: Settings, tmp_path: Path
) -> None:
    port, path = free_port(), tmp_path / "notify"
    settings = service_settings.model_copy(update={"grpc_port": port})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(90)
        told = {"NOTIFY_SOCKET": str(path)}
        with stage.program(settings, tmp_path / "log", environment=told):
            assert await asyncio.to_thread(manager.recv, 4096) == b"READY=1"
            assert await serves(f"127.0.0.1:{port}")
        seconds = settings.drain_seconds + supervisor.KILL_AFTER_SECONDS
        extended = f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}"
        assert manager.recv(4096).decode().split() == ["STOPPING=1", extended]
