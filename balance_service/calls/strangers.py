"""How much of a worker callers without a token may have: calls in a second from one network.

The rate is held by the generic cell rate algorithm (ITU-T I.371, annex A), in whole nanoseconds. Of
a network, one number is kept, and of so many networks at most: of more, those that called last.
Whoever has more networks than that is not held by a limit for each of them in any case.
"""

import time
from collections import OrderedDict
from collections.abc import Sequence
from contextvars import ContextVar

from balance_service.domain import errors
from balance_service.domain.networks import Network, caller_network

# A burst is what comes in so many seconds at the rate.
BURST_SECONDS = 5
REMEMBERED_MAX = 10_000
# As how many calls these count: they mail, or compare slow hashes and keep what was tried.
COSTS = {"SendConfirmationCode": 10, "CreateToken": 10, "RefreshToken": 2, "RevokeToken": 2}
# Purposes: of health checks, and of tokens that turned out not to be good.
HEALTH, FORGED = "health", "forged"
_SECOND = 1_000_000_000
# Whether the door has counted the call that this task answers.
COUNTED: ContextVar[bool] = ContextVar("COUNTED", default=False)


class Strangers:
    """Counts calls of those who are not signed in, by network.

    Args:
        calls_per_second: Of one network; 0 for no limit.
        proxies: Networks of the proxies in front, whose word for a caller's address is believed.
    """

    def __init__(self, calls_per_second: float, proxies: Sequence[Network] = ()) -> None:
        self._proxies = proxies
        self._per_second = calls_per_second
        # Rounded down, so that a burst holds as many intervals as it should; one at least.
        self._interval = int(_SECOND / calls_per_second) if calls_per_second else 0
        self._burst = max(BURST_SECONDS * _SECOND, self._interval)
        # By network and purpose: when it may have a whole burst again, by the monotonic clock. The
        # one that called last is the last.
        self._full_at: OrderedDict[str, int] = OrderedDict()
        self._forged_until = 0

    def see_forgeries(self) -> bool:
        """Whether some network had too many tokens that were not good in the last second."""
        return self._forged_until > time.monotonic_ns()

    def count(self, peer: str, forwarded_for: str, purpose: str = "", calls: int = 1) -> None:
        """Counts a call.

        Args:
            peer: The address of the connection that it came by.
            forwarded_for: The header x-forwarded-for.
            purpose: What has a share of its own, so that other calls take nothing from it.
            calls: As how many it counts.

        Raises:
            QuotaExceeded: There were too many; this one does not count.
        """
        if not self._interval:
            return
        network, full_at = self._after_more(peer, forwarded_for, purpose, calls)
        self._full_at[network] = full_at
        self._full_at.move_to_end(network)
        if len(self._full_at) > REMEMBERED_MAX:
            self._full_at.popitem(last=False)

    def check(self, peer: str, forwarded_for: str, purpose: str = "") -> None:
        """Refuses what `count` would refuse, and counts nothing."""
        if self._interval:
            self._after_more(peer, forwarded_for, purpose, 1)

    def _after_more(
        self, peer: str, forwarded_for: str, purpose: str, calls: int
    ) -> tuple[str, int]:
        """A network with a purpose, and when it may have a whole burst again after more calls."""
        network = f"{caller_network(peer, forwarded_for, self._proxies)} {purpose}"
        now = time.monotonic_ns()
        full_at = max(self._full_at.get(network, now), now) + self._interval * calls
        early = full_at - now - self._burst
        if early > 0:
            if purpose == FORGED:
                self._forged_until = now + _SECOND
            quota = "network_calls_per_second"
            raise errors.QuotaExceeded(quota, f"{self._per_second:g}", early / _SECOND)
        return network, full_at
