"""Makes checkpoints: signed hashes over what was committed, beside the traffic.

A commit knows nothing of them. One worker at a time covers what the log of events names since the
last checkpoint, and then, some at a time, what is older than that log.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import merkle
from balance_service.domain.checkpoints import Checkpoint, Signed
from balance_service.repositories import checkpoints, leaves
from balance_service.repositories.checkpoints import COVERED_AT_ONCE_MAX, Head
from balance_service.repositories.leaves import Covered

SALT_KEY_BYTES = 32
# In a peak all workers together make one checkpoint in so long, until what waits has waited for the
# latter.
REST = timedelta(seconds=3)
PATIENCE = timedelta(minutes=5)
# How long the history leaves the processor to others, in times of what it took.
HISTORY_PAUSES = 4


class Checkpoints:
    """Makes checkpoints.

    Args:
        pool: Where the ledger is.
        signing: The key that signs now, with its id.
        origin: The service's name.
        interval: How old the last checkpoint is at least when the next one is made, unless enough
            for a whole one is waiting.
    """

    def __init__(
        self,
        pool: Pool,
        signing: Callable[[], tuple[str, Ed25519PrivateKey]],
        origin: str,
        interval: timedelta,
    ) -> None:
        self._pool = pool
        self._signing = signing
        self._origin = origin
        self._interval = interval

    async def cover_new(self) -> None:
        """Covers what is due, and leaves most of the time to others, as in a peak, at first."""
        going_on = True
        while going_on:
            began = time.monotonic()
            going_on = await self.cover_events(REST)
            await asyncio.sleep(time.monotonic() - began if going_on else 0)

    async def cover_old(self) -> None:
        """Covers what the log of events does not name, and leaves most of the time to others."""
        going_on = True
        while going_on:
            began = time.monotonic()
            going_on = await self.cover_history()
            pause = (time.monotonic() - began) * HISTORY_PAUSES
            await asyncio.sleep(pause if going_on else 0)

    async def cover_events(self, rest: timedelta = timedelta()) -> bool:
        """Makes one checkpoint over new movements if it is due; whether another may be.

        Args:
            rest: How long after the last one at least, unless what waits has waited for long.
        """
        async with transaction(self._pool) as conn:
            if not await checkpoints.lock(conn):
                return False
            head = await checkpoints.head(conn)
            waiting = head.newest_event - head.last_event
            if waiting <= 0 or not self._is_due(head, waiting, rest):
                return False
            until = head.last_event + min(waiting, COVERED_AT_ONCE_MAX)
            told = await checkpoints.told_by_events(conn, head.last_event, until)
            await self._add(conn, head, told, until)
            return waiting > COVERED_AT_ONCE_MAX

    def _is_due(self, head: Head, waiting: int, rest: timedelta) -> bool:
        age = head.now - head.checkpoint.created_at
        rested = age >= rest or head.now - head.waiting_since >= PATIENCE
        return age >= self._interval or (waiting >= COVERED_AT_ONCE_MAX and rested)

    async def cover_history(self) -> bool:
        """Makes one checkpoint over old movements if any are left; whether there may be more."""
        async with transaction(self._pool) as conn:
            if not await checkpoints.lock(conn):
                return False
            head = await checkpoints.head(conn)
            left = await checkpoints.history(conn, head.last_event)
            if left is None:
                return False
            told = await checkpoints.told_by_journal(conn, left)
            if told is not None:
                await self._add(conn, head, told, head.last_event)
            return True

    async def _add(self, conn: Connection, head: Head, covered: Covered, last_event: int) -> None:
        salt_key = secrets.token_bytes(SALT_KEY_BYTES)
        hashes = await leaves.of_movements(conn, covered, salt_key)
        made = Checkpoint(
            number=head.checkpoint.number + 1,
            origin=self._origin,
            created_at=head.now,
            size=len(hashes),
            root=merkle.root(hashes),
            previous_hash=head.checkpoint.hash(),
        )
        key_id, key = self._signing()
        signed = Signed(made, key_id, key.sign(made.text().encode()))
        await checkpoints.insert(conn, signed, last_event, covered, salt_key, hashes)
