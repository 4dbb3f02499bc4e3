"""Verifies the ledger for a caller, who is told of each check as it is made."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple

from balance_service.database import cancelling
from balance_service.database import pool as pools
from balance_service.database.pool import DatabaseUnavailable, Pool, transaction
from balance_service.domain import errors
from balance_service.domain.audit import Action, Actor, AuditEvent
from balance_service.domain.days import Calendar
from balance_service.repositories import audit, incremental_checks, verification
from balance_service.repositories.verification import Report
from balance_service.repositories.verification_steps import Step

# What each check holds the ledger to, by its name.
MEANINGS = {**verification.CHECKS, **incremental_checks.SET_CHECKS}


class Verified(NamedTuple):
    """How a run ended, and the seconds that it took."""

    report: Report
    seconds: float


class Verifier:
    """Verifies the ledger, one run at a time in the whole service.

    Args:
        database_url: Of the ledger: a run has a connection of its own, however long it takes.
        pool: Where its end is recorded.
        calendar: The days on which debits count.
    """

    def __init__(self, database_url: str, pool: Pool, calendar: Calendar) -> None:
        self._url = database_url
        self._pool = pool
        self._calendar = calendar
        self._telling: set[asyncio.Queue[Step | None]] = set()
        self._closed = False

    async def run(self, actor: Actor, *, full: bool) -> AsyncGenerator[Step | Verified, None]:
        """Verifies, and yields each step and at last the end.

        Whoever closes the generator cancels the run and what it asks of Postgres.

        Args:
            actor: For the audit log.
            full: Whether everything is verified, or what is new and a part of what is old.

        Raises:
            VerificationRunning: Another caller's run is under way.
            Unavailable: Postgres is away, or the worker stops.
        """
        if self._closed:
            raise errors.Unavailable
        # Bounded by the number of checks.
        told: asyncio.Queue[Step | None] = asyncio.Queue()
        run = asyncio.create_task(self._verify(actor, told.put_nowait, full=full))
        run.add_done_callback(lambda _run: told.put_nowait(None))
        self._telling.add(told)
        try:
            while step := await told.get():
                yield step
            if not run.done():
                raise errors.Unavailable
            yield run.result()
        finally:
            self._telling.discard(told)
            await cancelling.end([run])

    def close(self) -> None:
        """Ends what is under way with Unavailable, so that the worker can stop."""
        self._closed = True
        for told in self._telling:
            told.put_nowait(None)

    async def _verify(
        self, actor: Actor, report_progress: Callable[[Step], None], *, full: bool
    ) -> Verified:
        began = time.monotonic()
        try:
            own = pools.opened(pools.create(self._url, 1))
            async with own as connections, connections.connection() as conn:
                if full:
                    report = await verification.verify(
                        conn, self._calendar, report_progress, alone=True
                    )
                else:
                    report = await verification.verify_new(conn, report_progress, alone=True)
        except DatabaseUnavailable:
            raise errors.Unavailable from None
        seconds = time.monotonic() - began
        found = report.audited(seconds)
        async with transaction(self._pool) as conn:
            event = AuditEvent(Action.LEDGER_VERIFIED, actor, "ledger", {}, found)
            await audit.record(conn, event)
        return Verified(report, seconds)
