"""Which moment is over on all accounts, as the primary shows from one look to the next.

The rule is that of `past.settled_everywhere`, for those who do not wait: what is dated before a
moment is dated by transactions that have a number once the clock has passed it. When these have
ended, and no receipt of that time waits for its own number, the moment is over, and all that is
dated before it lies before where the primary's log is flushed from then on.
"""

from datetime import UTC, datetime
from typing import Final, NamedTuple

from balance_service.database.connection import PostgresConnection
from balance_service.reading.past import SKEW_MAX
from balance_service.repositories import reports, sub_accounts

NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Look(NamedTuple):
    """What was seen of the primary; each was looked at after the one before.

    Args:
        now: Its time.
        under_way: The numbers of transactions that had one and had not ended.
        waiting_since: When the oldest receipt was dated that waits for its number; None for none.
    """

    now: datetime
    under_way: frozenset[str]
    waiting_since: datetime | None


class FinalMoments:
    """Follows one primary; another one needs another."""

    def __init__(self) -> None:
        self._final = NEVER
        # A moment that is to be over, and the transactions that it is waited for.
        self._next: tuple[datetime, frozenset[str]] | None = None

    def after(self, look: Look) -> datetime:
        """The latest moment that is known to be over after a look: nothing is dated before it."""
        latest = look.now - SKEW_MAX
        moment, waited_for = self._next or (latest, look.under_way)
        waited_for &= look.under_way
        if waited_for or (look.waiting_since and look.waiting_since < moment):
            self._next = moment, waited_for
        else:
            self._final, self._next = moment, (latest, look.under_way)
        return self._final


async def look(conn: PostgresConnection) -> Look | None:
    """Looks at the primary; None where no standby shows one moment of the ledger, on a cluster."""
    if conn.of_cluster:
        return None
    now = await reports.clock(conn)
    under_way = await reports.under_way(conn)
    return Look(now, under_way, await sub_accounts.waiting_since(conn))
