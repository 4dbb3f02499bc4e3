"""The commit path under everything that can go wrong, seed after seed (rehearsals/simulation)."""

import asyncio
import random
import time
from typing import Any

import pytest

from balance_service.domain import ids
from balance_service.messages import schedule_requests
from rehearsals.simulation import events, simulation, store
from rehearsals.simulation.sub_accounts import SUB_ACCOUNT

SECONDS = 10
SEEDS_MIN = 50


def test_no_seed_loses_doubles_or_reorders_anything() -> None:
    """Other seeds each time; whichever fails is named, and replays."""
    first = random.randrange(10**9)
    ending = time.monotonic() + SECONDS
    seed = first
    while time.monotonic() < ending or seed - first < SEEDS_MIN:
        found = simulation.run(seed)
        assert not found, f"replay with: python -m rehearsals.simulation {seed}"
        seed += 1


def test_a_seed_replays() -> None:
    """Also the same failures at the same times."""
    runs = []
    for _ in range(2):
        run = simulation.Simulation(7)
        with simulation.simulated(7) as runner:
            runner.run(run.run())
        runs.append([(o.invoked, o.returned, o.outcome, o.answer) for o in run.operations])
    assert runs[0] == runs[1]
    assert {outcome for _, _, outcome, _ in runs[0]} >= {"ok", "refused"}


def test_log_ordered_by_the_ids_of_transactions_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two transactions may meet at an account in another order than that of their first locks."""

    async def never(_: events.EventLog) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(events.EventLog, "keep_numbering", never)
    monkeypatch.setattr(events.Row, "order", property(lambda row: row.transaction))
    found = (anomaly for seed in range(300) for anomaly in simulation.run(seed))
    assert any("not in the order of its entries" in anomaly for anomaly in found)


def test_log_that_passes_by_waiting_receipts_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events.Row, "waits", False)
    found = (anomaly for seed in range(100) for anomaly in simulation.run(seed))
    assert any("not in the order of its entries" in anomaly for anomaly in found)


@pytest.mark.long
def test_whoever_numbers_receipts_without_their_locks_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take = store.Locks.take

    async def but_of_sub_accounts(
        locks: store.Locks, key: object, holder: store.SimulatedTransaction
    ) -> None:
        if not (isinstance(key, tuple) and key[0] == SUB_ACCOUNT):
            await take(locks, key, holder)

    monkeypatch.setattr(store.Locks, "take", but_of_sub_accounts)
    assert any(anomaly for seed in range(300) for anomaly in simulation.run(seed))


def test_an_occurrence_that_is_done_twice_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a request id stood for an attempt, and not for the occurrence."""
    asked = schedule_requests.occurrence_request

    def under_another_id(*occurrence: Any) -> Any:
        request = asked(*occurrence)
        request.request_id = str(ids.new_id())
        return request

    monkeypatch.setattr(schedule_requests, "occurrence_request", under_another_id)
    found = (anomaly for seed in range(100) for anomaly in simulation.run(seed))
    assert any("done and never asked" in anomaly for anomaly in found)
