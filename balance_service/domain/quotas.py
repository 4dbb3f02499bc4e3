"""Quotas: so many at once, and then one after each interval (the generic cell rate algorithm).

Of a quota in use, one moment is kept: when it will be full again. A quota that is full is not kept.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Quota:
    """How often something may happen: at most `burst` + t/`interval` times in any time t.

    Args:
        burst: How often at once.
        interval: After how long it may happen once more.
    """

    burst: int
    interval: timedelta

    @property
    def whole(self) -> timedelta:
        """How long it takes to fill from empty."""
        return self.burst * self.interval

    def take(self, full_at: datetime, now: datetime) -> datetime:
        """When it will be full, once one more was taken."""
        return max(full_at, now) + self.interval

    def wait(self, full_at: datetime, now: datetime) -> timedelta:
        """How long until one may be taken; nothing, or less, if that is now."""
        return self.take(full_at, now) - now - self.whole

    def left(self, full_at: datetime, now: datetime) -> int:
        """How many may be taken now."""
        return min(self.burst, int((self.whole - (full_at - now)) / self.interval))
