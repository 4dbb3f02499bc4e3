"""The simulation of a billion accounts on many servers (benchmarks/shards.py)."""

import dataclasses
import random
from collections import Counter

import pytest

from balance_service.operations import figures
from benchmarks import shards
from benchmarks.zipf import Zipf

SHIPPED = figures.read()
KNOWN = dataclasses.replace(
    SHIPPED,
    **{
        name: figures.Figure(value, SHIPPED.worker_mib.source)
        for name, value in {
            "transfer_postgres_ms": 0.2,
            "coordinator_work_ratio": 2,
            "sharded_work_ratio": 3,
            "hot_movements_per_second": 20_000,
            "failover_seconds": 20,
        }.items()
    },
)
BILLION = 10**9
DRAWN = 20_000


def world(**changes: float) -> shards.World:
    plain = shards.World(BILLION, 0, 0, 32, 1, KNOWN)
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def simulate(rate: int, **changes: float) -> shards.Row:
    (row,) = shards.simulate(world(**changes), [rate], 1, DRAWN)
    return row


@pytest.mark.parametrize("exponent", [0, 0.5, 1, 1.5])
def test_ranks_come_as_often_as_the_law_says(exponent: float) -> None:
    law, rng = Zipf(50, exponent), random.Random(1)
    drawn = Counter(law.draw(rng) for _ in range(100_000))
    assert set(drawn) == set(range(1, 51))
    weights = [rank**-exponent for rank in range(1, 51)]
    for rank, weight in enumerate(weights, 1):
        expected = 100_000 * weight / sum(weights)
        assert law.share(rank) == pytest.approx(weight / sum(weights))
        # Five standard deviations.
        assert drawn[rank] == pytest.approx(expected, abs=5 * expected**0.5)


@pytest.mark.parametrize(("exponent", "share"), [(0, 1e-9), (1, 1 / 21.3005)])
def test_first_of_a_billion(exponent: float, share: float) -> None:
    """Of 1/1 + 1/2 + ... + 1/n, about ln n + 0.5772."""
    assert Zipf(BILLION, exponent).share(1) == pytest.approx(share, rel=1e-3)


def test_same_seed_gives_the_same_table() -> None:
    def table(seed: int) -> str:
        return "\n".join(shards.write(list(shards.simulate(world(skew=1), [10**5], seed, DRAWN))))

    assert table(1) == table(1)
    assert table(1) != table(2)


def test_one_server_is_enough_until_it_is_not() -> None:
    """32 cores, 70 % busy, at 0.2 ms: 112,000 a second. Shards do three times the work."""
    assert simulate(110_000).shards == 1
    assert simulate(114_000).shards == 4
    assert simulate(10**9).shards == 0


def test_coordinator_does_its_part_of_every_transfer_on_shards() -> None:
    """At 0.4 ms a transfer, one of 32 cores, 70 % busy, carries 56,000 a second."""
    assert simulate(110_000).coordinators == 0
    assert simulate(560_000).coordinators == pytest.approx(10)


def test_share_across_shards_follows_from_how_many_there_are() -> None:
    row = simulate(1_000_000)
    assert row.shards == 32
    assert row.across_share == pytest.approx(31 / 32, abs=0.01)
    assert simulate(1_000_000, local_share=1).across_share == 0
    half = simulate(1_000_000, local_share=0.5)
    assert half.across_share == pytest.approx(31 / 64, abs=0.02)


def test_shards_do_not_help_an_account_that_is_hot() -> None:
    assert simulate(10_000, skew=1).hottest_share == pytest.approx(10_000 * 2 / 21.3 / 20_000, 0.01)
    even, uneven = simulate(10**6), simulate(10**6, skew=1)
    assert uneven.unevenness > 5 * even.unevenness
    assert (even.shards, uneven.shards) == (32, 0)


def test_transfer_across_shards_waits_for_the_failover_of_either_and_of_the_coordinator() -> None:
    one = simulate(1000)
    share = 20 / shards.YEAR_SECONDS
    assert one.waiting_share == pytest.approx(share, rel=0.3)
    assert one.disturbed_seconds == pytest.approx(20, rel=0.3)
    many = simulate(1_000_000)
    assert many.waiting_share == pytest.approx(share * (2 + 31 / 32), rel=0.1)
    assert many.disturbed_seconds == pytest.approx(20 * 33, rel=0.1)
    assert simulate(1_000_000, failures=0).waiting_share == 0


def test_failovers_at_once_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "YEARS", 1)
    row = simulate(1_000_000, failures=10_000)
    between = shards.YEAR_SECONDS / 10_000
    away = 1 - (between / (between + 20)) ** 33
    assert row.disturbed_seconds == pytest.approx(shards.YEAR_SECONDS * away, rel=0.05)
