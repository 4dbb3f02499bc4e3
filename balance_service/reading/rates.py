"""The exchange rates in force: fetched by whichever process is first, shared through Postgres."""

import functools
from datetime import UTC, datetime, timedelta

import structlog

from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain.pricing import Rates, RateSheet
from balance_service.domain.publishing import doubt
from balance_service.providers.download import RatesError
from balance_service.providers.rates import RatesProvider
from balance_service.repositories import rates

RETRY_AFTER = timedelta(seconds=60)

_log = structlog.get_logger()


class ExchangeRates:
    """Keeps at hand the sheet in force and those whose time is still to come.

    Args:
        pool: Where sheets are kept.
        provider: Where they come from.
        refresh_after: How long after the source has answered it is asked again.
        stale_after: How long after the source should have replaced a sheet it is still charged by,
            counted on the days on which the source publishes.
    """

    def __init__(
        self,
        pool: Pool,
        provider: RatesProvider,
        *,
        refresh_after: timedelta,
        stale_after: timedelta,
    ) -> None:
        self._pool = pool
        self._provider = provider
        self._refresh_after = refresh_after

        @functools.lru_cache(maxsize=64)
        def stale_at(as_of: datetime) -> datetime:
            days = provider.days
            return days.stale_at(as_of, stale_after) if days else datetime.max.replace(tzinfo=UTC)

        self.current = Rates((), stale_at)

    async def past(self, conn: Connection, moment: datetime) -> Rates:
        """The rates that were in force at a past moment."""
        return self._rates(await self._stored(conn, moment, 1))

    async def refresh(self) -> None:
        """Reads the stored sheets, after fetching a new one if it is due and this process's turn.

        A source that cannot be reached, or not be believed, leaves the last sheet in force.
        """
        now = datetime.now(UTC)
        retry = min(RETRY_AFTER, self._refresh_after)
        async with transaction(self._pool) as conn:
            stored = await self._stored(conn, now)
            claimed = await rates.claim_fetch(
                conn, self._provider.source, now, retry=retry, refresh=self._refresh_after
            )
        # Without any, there is nothing to go by until another process has fetched one.
        if claimed or not stored:
            await self._fetch(stored, now)
            async with self._pool.connection() as conn:
                stored = await self._stored(conn, now)
        self.current = self._rates(stored)
        for sheet in stored:
            # The first call loads the calendar, which should not happen while a caller waits.
            self.current.stale_at(sheet.as_of)

    async def _fetch(self, stored: list[RateSheet], now: datetime) -> None:
        """Asks the source and stores what it answers, unless that is not to be believed."""
        answers = [await self._ask()]
        if answers[0] and self._follows_none(answers[0], stored, now):
            answers.insert(0, await self._ask(now))
        async with transaction(self._pool) as conn:
            for sheet in filter(None, answers):
                if self._believes(sheet, stored, now):
                    await rates.put(conn, sheet, now)
                    stored = [*stored, sheet]
            if None not in answers:
                due_at = now + self._refresh_after
                await rates.set_fetch_due(conn, self._provider.source, due_at)

    async def _ask(self, moment: datetime | None = None) -> RateSheet | None:
        try:
            return await self._provider.fetch(moment)
        except RatesError as error:
            _log.warning("rates_not_fetched", source=self._provider.source, cause=str(error))
            return None

    def _follows_none(self, sheet: RateSheet, stored: list[RateSheet], now: datetime) -> bool:
        """Whether the sheet in force is not known, beside one whose time is still to come."""
        days = self._provider.days
        if days is None or sheet.as_of <= now:
            return False
        last = self._rates(stored).in_force(now)
        return last is None or days.publications(last.as_of, sheet.as_of) > 1

    def _believes(self, sheet: RateSheet, stored: list[RateSheet], now: datetime) -> bool:
        days = self._provider.days
        last = max(stored, key=lambda sheet: sheet.as_of, default=None)
        if days and (why := doubt(sheet, last, days, now)):
            _log.error("rates_not_believed", source=sheet.source, cause=why)
            return False
        # A sheet older than the one in force would change what was charged by in the past.
        in_force = self._rates(stored).in_force(now)
        return in_force is None or sheet.as_of >= in_force.as_of

    def _rates(self, sheets: list[RateSheet]) -> Rates:
        return Rates(tuple(sheets), self.current.stale_at)

    async def _stored(
        self, conn: Connection, moment: datetime, limit: int = rates.COMING_MAX
    ) -> list[RateSheet]:
        provider = self._provider
        expires = provider.days is not None
        return await rates.get(conn, provider.source, moment, expires=expires, limit=limit)
