"""Ranks by Zipf's law among any number of them, in no memory."""

import math
import random


class Zipf:
    """Draws ranks from 1, each in proportion to `rank ** -exponent`.

    By rejection-inversion (W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates
    from monotone discrete distributions", 1996), which takes the same time for any number of ranks.

    Args:
        count: The highest rank.
        exponent: How uneven it is; 0 draws all alike.
    """

    def __init__(self, count: int, exponent: float) -> None:
        self._count, self._exponent = count, exponent
        self._low = self._integral(1.5) - 1
        self._high = self._integral(count + 0.5)
        self._near = 2 - self._inverse(self._integral(2.5) - 2**-exponent)

    def draw(self, rng: random.Random) -> int:
        while True:
            area = self._high + rng.random() * (self._low - self._high)
            place = self._inverse(area)
            rank = min(max(int(place + 0.5), 1), self._count)
            if (
                rank - place <= self._near
                or area >= self._integral(rank + 0.5) - rank**-self._exponent
            ):
                return rank

    def share(self, rank: int) -> float:
        """The share of a rank in what is drawn."""
        # By Euler and Maclaurin, to a part in a thousand where there are many ranks.
        first = min(self._count, 1000)
        total = sum(each**-self._exponent for each in range(1, first + 1))
        total += self._integral(self._count + 0.5) - self._integral(first + 0.5)
        return float(rank**-self._exponent / total)

    def _integral(self, place: float) -> float:
        power = 1 - self._exponent
        return math.log(place) if not power else math.expm1(power * math.log(place)) / power

    def _inverse(self, area: float) -> float:
        power = 1 - self._exponent
        return math.exp(area) if not power else math.exp(math.log1p(power * area) / power)
