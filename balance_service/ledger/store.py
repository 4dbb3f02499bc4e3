"""What the commit path needs of a store: transactions that are durable once they are left."""

import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from balance_service.database import cluster
from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain.days import Calendar
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Plan, State
from balance_service.domain.sub_accounts import KnownSubAccounts
from balance_service.repositories.cluster_journal import ClusterJournal
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

    async def confirm(self, requests: Sequence[Request], plan: Plan) -> None:
        """Makes sure that what is to be told of some requests is all there is to tell.

        Args:
            requests: As planned.
            plan: What was decided on what `load` found.
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
        self._journal: type[Journal] | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        journal = self._journal or await self._choose()
        with ExitStack() as ending:
            async with pools.pipelined_transaction(self._pool) as conn:
                yield journal(conn, self._searchable, self._known, self._zone)
                began = time.perf_counter()
                ending.enter_context(traces.round_trip("write and COMMIT"))
        metrics.commit_written(time.perf_counter() - began)

    async def _choose(self) -> type[Journal]:
        """Which statements the database is asked, once for all."""
        async with self._pool.connection() as conn:
            distributed = await cluster.is_distributed(conn)
        self._journal = ClusterJournal if distributed else Journal
        return self._journal
