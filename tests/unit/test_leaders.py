"""What a rehearsal says of a leader that was lost (rehearsals/leaders.py)."""

from pathlib import Path

import pytest

from rehearsals.cluster import Cluster
from rehearsals.leaders import Gap, Watch, World, expect_nothing


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("rehearsals.cluster.give_to_postgres", lambda _: None)
    return World(Cluster(tmp_path), [], [])


def test_commit_of_an_old_leader_is_told(world: World) -> None:
    old = world.cluster.nodes[0]
    expect_nothing(world, old, Watch([1, 2, 3], gave_up=4), since=2)
    assert world.anomalies == ["node1 acknowledged a commit after it was lost"]


def test_leader_may_commit_until_another_has_its_place(world: World) -> None:
    expect_nothing(world, world.cluster.nodes[0], Watch([1, 2], gave_up=3), since=3)
    assert not world.anomalies


def test_gap_that_is_too_long_is_told(world: World) -> None:
    world.judge(Gap("host lost", 60.5, 1, 0))
    world.judge(Gap("host lost", 20, 10.5, 0))
    world.judge(Gap("host lost", 60, 10, 0))
    assert world.anomalies == ["host lost: that is too long"] * 2
