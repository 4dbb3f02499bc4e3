"""What callers who are not signed in may have of a worker, by network."""

import pytest

from balance_service.calls import paces
from balance_service.calls.strangers import BURST_SECONDS, HEALTH, Strangers
from balance_service.domain import errors
from balance_service.domain.networks import parse_networks
from tests.unit.still_clock import Clock

HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(paces, "time", made)
    return made


def count(counted: Strangers, peer: str, forwarded_for: str = "", purpose: str = "") -> bool:
    try:
        counted.count(peer, forwarded_for, purpose)
    except errors.QuotaExceeded:
        return False
    return True


@pytest.mark.parametrize("per_second", [1, 3, 7, 100, 0.5, 0.01])
def test_a_burst_is_exactly_as_large_as_it_is_said_to_be(clock: Clock, per_second: float) -> None:
    counted, burst = Strangers(per_second), max(int(per_second * BURST_SECONDS), 1)
    assert [count(counted, HERE) for _ in range(burst + 2)] == [True] * burst + [False] * 2
    assert count(counted, THERE)
    with pytest.raises(errors.QuotaExceeded) as refused:
        counted.count(HERE, "")
    assert (refused.value.quota, refused.value.limit) == (
        "network_calls_per_second",
        f"{per_second:g}",
    )
    clock.move(refused.value.retry_after_seconds)
    assert count(counted, HERE)
    assert not count(counted, HERE)
    clock.move(3600)
    assert [count(counted, HERE) for _ in range(burst + 1)] == [True] * burst + [False]


@pytest.mark.usefixtures("clock")
def test_check_refuses_what_would_be_refused_and_counts_nothing() -> None:
    counted = Strangers(1)
    for _ in range(BURST_SECONDS - 1):
        counted.count(HERE, "")
    for _ in range(10):
        counted.check(HERE, "")
    counted.count(HERE, "")
    with pytest.raises(errors.QuotaExceeded):
        counted.check(HERE, "")
    counted.check(HERE, "", HEALTH)


@pytest.mark.usefixtures("clock")
def test_a_network_is_that_which_trusted_proxies_name() -> None:
    counted = Strangers(1, parse_networks("10.0.0.0/8"))
    for _ in range(BURST_SECONDS):
        assert count(counted, "10.0.0.1", HERE)
    assert not count(counted, "10.0.0.2", f"198.51.100.7, {HERE}")
    assert not count(counted, HERE)
    assert count(counted, "10.0.0.1", THERE)
    # Of who is no proxy, the word counts nothing.
    for host in range(BURST_SECONDS):
        assert count(counted, "203.0.113.1", f"198.51.100.{host}")
    assert not count(counted, "203.0.113.1", "198.51.100.9")
    # A household of IPv6 is one network, whatever address of it calls.
    for host in range(BURST_SECONDS):
        assert count(counted, f"2001:db8::{host + 1:x}")
    assert not count(counted, "2001:db8::ffff")


@pytest.mark.usefixtures("clock")
def test_health_checks_have_a_share_of_their_own() -> None:
    counted = Strangers(1)
    for _ in range(BURST_SECONDS):
        assert count(counted, HERE)
    assert not count(counted, HERE)
    for _ in range(BURST_SECONDS):
        assert count(counted, HERE, purpose=HEALTH)
    assert not count(counted, HERE, purpose=HEALTH)
