"""How much of a worker one principal may have: calls in a second, calls and streams under way."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from balance_service.calls.paces import Paces
from balance_service.calls.strangers import Strangers
from balance_service.domain import errors, retry_after
from balance_service.domain.principals import Principal

# A burst is what comes in so many seconds at the rate.
BURST_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Quota:
    """What one principal may have of a worker; 0 is no limit.

    Args:
        calls_per_second: Calls that may begin in a second.
        calls_max: Unary calls under way.
        streams_max: Streams open.
    """

    calls_per_second: float = 0
    calls_max: int = 0
    streams_max: int = 0


class Quotas:
    """What the principals who call a worker have of it.

    Args:
        users: For each user.
        services: For each sibling service.
        strangers: For each network of those who are not signed in; None for no limit.
    """

    def __init__(self, users: Quota, services: Quota, strangers: Strangers | None = None) -> None:
        self.strangers = strangers or Strangers(0)
        self._users = (users, Paces(users.calls_per_second, BURST_SECONDS))
        self._services = (services, Paces(services.calls_per_second, BURST_SECONDS))
        self._calls: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()

    @contextmanager
    def call(self, principal: Principal) -> Iterator[None]:
        """Counts a call while it is under way.

        Raises:
            QuotaExceeded: The principal has too many, or makes them too fast.
        """
        quota = self._keep_rate(principal)
        with _counted(self._calls, principal.name, "calls_under_way", quota.calls_max):
            yield

    @contextmanager
    def stream(self, principal: Principal) -> Iterator[None]:
        """Counts a stream while it is open; raises QuotaExceeded as `call` does."""
        quota = self._keep_rate(principal)
        with _counted(self._streams, principal.name, "streams_open", quota.streams_max):
            yield

    def _keep_rate(self, principal: Principal) -> Quota:
        quota, paces = self._users if principal.user_id else self._services
        if early_seconds := paces.take(principal.name):
            rate = f"{quota.calls_per_second:g}"
            raise errors.QuotaExceeded("calls_per_second", rate, early_seconds)
        return quota


@contextmanager
def _counted(counts: Counter[str], name: str, quota: str, most: int) -> Iterator[None]:
    if most and counts[name] >= most:
        raise errors.QuotaExceeded(quota, str(most), retry_after.OVERLOADED_SECONDS)
    counts[name] += 1
    try:
        yield
    finally:
        counts[name] -= 1
        if not counts[name]:
            del counts[name]
