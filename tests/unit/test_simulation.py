"""The commit path under everything that can go wrong, seed after seed (rehearsals/simulation)."""

import random
import time

from rehearsals.simulation import simulation

SECONDS = 30


def test_no_seed_loses_doubles_or_reorders_anything() -> None:
    """Other seeds each time; whichever fails is named, and replays."""
    first = random.randrange(10**9)
    ending = time.monotonic() + SECONDS
    seed = first
    while time.monotonic() < ending:
        found = simulation.run(seed)
        assert not found, f"replay with: python -m rehearsals.simulation {seed}"
        seed += 1
    assert seed - first > 100, "the simulation hardly runs"


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
