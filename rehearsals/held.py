"""What accounts held at any time, told by the journal alone."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import NamedTuple


class Step(NamedTuple):
    """A movement that makes, captures or gives back a hold.

    Args:
        account: Whose money is held.
        created_at: When; those of one commit share a moment.
        hold: The hold that it makes, or that it is about.
        amount_minor: Its amount.
        places: Whether it makes the hold.
        ends: Whether nothing is held by it afterwards.
    """

    account: str
    created_at: datetime
    hold: str
    amount_minor: int
    places: bool
    ends: bool


def amounts_held(steps: Iterable[Step]) -> dict[str, set[int]]:
    """All that each account may have held at a time.

    The journal does not tell the order of what was committed together, so every order of it counts.
    """
    # What ends a hold comes after what does not.
    ordered = sorted(steps, key=lambda step: (step.created_at, not step.places, step.ends))
    held: dict[str, int] = defaultdict(int)
    left: dict[str, int] = {}
    ever: dict[str, set[int]] = defaultdict(lambda: {0})
    for _, together in groupby(ordered, key=lambda step: step.created_at):
        possible: dict[str, set[int]] = {}
        for step in together:
            change = _change(step, left)
            before = possible.setdefault(step.account, {held[step.account]})
            possible[step.account] = before | {amount + change for amount in before}
            held[step.account] += change
        for account, amounts in possible.items():
            ever[account] |= amounts
    return dict(ever)


def _change(step: Step, left: dict[str, int]) -> int:
    """What a step adds to what its account holds."""
    if step.places:
        left[step.hold] = step.amount_minor
        return step.amount_minor
    taken = left[step.hold] if step.ends else step.amount_minor
    left[step.hold] -= taken
    return -taken
