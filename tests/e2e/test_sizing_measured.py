"""`python -m benchmarks sizing --write` measures what `balance-service sizing` reckons with."""

import subprocess
import sys
from pathlib import Path

import pytest

from balance_service.operations import figures

ROOT = Path(__file__).parent.parent.parent
# What one server with one service cannot show.
ELSEWHERE = {"failover_seconds", "coordinator_work_ratio", "sharded_work_ratio"}


@pytest.mark.long
def test_figures_are_measured_and_written(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "sizing", "--seconds", "1", "--write", path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    own, shipped = figures.read(path), figures.read()
    for name in figures.NAMES:
        measured = "--write" in own.get(name).source.command
        assert measured == (name not in ELSEWHERE)
        if not measured:
            assert own.get(name) == shipped.get(name)
    # Bytes are those of the same schema, whatever the machine.
    for name in ("movement_disk_bytes", "entries_key_bytes"):
        assert own.get(name).value == pytest.approx(shipped.get(name).value, rel=0.5)
