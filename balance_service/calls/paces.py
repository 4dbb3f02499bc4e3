"""How often each of many may do something.

The rate is held by the generic cell rate algorithm (ITU-T I.371, annex A). Of each one, one number
is kept: when it may have a whole burst again, in whole nanoseconds of the monotonic clock. It is
kept of so many at most: of more, of those that came last.
"""

import time
from collections import OrderedDict

REMEMBERED_MAX = 10_000
_SECOND = 1_000_000_000


class Paces:
    """Keeps each name to a rate, with a burst.

    Args:
        per_second: How often each may; 0 for no limit.
        burst_seconds: As many at once as come in so many seconds at that rate.
    """

    def __init__(self, per_second: float, burst_seconds: int) -> None:
        self.per_second = per_second
        # Rounded down, so that a burst holds as many intervals as it should; one at least.
        self._interval = int(_SECOND / per_second) if per_second else 0
        self._burst = max(burst_seconds * _SECOND, self._interval)
        # The one that came last is the last.
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def take(self, name: str, times: int = 1) -> float:
        """Counts what a name does, unless it is too early.

        Args:
            name: Who does it.
            times: As how often it counts.

        Returns:
            By how many seconds it is too early, and then it is not counted; 0 if it is not.
        """
        full_at, early_seconds = self._look(name, times)
        if not self._interval:
            return 0
        if not early_seconds:
            self._full_at[name] = full_at
        # Whoever is refused has been counted before, and is not forgotten while they come.
        self._full_at.move_to_end(name)
        if len(self._full_at) > REMEMBERED_MAX:
            self._full_at.popitem(last=False)
        return early_seconds

    def wait(self, name: str) -> float:
        """What `take` would return, without counting anything."""
        return self._look(name, 1)[1]

    def _look(self, name: str, times: int) -> tuple[int, float]:
        """When a name may have a whole burst again after more; by how much that is too early."""
        now = time.monotonic_ns()
        full_at = max(self._full_at.get(name, now), now) + self._interval * times
        return full_at, max(full_at - now - self._burst, 0) / _SECOND
