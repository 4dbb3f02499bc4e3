"""What the commit path needs of a store: transactions that are durable once they are left."""

import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain.days import Calendar
from balance_service.domain.requests import Command
from balance_service.domain.state import Plan, State
from balance_service.domain.sub_accounts import KnownSubAccounts
from balance_service.repositories.journal import Journal
from balance_service.telemetry import metrics, traces


class Transaction(Protocol):
    """What a commit reads and writes."""

    async def load(
        self, commands: Sequence[Command], tried: Collection[UUID]
    ) -> tuple[State, datetime]:
        """Locks the accounts of some commands, and loads all that these depend on.

        Args:
            commands: In any order.
            tried: Ids of movements that an attempt of ours may have committed before.

        Returns:
            The state, and the store's time once the accounts are locked: what is posted now is
            dated by the one clock that all workers share.
        """

    async def write(self, plan: Plan) -> None:
        """Writes a plan with at least one movement."""


class Store(Protocol):
    """What commits are made on."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction, durable once it is left, and rolled back if anything is raised within.

        An error raised on leaving may hide whether it was committed.
        """


class PostgresStore:
    """Commits to Postgres, in as few round trips as pipelining allows.

    Args:
        pool: Each transaction takes one connection of it.
        searchable: The keys of metadata that movements may be found by.
        calendar: The days on which debits count.
    """

    def __init__(
        self,
        pool: Pool,
        searchable: frozenset[str] = frozenset(),
        calendar: Calendar | None = None,
    ) -> None:
        self._pool = pool
        self._searchable = searchable
        self._zone = (calendar or Calendar()).zone_name
        self._known = KnownSubAccounts()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        with ExitStack() as ending:
            async with pools.pipelined_transaction(self._pool) as conn:
                yield Journal(conn, self._searchable, self._known, self._zone)
                began = time.perf_counter()
                ending.enter_context(traces.round_trip("write and COMMIT"))
        metrics.commit_written(time.perf_counter() - began)
