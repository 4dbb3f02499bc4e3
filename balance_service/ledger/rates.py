"""The exchange rates in force: fetched by whichever process is first, shared through Postgres."""

from datetime import UTC, datetime, timedelta

import structlog
from psycopg_pool import AsyncConnectionPool

from balance_service.database.pool import transaction
from balance_service.domain.pricing import Rates
from balance_service.providers.download import RatesError
from balance_service.providers.rates import RatesProvider
from balance_service.repositories import rates

_log = structlog.get_logger()


class ExchangeRates:
    """Keeps the last sheet at hand.

    Args:
        pool: Where sheets are kept.
        provider: Where they come from.
        refresh_after: How old a fetched sheet may get before it is fetched again.
        stale_after: Age beyond which a rate is refused.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        provider: RatesProvider,
        *,
        refresh_after: timedelta,
        stale_after: timedelta,
    ) -> None:
        self._pool = pool
        self._provider = provider
        self._refresh_after = refresh_after
        self.current = Rates(None, stale_after)

    async def refresh(self) -> None:
        """Reads the stored sheet, after fetching a new one if it is due.

        A source that cannot be reached leaves the last sheet in force, until it is stale.
        """
        provider = self._provider
        async with self._pool.connection() as conn:
            stored = await rates.get(conn, provider.source, expires=provider.expires)
        now = datetime.now(UTC)
        sheet = stored[0] if stored else None
        if stored is None or now - stored[1] >= self._refresh_after:
            try:
                sheet = await provider.fetch()
            except RatesError as error:
                _log.warning("rates_not_fetched", source=provider.source, cause=str(error))
            else:
                async with transaction(self._pool) as conn:
                    await rates.put(conn, sheet, now)
        self.current = Rates(sheet, self.current.stale_after)
