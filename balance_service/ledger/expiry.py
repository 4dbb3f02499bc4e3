"""Gives back what is left of holds whose time is over.

Every worker looks for them. What several find is done once, because the id of an expiry follows
from its hold; and it loses to a capture that was committed before.
"""

from balance_service.database.pool import Pool
from balance_service.domain.commands import Origin
from balance_service.domain.follow_up_commands import Release
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Request
from balance_service.ledger.queue import CommitQueue
from balance_service.repositories import holds, journal

PRINCIPAL = "system:expiry"
# What one request releases, so that it does not keep other requests waiting for long.
RELEASES_MAX = 100


class HoldExpiry:
    """Looks for holds whose time is over.

    Args:
        pool: Where they are found.
        queue: Takes their releases to the ledger.
    """

    def __init__(self, pool: Pool, queue: CommitQueue) -> None:
        self._pool = pool
        self._queue = queue

    async def sweep(self) -> None:
        """Releases all holds whose time is over now.

        Raises:
            Overloaded, Unavailable: As `CommitQueue.submit`; the next sweep goes on.
        """
        found = RELEASES_MAX
        while found == RELEASES_MAX:
            async with self._pool.connection() as conn:
                hold_ids = await holds.expired(conn, RELEASES_MAX)
                placed = await journal.movements(conn, hold_ids) if hold_ids else {}
            releases = [
                Release(Origin(principal=PRINCIPAL, request_id=hold_id), hold, Kind.EXPIRY)
                for hold_id, hold in placed.items()
            ]
            if releases:
                await self._queue.submit(Request(tuple(releases)))
            found = len(releases)
