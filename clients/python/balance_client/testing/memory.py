"""A balance service in memory, which starts in no time and forgets everything.

Its rules are those of the package `balance-ledger-service`, which must be installed here; Postgres
need not be. It knows accounts, deposits, withdrawals, transfers, holds, entries, events and request
ids; what it does not know is UNIMPLEMENTED.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from balance_client import v1
from balance_client.testing.service import NotInstalled, Service

_TOKEN_LIFE = timedelta(days=1)


class InMemoryService(Service):
    """A service in this process."""

    def __init__(self, running: Any) -> None:  # noqa: ANN401 - of a package that may not be there
        super().__init__(running.target, "ephemeral", "any")
        self._running = running

    def _sign_in_somebody(self) -> tuple[str, v1.Token]:
        _, text = self._running.add_user()
        seconds = int(_TOKEN_LIFE.total_seconds())
        token = v1.Token(token=text, expires_in_seconds=seconds)
        token.expire_time.FromDatetime(datetime.now(UTC) + _TOKEN_LIFE)
        return "", token


@contextmanager
def in_memory() -> Iterator[InMemoryService]:
    """Serves as long as the context lasts.

    Raises:
        NotInstalled: The package `balance-ledger-service` is not here.
    """
    try:
        from balance_service.development.in_memory import server  # noqa: PLC0415 - may be missing
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"the service in memory is in balance-ledger-service: pip install it ({error})"
        ) from None
    with server.serving() as running, closing(InMemoryService(running)) as service:
        yield service
