"""Looks once a second at what is measured by looking: what is under way, pools, the process."""

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from balance_service.calls.dispatch import Calls
from balance_service.database.pool import Pool
from balance_service.ledger.queue import CommitQueue
from balance_service.reading.rates import ExchangeRates
from balance_service.telemetry import metrics

INTERVAL_SECONDS = 1.0
# A timer that is timed, for how late it is.
TIMER_SECONDS = 0.05
_STATM = Path("/proc/self/statm")


class Sampling:
    """A worker's looks at itself.

    Args:
        calls: Know what is under way.
        queue: Knows what waits for commits.
        pools: Connections to Postgres, by the name that their figures have.
        rates: Know how old exchange rates are.
    """

    def __init__(
        self, calls: Calls, queue: CommitQueue, pools: Mapping[str, Pool], rates: ExchangeRates
    ) -> None:
        self._calls = calls
        self._queue = queue
        self._pools = pools
        self._rates = rates
        self._cpu_seconds = 0.0
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Looks from then on."""
        self._looking = asyncio.create_task(self._look_on())

    async def stop(self) -> None:
        """Looks no more, once it has shown the rest."""
        metrics.pass_on()
        if self._looking:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking

    async def _look_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TIMER_SECONDS
            await asyncio.sleep(TIMER_SECONDS)
            metrics.pass_on()
            self._look_at_process(max(loop.time() - due, 0.0))
            self._look_at_work()
            for name, pool in self._pools.items():
                _look_at_pool(name, pool)
            self._look_at_rates()
            await asyncio.sleep(INTERVAL_SECONDS - TIMER_SECONDS)

    def _look_at_process(self, loop_delay: float) -> None:
        cpu_seconds = time.process_time()
        metrics.look_at_process(
            cpu_seconds=cpu_seconds - self._cpu_seconds,
            memory_bytes=_resident_bytes(),
            loop_delay=loop_delay,
        )
        self._cpu_seconds = cpu_seconds

    def _look_at_work(self) -> None:
        metrics.look_at_work(
            serving=self._calls.serving,
            calls=self._calls.under_way,
            streams=self._calls.streams_open,
            queued=self._queue.commands_waiting,
            commits=self._queue.commits_under_way,
        )

    def _look_at_rates(self) -> None:
        current = self._rates.current
        sheet = current.in_force(datetime.now(UTC))
        if sheet and sheet.expires:
            metrics.look_at_rates(
                sheet.source,
                published=sheet.as_of.timestamp(),
                stale=current.stale_at(sheet.as_of).timestamp(),
            )


def _look_at_pool(name: str, pool: Pool) -> None:
    found = pool.pop_stats()
    metrics.look_at_pool(
        name,
        size=found["pool_size"],
        idle=found["pool_available"],
        maximum=found["pool_max"],
        waiting=found["requests_waiting"],
        waited=found.get("requests_wait_ms", 0) / 1000,
        timeouts=found.get("requests_errors", 0),
    )


def _resident_bytes() -> int:
    """The process's resident memory; 0 where there is no /proc."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
