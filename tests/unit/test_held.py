"""What accounts held at any time: in every order of what was committed together."""

from datetime import UTC, datetime, timedelta

from rehearsals.held import Step, amounts_held

START = datetime(2026, 1, 1, tzinfo=UTC)
A = "account a"


def step(second: int, hold: str, amount: int, how: str, account: str = A) -> Step:
    """A step that places, takes a part, or ends."""
    at = START + timedelta(seconds=second)
    return Step(account, at, hold, amount, how == "places", how == "ends")


def test_account_held_each_sum_that_its_holds_had() -> None:
    steps = [
        step(1, "x", 100, "places"),
        step(2, "y", 30, "places"),
        step(3, "x", 40, "part"),
        # A capture that ends its hold gives back the rest.
        step(4, "x", 10, "ends"),
        step(5, "z", 7, "places", "account b"),
    ]
    assert amounts_held(steps) == {A: {0, 100, 130, 90, 30}, "account b": {0, 7}}


def test_what_was_committed_together_counts_in_every_order() -> None:
    steps = [
        step(1, "x", 100, "places"),
        step(2, "x", 100, "ends"),
        step(2, "y", 30, "places"),
    ]
    assert amounts_held(steps) == {A: {0, 100, 130, 30}}


def test_parts_of_a_hold_come_before_its_end() -> None:
    steps = [
        step(1, "x", 60, "ends"),
        step(1, "x", 40, "part"),
        step(1, "x", 100, "places"),
    ]
    # The end takes all that the part left.
    assert amounts_held(steps)[A] >= {0, 100, 60}
    later = [*steps, step(2, "y", 1, "places")]
    assert 1 in amounts_held(later)[A]
