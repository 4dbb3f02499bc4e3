"""Reads the log of events, and follows it for all callers of a worker at once.

One query a tick reads what is new, and only what somebody follows. Who is behind reads by
themselves, a few at a time, until they have caught up with it. Pages that were just read are kept
for all together, and each follower has one page at a time: a slow one costs no more than another.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from balance_service.database.pool import Pool
from balance_service.domain import errors, retry_after
from balance_service.domain.events import EventPage, Place, Wanted, together
from balance_service.domain.paging import REACH_MAX
from balance_service.repositories import events

FOLLOWERS_MAX = 10_000
# Events of a page that is followed by.
PAGE_EVENTS_MAX = 500
RECENT_PAGES_MAX = 8
# Accounts that a query is given; of more followed accounts, it reads the events of all.
ACCOUNTS_NAMED_MAX = 1_000
# Followers that read by themselves at one time.
CATCHING_UP_MAX = 2
HEARTBEAT_SECONDS = 15.0


@dataclass(eq=False, slots=True)
class _Follower:
    place: Place
    wanted: Wanted
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class _Recent(NamedTuple):
    """A page that was read for all followers, and what was kept of it."""

    page: EventPage
    wanted: Wanted


class EventLog:
    """The log of events, as this worker's callers read it.

    Args:
        pool: One connection of it is used by each `look`, and CATCHING_UP_MAX by followers.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._followers: set[_Follower] = set()
        self._recent: deque[_Recent] = deque(maxlen=RECENT_PAGES_MAX)
        # How far the log was read for all; None while nobody follows.
        self._end: Place | None = None
        self._catching_up = asyncio.Semaphore(CATCHING_UP_MAX)
        self._closed = False

    async def place(self, kept: Place | None, since: datetime | None, *, newest: bool) -> Place:
        """Where a reader begins.

        Args:
            kept: Where they were, if they know.
            since: Otherwise, the moment whose events are the first that they want.
            newest: Without either, whether only what is still to come.

        Raises:
            EventsExpired, EventsLost: Events after `kept` are missing.
        """
        async with self._pool.connection() as conn:
            if kept:
                await events.check(conn, kept)
                return kept
            if since:
                return await events.after(conn, await events.before_time(conn, since))
            if newest:
                return await events.newest(conn)
            return await events.after(conn, await events.oldest(conn))

    async def page(self, after: Place, wanted: Wanted, limit: int) -> EventPage:
        """A part of the log, at most REACH_MAX events of which some are kept.

        Raises:
            EventsExpired, EventsLost: Events after the place are missing.
        """
        async with self._pool.connection() as conn:
            page = await events.page(conn, after, wanted, REACH_MAX, limit)
        return page.seen_by(wanted)[0]

    async def follow(self, after: Place, wanted: Wanted) -> AsyncGenerator[EventPage, None]:
        """Yields what happens after a place, part by part, without an end.

        A page without events says how far the log was looked through: the first one comes at once,
        others where nothing was kept for HEARTBEAT_SECONDS.

        Args:
            after: A place of `place`.
            wanted: Which events to keep.

        Raises:
            Overloaded: FOLLOWERS_MAX callers follow already.
            EventsExpired, EventsLost: Events are missing that the caller has not got yet.
            Unavailable: The service is stopping, or Postgres has lost events; another call finds
                out which.
        """
        if self._closed:
            raise errors.Unavailable
        if len(self._followers) >= FOLLOWERS_MAX:
            raise errors.Overloaded(retry_after.WATCHERS_FULL_SECONDS)
        follower = _Follower(after, wanted)
        self._followers.add(follower)
        try:
            yield EventPage(after, after, (), after.sequence)
            while follower in self._followers:
                yield await self._next(follower)
            raise errors.Unavailable
        finally:
            self._followers.discard(follower)

    async def look(self) -> None:
        """Reads what is new of the log for all who follow it."""
        if not self._followers:
            self._recent.clear()
            self._end = None
            return
        try:
            async with self._pool.connection() as conn:
                if self._end is None:
                    self._end = await events.newest(conn)
                    self._wake_all()
                more = True
                while more and self._followers:
                    readers = [each.wanted for each in self._followers]
                    wanted = together(readers, ACCOUNTS_NAMED_MAX)
                    page = await events.page(conn, self._end, wanted, REACH_MAX, PAGE_EVENTS_MAX)
                    self._publish(page, wanted)
                    more = self._end.sequence < page.head
        except (errors.EventsExpired, errors.EventsLost):
            # Another server took over, which does not have all that was read here.
            self._end_all()

    def close(self) -> None:
        """Ends what is followed with Unavailable, so that callers turn to another worker."""
        self._closed = True
        self._end_all()

    def _publish(self, page: EventPage, wanted: Wanted) -> None:
        """Hands a page to those who have got so far; to others it is there for a while."""
        self._end = page.end
        if page.start == page.end:
            return
        self._recent.append(_Recent(page, wanted))
        touched = {account_id for event in page.events for account_id in event.account_ids}
        owners = {event.account.owner_id for event in page.events if event.account}
        for follower in self._followers:
            theirs = follower.wanted
            # Most are about other accounts than what has just happened.
            unmoved = (
                theirs.account_ids is not None
                and theirs.account_ids.isdisjoint(touched)
                and theirs.owner_ids.isdisjoint(owners)
            )
            if unmoved and follower.place == page.start and wanted.covers(theirs):
                follower.place = page.end
            else:
                follower.changed.set()

    async def _next(self, follower: _Follower) -> EventPage:
        """The next page with events for a follower, or the place after HEARTBEAT_SECONDS."""
        loop = asyncio.get_running_loop()
        start, due = follower.place, loop.time() + HEARTBEAT_SECONDS
        while follower in self._followers and loop.time() < due:
            follower.changed.clear()
            if recent := self._find_recent(follower):
                page = self._take(follower, recent.page)
            elif self._end and follower.place.sequence < self._end.sequence:
                page = self._take(follower, await self._catch_up(follower, self._end))
            else:
                try:
                    await asyncio.wait_for(follower.changed.wait(), due - loop.time())
                except TimeoutError:
                    break
                continue
            if page.events:
                return page
        return EventPage(start, follower.place, (), follower.place.sequence)

    def _find_recent(self, follower: _Follower) -> _Recent | None:
        """The recent page that begins where a follower is, if it has all that they want."""
        for recent in self._recent:
            if recent.page.start == follower.place and recent.wanted.covers(follower.wanted):
                return recent
        return None

    async def _catch_up(self, follower: _Follower, end: Place) -> EventPage:
        reach = min(REACH_MAX, end.sequence - follower.place.sequence)
        async with self._catching_up, self._pool.connection() as conn:
            return await events.page(conn, follower.place, follower.wanted, reach, PAGE_EVENTS_MAX)

    def _take(self, follower: _Follower, page: EventPage) -> EventPage:
        seen, follower.wanted = page.seen_by(follower.wanted)
        follower.place = seen.end
        return seen

    def _wake_all(self) -> None:
        for follower in self._followers:
            follower.changed.set()

    def _end_all(self) -> None:
        self._wake_all()
        self._followers.clear()
        self._recent.clear()
        self._end = None
