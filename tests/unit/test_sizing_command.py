"""`balance-service sizing` as it is typed."""

import dataclasses
import json
from pathlib import Path

import pytest

from balance_service.operations import figures
from tests.cli import Typed


@pytest.fixture
def typed() -> Typed:
    return Typed({})


def test_table_tells_needs_figures_and_measurements(typed: Typed) -> None:
    done = typed.run("sizing", "--transfers-per-second", "1000", "--reads-per-second", "50")
    assert done.status == 0
    assert "1,000 transfers x " in done.out
    figure = figures.read().transfer_service_ms
    assert f"transfer_service_ms       {figure.value:g}" in done.out
    assert f"]  {figure.source}" in done.out
    assert not done.err


def test_json_has_an_object_a_need(typed: Typed) -> None:
    done = typed.run("sizing", "--transfers-per-second", "1000", "--output", "json")
    needs = {told["need"]: told for told in map(json.loads, done.out.splitlines())}
    assert needs["servers of Postgres"]["amount"] == 3
    measured = [figure["name"] for figure in needs["memory of the service"]["measured"]]
    assert measured == ["worker_mib"]


def test_what_to_do_is_said_beside_the_numbers(typed: Typed) -> None:
    done = typed.run("sizing", "--transfers-per-second", "50000", "--hottest-share", "1")
    assert done.status == 0
    assert "hottest account: One account cannot take that" in done.err


def test_own_figures_and_settings_are_used(typed: Typed, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    source = figures.Source("mine", "my machine", figures.read().worker_mib.source.date)
    own = dataclasses.replace(figures.read(), worker_mib=figures.Figure(400, source))
    figures.write(path, own)
    done = typed.run("sizing", "--figures", str(path), BALANCE_POOL_SIZE="9")
    assert "2 workers x 400 MiB" in done.out
    assert "my machine: mine" in done.out
    assert "2 workers x BALANCE_POOL_SIZE 9" in done.out


def test_wrong_numbers_are_told_at_once(typed: Typed) -> None:
    done = typed.run("sizing", "--transfers-per-second", "nan", "--batched-share", "2")
    assert done.status == 2
    assert done.err.strip() == (
        "transfers_per_second must be 0 to 1e+09; batched_share must be 0 to 1"
    )


def test_missing_and_wrong_files_are_explained(typed: Typed, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    done = typed.run("sizing", "--figures", str(path))
    assert (done.status, done.err.strip()) == (1, f"{path}: No such file or directory")
    path.write_bytes(b"\xff")
    done = typed.run("sizing", "--figures", str(path))
    assert done.status == 1
    assert "is not TOML" in done.err
