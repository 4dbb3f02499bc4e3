"""Tells callers of changes to accounts as they happen, whichever worker committed them.

One query a tick reads all accounts that a worker's callers watch. So the commit path sends no
notifications, and the cost does not depend on how often an account changes.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from uuid import UUID

from balance_service.database.pool import Pool
from balance_service.domain import errors, retry_after
from balance_service.domain.accounts import AccountProfile
from balance_service.repositories import accounts

WATCHERS_MAX = 10_000


@dataclass(eq=False, slots=True)
class _Watcher:
    account_id: UUID
    latest: AccountProfile | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class AccountWatch:
    """The accounts that this worker's callers watch.

    Args:
        pool: One connection of it is used by each `look`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._watchers: set[_Watcher] = set()
        self._closed = False

    async def changes(self, seen: AccountProfile) -> AsyncGenerator[AccountProfile, None]:
        """Yields an account's newest state each time it has changed.

        States between two that a slow caller takes are skipped: one is kept in memory.

        Args:
            seen: The state that the caller has.

        Raises:
            Overloaded: WATCHERS_MAX callers watch already.
            Unavailable: The service is stopping; another worker can be asked.
        """
        if len(self._watchers) >= WATCHERS_MAX:
            raise errors.Overloaded(retry_after.WATCHERS_FULL_SECONDS)
        watcher = _Watcher(seen.account.account_id, seen)
        self._watchers.add(watcher)
        try:
            while not self._closed:
                await watcher.changed.wait()
                watcher.changed.clear()
                if watcher.latest is not None and watcher.latest != seen:
                    seen = watcher.latest
                    yield seen
            raise errors.Unavailable
        finally:
            self._watchers.discard(watcher)

    async def look(self) -> None:
        """Reads the watched accounts, and wakes the watchers of those that have changed."""
        watched = {watcher.account_id for watcher in self._watchers}
        if not watched:
            return
        async with self._pool.connection() as conn:
            profiles = {p.account.account_id: p for p in await accounts.get(conn, list(watched))}
        for watcher in self._watchers:
            profile = profiles.get(watcher.account_id)
            if profile is not None and profile != watcher.latest:
                watcher.latest = profile
                watcher.changed.set()

    def close(self) -> None:
        """Ends every watch with Unavailable, so that its caller turns to another worker."""
        self._closed = True
        for watcher in self._watchers:
            watcher.changed.set()
