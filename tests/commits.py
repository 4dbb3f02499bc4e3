"""Commits made straight through the commit path, without a queue or a service."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import pytest

from balance_service.database.pool import Pool
from balance_service.domain.limits import Limits
from balance_service.domain.requests import Request
from balance_service.domain.state import Outcome, Plan
from balance_service.ledger.commit import Committer
from balance_service.ledger.store import PostgresStore
from balance_service.ledger.turns import QueuedRequest
from balance_service.repositories.journal import Journal

# Holds all of them up. Citus takes no FOR UPDATE of several shards.
LOCK_ACCOUNTS: Final = "UPDATE accounts SET currency = currency"


async def commit(
    pool: Pool, *requests: Request, limits: Limits | None = None
) -> list[Sequence[Outcome]]:
    """Carries out some requests in one commit; the outcomes of each."""
    loop = asyncio.get_running_loop()
    waiting = [QueuedRequest(request, loop.create_future()) for request in requests]
    await Committer(PostgresStore(pool), limits or Limits()).commit(waiting)
    return [asked.outcomes for asked in waiting]


def slow_down(monkeypatch: pytest.MonkeyPatch, delay_seconds: Callable[[], float]) -> None:
    """Has commits take longer between writing and committing."""
    real = Journal.write

    async def write(journal: Journal, plan: Plan) -> None:
        await real(journal, plan)
        await _send(journal)
        await asyncio.sleep(delay_seconds())

    monkeypatch.setattr(Journal, "write", write)


def hold_back(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Has commits wait once they are written: whether one is, and what lets them go on."""
    real, written, released = Journal.write, asyncio.Event(), asyncio.Event()

    async def write(journal: Journal, plan: Plan) -> None:
        await real(journal, plan)
        await _send(journal)
        written.set()
        await released.wait()

    monkeypatch.setattr(Journal, "write", write)
    return written, released


async def _send(journal: Journal) -> None:
    """Sends what is waiting in the pipeline."""
    await (await journal._conn.execute("SELECT 1")).fetchone()
