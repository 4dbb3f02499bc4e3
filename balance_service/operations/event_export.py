"""Exports the log of events, in its order, from where it has come to.

The place moves once what is before it was accepted elsewhere: whoever dies in between publishes
some events again, under the same ids.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeAlias

import structlog

from balance_service._generated.balance.v1 import event_pb2
from balance_service.config import Settings
from balance_service.database.pool import DatabaseUnavailable, Pool, PostgresError, transaction
from balance_service.domain import ids
from balance_service.domain.events import Place, Wanted
from balance_service.domain.paging import REACH_MAX
from balance_service.messages import event_messages
from balance_service.operations.acts import connect
from balance_service.repositories import event_exporters, events

PAGE_EVENTS_MAX = 100
LEASE_LIFE = timedelta(seconds=30)
# How long one page may take to be accepted: less than a lease.
PAGE_SECONDS_MAX = 20.0
# How long is waited for what happens next, and after a failure.
PAUSE_SECONDS = 0.25
RETRY_SECONDS = 2.0

_log = structlog.get_logger()

Publish: TypeAlias = Callable[[event_pb2.Event], Awaitable[None]]


class NotPublished(Exception):  # noqa: N818 - it is what it says
    """An event was not accepted, for a cause that may pass."""


class Exporter:
    """One process of an exporter.

    Args:
        pool: Where the log and the place in it are.
        name: Under which the place is kept.
        publish: Returns once an event was accepted; raises NotPublished.
        source: What events name as where they happened.
    """

    def __init__(self, pool: Pool, name: str, publish: Publish, source: str) -> None:
        self._pool = pool
        self._name = name
        self._publish = publish
        self._source = source
        self._holder = ids.new_id()

    async def run(self, stopping: asyncio.Event) -> None:
        """Exports until it is told to stop.

        Raises:
            EventsExpired, EventsLost: Events are missing that it had not come to.
        """
        async with transaction(self._pool) as conn:
            start = await events.after(conn, await events.oldest(conn))
            await event_exporters.ensure(conn, self._name, start)
        while not stopping.is_set():
            pause = PAUSE_SECONDS
            try:
                if await self.export_page():
                    continue
            except (NotPublished, TimeoutError, PostgresError, DatabaseUnavailable) as error:
                _log.warning("events_not_exported", cause=str(error) or type(error).__name__)
                pause = RETRY_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause)
        async with self._pool.connection() as conn:
            await event_exporters.release(conn, self._name, self._holder)

    async def export_page(self) -> bool:
        """Exports what comes next; whether there is more.

        Raises:
            EventsExpired, EventsLost: As `run`.
            NotPublished, TimeoutError: Not all was accepted; the place stays.
        """
        async with self._pool.connection() as conn:
            place = await event_exporters.lease(conn, self._name, self._holder, LEASE_LIFE)
            if place is None:
                return False
            page = await events.page(conn, place, Wanted(), REACH_MAX, PAGE_EVENTS_MAX)
        async with asyncio.timeout(PAGE_SECONDS_MAX):
            for event in page.events:
                await self._publish(event_messages.event(event, self._source))
        return await self._advance(page.end) and page.end.sequence < page.head

    async def _advance(self, place: Place) -> bool:
        async with transaction(self._pool) as conn:
            return await event_exporters.advance(conn, self._name, self._holder, LEASE_LIFE, place)


async def export(settings: Settings, name: str, publish: Publish, stopping: asyncio.Event) -> None:
    """Exports the log of the database that settings name, until it is told to stop.

    Raises:
        DatabaseUnavailable: Postgres is away when it begins.
        EventsExpired, EventsLost: Events are missing that it had not come to.
    """
    async with connect(settings) as pool:
        await Exporter(pool, name, publish, settings.token_issuer).run(stopping)
