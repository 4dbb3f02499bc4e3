"""How much of a worker callers without a token may have: calls in a second from one network."""

import time
from collections.abc import Sequence
from contextvars import ContextVar

from balance_service.calls.paces import Paces
from balance_service.domain import errors
from balance_service.domain.networks import Network, caller_network

# A burst is what comes in so many seconds at the rate: the pages and the sign-ins of an office, and
# no more, for until it is over a flood is answered.
BURST_SECONDS = 2
# As how many calls these count: they mail, compare slow hashes, keep what was tried or list a lot.
COSTS = {
    "SendConfirmationCode": 10,
    "CreateToken": 10,
    "RefreshToken": 2,
    "RevokeToken": 2,
    "ListServices": 2,
    "ListCurrencies": 2,
    "ListRates": 2,
}
# Purposes: of health checks, and of tokens that turned out not to be good.
HEALTH, FORGED = "health", "forged"
_FORGERIES_SEEN_SECONDS = 1.0
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
        self._paces = Paces(calls_per_second, BURST_SECONDS)
        self._forged_until = 0.0

    def see_forgeries(self) -> bool:
        """Whether some network had too many tokens that were not good in the last second."""
        return self._forged_until > time.monotonic()

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
        if self._paces.per_second:
            name = self._name(peer, forwarded_for, purpose)
            self._refuse(self._paces.take(name, calls), purpose)

    def check(self, peer: str, forwarded_for: str, purpose: str = "") -> None:
        """Refuses what `count` would refuse, and counts nothing."""
        if self._paces.per_second:
            self._refuse(self._paces.wait(self._name(peer, forwarded_for, purpose)), purpose)

    def _name(self, peer: str, forwarded_for: str, purpose: str) -> str:
        return f"{caller_network(peer, forwarded_for, self._proxies)} {purpose}"

    def _refuse(self, early_seconds: float, purpose: str) -> None:
        if not early_seconds:
            return
        if purpose == FORGED:
            self._forged_until = time.monotonic() + _FORGERIES_SEEN_SECONDS
        rate = f"{self._paces.per_second:g}"
        raise errors.QuotaExceeded("network_calls_per_second", rate, early_seconds)
