"""Splits: one amount for several receivers, whose parts add up to it exactly.

Shares by weight are rounded down, and what is left over goes, a minor unit each, to those whose
exact shares lost most by that; of equals, to the earlier. That is the method of the largest
remainder, Hamilton's for seats in a parliament (Balinski and Young, "Fair Representation", 1982):
each part is within one minor unit of its exact share.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """What one receiver gets, in minor units.

    Args:
        minor: All of it.
        remainder_minor: What of the remainder is in it: 0 or 1.
    """

    minor: int
    remainder_minor: int = 0


def by_weights(total_minor: int, weights: Sequence[int]) -> list[Part]:
    """Splits an amount by weights, in their order.

    Args:
        total_minor: What is split, in minor units, above 0.
        weights: Whole numbers above 0.

    Returns:
        A part for each weight; a share that comes to nothing is a part of 0.
    """
    whole = sum(weights)
    shares = [divmod(total_minor * weight, whole) for weight in weights]
    left_over = total_minor - sum(floor for floor, _ in shares)
    # Sorting is stable: of equal losses the earlier comes first.
    by_loss = sorted(range(len(shares)), key=lambda place: -shares[place][1])
    favoured = frozenset(by_loss[:left_over])
    return [
        Part(floor + (place in favoured), int(place in favoured))
        for place, (floor, _) in enumerate(shares)
    ]


def by_amounts(total_minor: int, amounts: Sequence[int | None]) -> list[Part]:
    """Splits an amount by amounts, of which one may be what the others leave.

    Args:
        total_minor: What is split, in minor units, above 0.
        amounts: In minor units, above 0; at most one is None, and takes the rest.

    Returns:
        A part for each amount. Unless the amounts allow it, they do not add up to the total, or the
        rest is not above 0.
    """
    left = total_minor - sum(minor for minor in amounts if minor is not None)
    return [Part(left if minor is None else minor) for minor in amounts]
