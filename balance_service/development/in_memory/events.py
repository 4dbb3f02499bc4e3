"""The log of events in memory: EventService's own code over a list, of which nothing expires."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from datetime import datetime
from uuid import UUID

from balance_service.development.in_memory.ledger import MemoryLedger, no_pool
from balance_service.domain import errors
from balance_service.domain.events import EventPage, Place, Wanted
from balance_service.messages.page_tokens import PageTokens
from balance_service.reading.events import HEARTBEAT_SECONDS, EventLog
from balance_service.servicers import event

SOURCE = "in-memory"
LOOK_AGAIN_SECONDS = 0.01


class MemoryEventLog(EventLog):
    """The log of events, as their readers see it.

    Args:
        ledger: Has them.
    """

    def __init__(self, ledger: MemoryLedger) -> None:
        super().__init__(no_pool())
        self._ledger = ledger
        self._beginning = Place(0, UUID(int=0))

    async def place(self, kept: Place | None, since: datetime | None, *, newest: bool) -> Place:
        """As of the log: where a reader begins."""
        told = self._ledger.events
        if kept:
            if kept.sequence > len(told) or self._at(kept.sequence) != kept:
                raise errors.EventsLost(str(len(told)))
            return kept
        if since:
            earlier = [event.place.sequence for event in told if event.time < since]
            return self._at(max(earlier, default=0))
        return self._at(len(told) if newest else 0)

    async def page(self, after: Place, wanted: Wanted, limit: int) -> EventPage:
        """As of the log: what follows a place."""
        page, _ = self._rest(after).seen_by(wanted)
        if len(page.events) < limit:
            return page
        kept = page.events[:limit]
        return page._replace(events=kept, end=kept[-1].place)

    async def follow(self, after: Place, wanted: Wanted) -> AsyncGenerator[EventPage, None]:
        """As of the log: what happens after a place, without an end."""
        loop = asyncio.get_running_loop()
        yield EventPage(after, after, (), after.sequence)
        due = loop.time() + HEARTBEAT_SECONDS
        while True:
            page, wanted = self._rest(after).seen_by(wanted)
            after = page.end
            if page.events or loop.time() >= due:
                yield page
                due = loop.time() + HEARTBEAT_SECONDS
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    def _rest(self, after: Place) -> EventPage:
        self._ledger.expire()
        told = self._ledger.events
        return EventPage(after, self._at(len(told)), told[after.sequence :], len(told))

    def _at(self, sequence: int) -> Place:
        return self._ledger.events[sequence - 1].place if sequence else self._beginning


class EventServicer(event.EventServicer):
    """Tells of what was committed.

    Args:
        ledger: Where that was.
    """

    def __init__(self, ledger: MemoryLedger) -> None:
        tokens = PageTokens(secrets.token_bytes(32))
        super().__init__(no_pool(), MemoryEventLog(ledger), tokens, SOURCE)
        self._ledger = ledger

    async def accounts_of(self, owner_id: UUID) -> frozenset[UUID]:
        """As of the service, from memory."""
        owned = self._ledger.owned.items()
        return frozenset(account_id for (owner, _), account_id in owned if owner == owner_id)
