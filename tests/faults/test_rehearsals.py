"""Each rehearsal (`make torture`, `torture-failover`, ...) in short: it runs, and finds nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from rehearsals.cluster import find_missing

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    "arguments",
    [
        [
            "rehearsals.torture",
            "--minutes",
            "0.1",
            "--faults",
            "worker killed,database answers lost",
        ],
        ["rehearsals.failover", "--failovers", "2"],
        ["rehearsals.restarts", "--restarts", "2"],
        ["rehearsals.restore"],
    ],
    ids=lambda arguments: arguments[0].rpartition(".")[2],
)
def test_rehearsal_finds_nothing(arguments: list[str]) -> None:
    rehearse(arguments)


@pytest.mark.long
@pytest.mark.skipif(bool(find_missing()), reason=f"missing: {find_missing()}")
def test_cluster_loses_nothing_with_its_leader() -> None:
    rehearse(["rehearsals.patroni"])


def rehearse(arguments: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-4000:]
    assert " 0 anomalies" in ended.stdout
