"""What the clients log, at DEBUG to the logger `balance_client`: how each attempt of a call ended.

Only names, ids, statuses and times: never a token, a secret, an amount or what a caller wrote.
"""

import logging
import time

from google.protobuf.message import Message

from balance_client.errors import BalanceError

_log = logging.getLogger("balance_client")


class Attempt:
    """One attempt of a call.

    Args:
        method: Its full name, such as `/balance.v1.DepositService/CreateDeposit`.
        request: Whose request id is told; None for a stream.
    """

    def __init__(self, method: str, request: Message | None = None) -> None:
        self._method = method
        self._request_id: str = getattr(request, "request_id", "")
        self._began = time.monotonic()

    def succeeded(self) -> None:
        """Tells that it was answered."""
        self._tell("OK")

    def failed(self, error: BalanceError) -> None:
        """Tells that it was refused, or failed, and by what."""
        self._tell(f"{error.code().name} {error.reason}".rstrip())

    def _tell(self, end: str) -> None:
        milliseconds = (time.monotonic() - self._began) * 1000
        which = f" request_id={self._request_id}" if self._request_id else ""
        _log.debug("%s%s %s in %.1f ms", self._method, which, end, milliseconds)


def tell_pause(method: str, pause_seconds: float) -> None:
    """Tells that a call is about to be repeated."""
    _log.debug("%s is sent again in %.3f s", method, pause_seconds)


def tell_renewal(life_seconds: int) -> None:
    """Tells that an access token came."""
    _log.debug("access token renewed, good for %d s", life_seconds)
