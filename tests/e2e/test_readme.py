"""The README's tour over HTTP, run as it is written, with its output held to what is written."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from balance_service.config import Settings
from tests.service import free_port

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MARK = "@@@"


def tour() -> list[tuple[str, str]]:
    """The commands of the README's console blocks, each with the output written below it."""
    steps: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = step.splitlines()
            command = [lines.pop(0)]
            while command[-1].endswith("\\"):
                command.append(lines.pop(0))
            steps.append(("\n".join(command), "\n".join(lines)))
    return steps


def normalised(text: str) -> list[object]:
    """An output without what differs from run to run: lines of text, and values of JSON."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    text = re.sub(r'"number":\s*"\d{10}"', '"number":"N"', text).strip()
    pieces: list[object] = []
    while text:
        if text.startswith("{"):
            # As an object and not as text, for maps have no order.
            value, end = json.JSONDecoder().raw_decode(text)
            pieces.append(value)
            text = text[end:].lstrip()
        else:
            line, _, text = text.partition("\n")
            pieces.append(line.strip())
    return pieces


@pytest.fixture
def http_port(service_settings: Settings, tmp_path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """`balance-service run`, and the environment it runs in."""
    grpc_port, port = free_port(), free_port()
    env = service_settings.environment()
    out = tmp_path / "out"
    with out.open("w") as file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "balance_service", "run"),
                *("--port", str(grpc_port), "--http-port", str(port)),
            ],
            env=env,
            stdout=file,
            stderr=file,
        )
    try:
        deadline = time.monotonic() + 120
        while "Try:" not in out.read_text():
            assert time.monotonic() < deadline, out.read_text()
            time.sleep(0.1)
        yield port, {**env, "GRPC_PORT": str(grpc_port)}
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_tour_over_http_is_as_it_is_written(http_port: tuple[int, dict[str, str]]) -> None:
    port, env = http_port
    steps = tour()
    assert len(steps) > 8
    program = f"{sys.executable} -m balance_service"
    script = []
    for command, _ in steps:
        here = command.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
        here = re.sub(
            r"\.venv/bin/balance-service token (\S+?)\)",
            rf"{program} token \1 --target 127.0.0.1:{env['GRPC_PORT']})",
            here,
        )
        script.append(f"{here}\necho; echo '{MARK}'")
    done = subprocess.run(
        ["bash", "-e"], input="\n".join(script), env=env, cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    printed = done.stdout.split(MARK)
    assert printed.pop().strip() == ""
    for (command, written), output in zip(steps, printed, strict=True):
        assert normalised(output) == normalised(written), command
