"""What a worker does beside answering: health, rates, revocations, roll-up, forgetting."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog

from balance_service.auth.tokens import Tokens
from balance_service.database.pool import Pool, transaction
from balance_service.reading.rates import ExchangeRates
from balance_service.reading.watch import AccountWatch
from balance_service.repositories import credentials, idempotency, system_accounts

RATES_INTERVAL_SECONDS = 60
WATCH_INTERVAL_SECONDS = 0.25
REVOKED_INTERVAL_SECONDS = 2
ROLL_UP_INTERVAL_SECONDS = 5
ROLL_UP_DELTAS_MAX = 10_000
FORGET_INTERVAL_SECONDS = 600

_log = structlog.get_logger()


async def repeatedly(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Does some work for ever, with a pause after each time; a failure is logged and passes."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the next round tries again
            _log.warning("maintenance_failed", work=work.__name__, cause=type(error).__name__)


class Maintenance:
    """Keeps a worker's house in order.

    Args:
        pool: Where the house is.
        tokens: Learns of revocations.
        rates: Fetches what is due.
        watch: Looks for changes.
        answers_kept: How long answers of calls that move no money are kept.
    """

    def __init__(
        self,
        pool: Pool,
        tokens: Tokens,
        rates: ExchangeRates,
        watch: AccountWatch,
        answers_kept: timedelta,
    ) -> None:
        self._pool = pool
        self._tokens = tokens
        self._rates = rates
        self._watch = watch
        self._answers_kept = answers_kept
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Does what answers depend on once, then everything from time to time."""
        await self._tokens.load_revoked()
        await self._rates.refresh()
        for seconds, work in (
            (REVOKED_INTERVAL_SECONDS, self._tokens.load_revoked),
            (RATES_INTERVAL_SECONDS, self._rates.refresh),
            (WATCH_INTERVAL_SECONDS, self._watch.look),
            (ROLL_UP_INTERVAL_SECONDS, self.roll_up),
            (FORGET_INTERVAL_SECONDS, self.forget),
        ):
            self._tasks.append(asyncio.create_task(repeatedly(seconds, work)))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def roll_up(self) -> None:
        """Moves what commits added to system accounts into their balances."""
        moved = ROLL_UP_DELTAS_MAX
        while moved == ROLL_UP_DELTAS_MAX:
            async with transaction(self._pool) as conn:
                moved = await system_accounts.roll_up(conn, ROLL_UP_DELTAS_MAX)

    async def forget(self) -> None:
        """Deletes what has expired."""
        now = datetime.now(UTC)
        async with transaction(self._pool) as conn:
            await idempotency.delete_old(conn, now - self._answers_kept)
            # The last access token of a sign-in outlives it by a day and the leeway at most.
            await credentials.delete_expired(conn, now - timedelta(days=2))
