"""Which few of many like refusals are recorded, for what anybody may cause must not fill a disk."""

from collections import Counter
from collections.abc import Hashable

WINDOW_SECONDS = 600
# In a window, of all and of one network: a worker records at most 14,400 a day.
ALL_MAX = 100
NETWORK_MAX = 10


class Ration:
    """Chooses what is recorded: the first of each kind in a window of time, up to the maxima."""

    def __init__(self) -> None:
        self._window_end = 0.0
        self._recorded: set[Hashable] = set()
        self._by_network: Counter[str] = Counter()
        self._left_out = 0

    def take(self, network: str, kind: Hashable, now: float) -> int | None:
        """Decides about one refusal.

        Args:
            network: Where it was caused.
            kind: What makes two of the same network alike.
            now: Seconds of a clock that does not go back.

        Returns:
            None if it is left out; otherwise how many were since the last that was recorded.
        """
        if now >= self._window_end:
            self._window_end = now + WINDOW_SECONDS
            self._recorded.clear()
            self._by_network.clear()
        key = network, kind
        full = len(self._recorded) >= ALL_MAX or self._by_network.get(network, 0) >= NETWORK_MAX
        if full or key in self._recorded:
            self._left_out += 1
            return None
        self._recorded.add(key)
        self._by_network[network] += 1
        left_out, self._left_out = self._left_out, 0
        return left_out
