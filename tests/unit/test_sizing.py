"""What a load needs: by examples, and by what must hold for every load."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.config import Settings
from balance_service.domain import errors
from balance_service.operations import figures, sizing
from balance_service.operations.load import BOUNDS, Load

SHIPPED = figures.read()
# Round numbers, which a reader can reckon with.
ROUND = {
    "transfer_service_ms": 0.8,
    "transfer_postgres_ms": 0.2,
    "transfer_log_bytes": 1300,
    "transfers_a_flush": 6,
    "batched_service_ms": 0.1,
    "batched_postgres_ms": 0.04,
    "batched_log_bytes": 900,
    "read_service_ms": 0.2,
    "read_postgres_ms": 0.05,
    "movement_disk_bytes": 500,
    "entries_key_bytes": 100,
    "event_disk_bytes": 50,
    "account_disk_bytes": 1000,
    "worker_mib": 200,
    "alone_p99_ms": 5,
    "half_peak_p99_ms": 45,
    "hot_movements_per_second": 20_000,
}
KNOWN = dataclasses.replace(
    SHIPPED,
    **{name: figures.Figure(value, SHIPPED.get(name).source) for name, value in ROUND.items()},
)
SETTINGS = Settings()
RATES = ("transfers_per_second", "purchases_per_second", "deposits_per_second", "reads_per_second")

loads = st.builds(
    Load,
    **{name: st.floats(0, 10**6) for name in RATES},
    batched_share=st.floats(0, 1),
    batch_size=st.integers(1, 1000),
    accounts=st.integers(1, 10**10),
    years=st.floats(0, 20),
    hottest_share=st.floats(0, 1),
    latency_ms=st.one_of(st.just(0.0), st.floats(1020, 59_000)),
    round_trip_ms=st.floats(0, 1000),
    machine_cores=st.integers(1, 128),
)


def reckon(**load: Any) -> dict[str, sizing.Need]:
    return reckon_load(Load(**load))


def reckon_load(load: Load) -> dict[str, sizing.Need]:
    return {need.name: need for need in sizing.size(load, KNOWN, SETTINGS)}


def amounts(**load: Any) -> dict[str, float]:
    return {name: need.amount for name, need in reckon(**load).items()}


def test_million_transfers_a_day() -> None:
    found = amounts(
        transfers_per_second=100, movements_per_day=1_000_000, accounts=100_000, years=5
    )
    assert found["cores of the service"] == pytest.approx(100 * 0.0008 / 0.5)
    assert found["cores of Postgres"] == pytest.approx(100 * 0.0002 / 0.5)
    assert (found["workers"], found["machines of the service"]) == (2, 2)
    assert found["memory of the service"] == pytest.approx(2 * 200 * 2**20 / 10**9)
    assert found["servers of Postgres"] == 3
    assert found["connections"] == 2 * 8 * 2
    assert found["log (WAL)"] == pytest.approx(0.13)
    assert found["archive of the log"] == pytest.approx(39)
    assert found["flushes of the log"] == pytest.approx(100 / 6)
    assert found["disk"] == pytest.approx(182.5)
    assert found["disk at the end"] == pytest.approx(5 * 182.5 + 0.1 + 30 * 0.05)
    # Each account's last page of the index is less than a month of keys.
    assert found["memory of Postgres"] == pytest.approx(1 + 100_000 * (8192 + 1000) / 10**9)


def test_day_has_a_tenth_of_its_busiest_second_unless_it_is_said() -> None:
    assert amounts(transfers_per_second=100)["disk"] == pytest.approx(
        amounts(transfers_per_second=100, movements_per_day=100 * 8640)["disk"]
    )


def test_items_of_a_batch_share_what_it_costs_once() -> None:
    def cores(**load: Any) -> float:
        return amounts(transfers_per_second=1000, **load)["cores of the service"]

    assert cores(batched_share=1, batch_size=1) == pytest.approx(cores())
    assert cores(batched_share=1, batch_size=7) == pytest.approx(1000 * 0.0002 / 0.5)
    assert cores(batched_share=0.5, batch_size=7) == pytest.approx((0.8 + 0.2) / 2 / 0.5)


def test_latency_decides_how_busy_processors_may_be() -> None:
    """At half of the peak it is what was measured there."""
    load = {"transfers_per_second": 1000.0}
    assert amounts(**load, latency_ms=45) == pytest.approx(amounts(**load))
    assert amounts(**load)["latency (p99)"] == pytest.approx(45)
    sooner = amounts(**load, latency_ms=15)
    assert sooner["latency (p99)"] == pytest.approx(15)
    assert sooner["cores of the service"] == pytest.approx(0.8 / 0.2)
    # A round trip takes of the same time.
    assert amounts(**load, latency_ms=25, round_trip_ms=10)["cores of Postgres"] == pytest.approx(1)


def test_nothing_answers_sooner_than_one_call_alone() -> None:
    with pytest.raises(errors.InvalidFields) as refused:
        reckon(transfers_per_second=1, latency_ms=7, round_trip_ms=2)
    (violation,) = refused.value.violations
    assert violation.field == "latency_ms"
    # 5 ms alone, 2 ms to the standby, and 40 ms x 0.02 / 0.98 in a queue.
    assert "must be 7.82 at least" in violation.description


def test_one_account_takes_so_much_on_whatever_machines() -> None:
    def hottest(**load: Any) -> sizing.Need:
        return reckon(transfers_per_second=40_000, machine_cores=1024, **load)["hottest account"]

    assert hottest(hottest_share=0.25).amount == pytest.approx(50)
    assert not hottest(hottest_share=0.25).advice
    assert "have 3 accounts" in hottest(hottest_share=0.9).advice
    # A thousand take 50 ms, and wait 10 ms for the standby.
    far = hottest(hottest_share=0.25, round_trip_ms=10)
    assert far.amount == pytest.approx(60)


def test_more_than_one_machine_of_postgres_is_said() -> None:
    assert not reckon(transfers_per_second=1000)["cores of Postgres"].advice
    advice = reckon(transfers_per_second=100_000, machine_cores=8)["cores of Postgres"].advice
    assert "40 cores" in advice


def test_many_connections_want_a_pooler() -> None:
    assert not reckon(transfers_per_second=1000)["connections"].advice
    assert "pooler" in reckon(transfers_per_second=100_000)["connections"].advice


@given(load=loads, name=st.sampled_from(RATES), factor=st.floats(1, 3))
def test_more_calls_need_no_less_of_anything(load: Load, name: str, factor: float) -> None:
    more = dataclasses.replace(load, **{name: getattr(load, name) * factor})
    before, after = reckon_load(load), reckon_load(more)
    for need in before:
        assert after[need].amount >= before[need].amount * (1 - 1e-9), need


@given(load=loads, more=st.floats(0, 1000))
def test_farther_standby_needs_no_less_of_anything(load: Load, more: float) -> None:
    load = dataclasses.replace(load, latency_ms=load.latency_ms and load.latency_ms + 1000)
    farther = dataclasses.replace(load, round_trip_ms=min(load.round_trip_ms + more, 2000))
    before, after = reckon_load(load), reckon_load(farther)
    for need in before:
        assert after[need].amount >= before[need].amount * (1 - 1e-9), need


@given(load=loads, factor=st.floats(1, 10))
def test_who_may_wait_longer_needs_no_more_cores(load: Load, factor: float) -> None:
    load = dataclasses.replace(load, latency_ms=load.latency_ms or 2000)
    longer = dataclasses.replace(load, latency_ms=min(load.latency_ms * factor, 60_000))
    before, after = reckon_load(load), reckon_load(longer)
    for need in ("cores of the service", "cores of Postgres", "workers", "connections"):
        assert after[need].amount <= before[need].amount * (1 + 1e-9)
    assert all(math.isfinite(need.amount) for need in after.values())


@given(load=loads, size=st.integers(1, 1000))
def test_larger_batches_need_no_more_of_anything(load: Load, size: int) -> None:
    larger = dataclasses.replace(load, batch_size=max(load.batch_size, size))
    before, after = reckon_load(load), reckon_load(larger)
    for need in before:
        assert after[need].amount <= before[need].amount * (1 + 1e-9), need


@given(load=loads, accounts=st.integers(1, 10**10), years=st.floats(0, 20))
def test_more_accounts_and_years_need_no_less_of_anything(
    load: Load, accounts: int, years: float
) -> None:
    larger = dataclasses.replace(
        load, accounts=max(load.accounts, accounts), years=max(load.years, years)
    )
    before, after = reckon_load(load), reckon_load(larger)
    for need in before:
        assert after[need].amount >= before[need].amount * (1 - 1e-9), need


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1])
def test_number_out_of_its_bounds_is_named(name: str, wrong: float) -> None:
    number: Any = wrong
    with pytest.raises(errors.InvalidFields) as refused:
        reckon_load(dataclasses.replace(Load(), **{name: number}))
    assert [violation.field for violation in refused.value.violations] == [name]


def test_every_number_names_what_it_is_reckoned_from() -> None:
    load = Load(100, 100, 100, 100, 0.5, hottest_share=0.1)
    needs = sizing.size(load, SHIPPED, SETTINGS)
    assert all(need.how for need in needs)
    used = {name for need in needs for name in need.figures}
    # One server's load is not that of a cluster.
    assert used == set(figures.NAMES) - {"coordinator_work_ratio", "sharded_work_ratio"}
    for need in needs:
        told: Any = need.facts(SHIPPED)["measured"]
        assert [each["name"] for each in told] == list(need.figures)
        assert all(each["command"] and each["machine"] and each["date"] for each in told)


def test_figures_that_are_written_are_read(tmp_path: Path) -> None:
    figures.write(tmp_path / "own.toml", KNOWN)
    assert figures.read(tmp_path / "own.toml") == KNOWN


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[figures]", "[figures", "is not TOML"),
        ("[figures]", "[values]", "has no table"),
        ("worker_mib", "worker_mb", "worker_mb, worker_mib"),
        ("value = 200", "value = 0", "the value of worker_mib"),
        ("value = 200", "value = nan", "the value of worker_mib"),
        ("value = 200", "value = true", "the value of worker_mib"),
        ("worker_mib = { value = 200,", "worker_mib = { number = 200,", "worker_mib must have"),
        ('value = 200, source = "1"', 'value = 200, source = "none"', "the source of worker_mib"),
        ("command", "program", "source 1 must have"),
    ],
)
def test_wrong_file_of_figures_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "own.toml"
    one = SHIPPED.worker_mib.source
    alike = {name: figures.Figure(KNOWN.get(name).value, one) for name in figures.NAMES}
    figures.write(path, figures.Figures(**alike))
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        figures.read(path)
