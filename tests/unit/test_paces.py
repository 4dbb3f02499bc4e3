"""How often each of many may do something."""

import pytest

from balance_service.calls import paces
from balance_service.calls.paces import Paces
from tests.unit.still_clock import Clock

BURST_SECONDS = 5


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(paces, "time", made)
    return made


def test_several_at_once_are_taken_whole_or_not_at_all() -> None:
    kept = Paces(1, BURST_SECONDS)
    assert kept.take("anna", BURST_SECONDS - 1) == 0
    assert kept.take("anna", 2) == pytest.approx(1)
    assert kept.take("anna") == 0
    assert kept.wait("anna") > 0


def test_asking_how_long_to_wait_counts_nothing(clock: Clock) -> None:
    kept = Paces(1, BURST_SECONDS)
    assert [kept.wait("anna") for _ in range(100)] == [0] * 100
    kept.take("anna", BURST_SECONDS)
    clock.move(kept.wait("anna"))
    assert kept.take("anna") == 0


def test_of_many_the_last_are_remembered_and_whoever_goes_on_though_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paces, "REMEMBERED_MAX", 10)
    kept = Paces(1, BURST_SECONDS)
    kept.take("anna", BURST_SECONDS)
    kept.take("boris", BURST_SECONDS)
    for index in range(100):
        assert kept.take("anna") > 0
        assert kept.take(f"stranger {index}") == 0
    assert kept.take("boris") == 0
    assert len(kept._full_at) == 10


def test_without_a_limit_nothing_is_kept() -> None:
    kept = Paces(0, BURST_SECONDS)
    assert not any(kept.take("anna") for _ in range(1000))
    assert not kept._full_at
