"""Each rehearsal (`make torture`, `torture-failover`, ...) in short: it runs, and finds nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from rehearsals import shards, versions
from rehearsals.cluster import find_missing

ROOT = Path(__file__).parent.parent.parent


def find_obstacle() -> str:
    """Why nothing can be upgraded from the last release; empty if it can."""
    try:
        versions.find_last_release()
    except LookupError as error:
        return str(error)
    return ""


OBSTACLE = find_obstacle()
WITHOUT_CITUS = shards.find_missing()
needs_release = pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE)


@pytest.mark.parametrize(
    "arguments",
    [
        [
            "rehearsals.torture",
            "--minutes",
            "0.1",
            "--faults",
            "worker killed,database answers lost",
            "--quick",
        ],
        ["rehearsals.failover", "--failovers", "1"],
        ["rehearsals.restarts", "--restarts", "1"],
        pytest.param(
            ["rehearsals.upgrade", "--seconds", "0.5", "--clients", "4"],
            marks=[pytest.mark.long, needs_release],
        ),
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


@pytest.mark.long
@pytest.mark.skipif(bool(WITHOUT_CITUS), reason=f"missing: {WITHOUT_CITUS}")
def test_cluster_of_shards_loses_nothing_with_its_servers() -> None:
    rehearse(["rehearsals.citus", "--minutes", "0.1"])


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
