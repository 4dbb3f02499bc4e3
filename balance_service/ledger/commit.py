"""One commit, one transaction: lock and load, plan, write, commit, and only then answer."""

import asyncio
import dataclasses
import random
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import structlog

from balance_service.domain import errors, ledger
from balance_service.domain.limits import Limits
from balance_service.domain.requests import Request
from balance_service.domain.state import Done, How, Outcome, Plan
from balance_service.ledger.store import Store
from balance_service.repositories import failures
from balance_service.telemetry import metrics, traces

ATTEMPTS_MAX = 6
# Doubled with each attempt: six of them take at most 1.3 seconds of waiting.
BACKOFF_SECONDS = 0.02

_log = structlog.get_logger()


class Waiting(Protocol):
    """A request whose caller waits for its outcomes.

    Args:
        request: What the caller asks of the ledger.
        outcomes: One for each item of the request, once a commit has decided them.
    """

    request: Request
    outcomes: Sequence[Outcome]

    def gone(self) -> bool:
        """Whether nobody waits for the answer any more."""


class Committer:
    """Commits requests to a store.

    Args:
        store: Where the accounts and the journal are.
        limits: What may be debited from accounts.
    """

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits

    async def commit(self, waiting: Sequence[Waiting]) -> None:
        """Carries out some requests in one transaction, and gives each its outcomes.

        A commit that fails as a whole for a passing cause is tried again. If the failure hid
        whether it was done, the next attempt finds its movements by their ids and posts nothing
        twice.

        A request whose caller has stopped waiting is not carried out. That is decided while the
        accounts are locked: a caller who asks again finds the request either committed, or never to
        be committed.

        Args:
            waiting: The requests; each gets an outcome for each of its items.

        Raises:
            Unavailable: Every attempt failed. Whether the last one was committed is unknown.
        """
        tried: set[UUID] = set()
        for attempt in range(ATTEMPTS_MAX):
            try:
                await self._attempt(waiting, tried)
            except Exception as error:
                if not failures.is_transient(error):
                    raise
                metrics.commit_retried()
                _log.warning("commit_retried", attempt=attempt, cause=type(error).__name__)
                # Full jitter, so that workers which collided do not collide again.
                await asyncio.sleep(random.uniform(0, BACKOFF_SECONDS * 2**attempt))  # noqa: S311
            else:
                return
        raise errors.Unavailable

    async def _attempt(self, waiting: Sequence[Waiting], tried: set[UUID]) -> None:
        """Tries to commit once.

        Args:
            waiting: As for `commit`.
            tried: Ids of movements of earlier attempts; those of this one are added before they
                are written, because a failure may hide that they were committed.
        """
        # After a failed attempt nobody may be told that nothing was changed.
        dropped = errors.Unavailable() if tried else errors.DeadlinePassed()
        commands = [command for waiter in waiting for command in waiter.request.commands]
        async with self._store.transaction() as transaction:
            with traces.round_trip("lock and look up"):
                state, now = await transaction.load(commands, tried)
            staying = [waiter for waiter in waiting if not waiter.gone()]
            state = dataclasses.replace(state, limits=self._limits)
            requests = [waiter.request for waiter in staying]
            plan = ledger.plan(state, requests, now)
            await transaction.confirm(requests, plan)
            if plan.movements:
                tried.update(movement.movement_id for movement in plan.movements)
                await transaction.write(plan)
        _count(plan)
        for waiter in waiting:
            waiter.outcomes = [dropped] * len(waiter.request.items)
        for waiter, outcomes in zip(staying, plan.outcomes, strict=True):
            waiter.outcomes = outcomes


def _count(plan: Plan) -> None:
    """Counts what a plan did, once it is durable."""
    outcomes = (outcome for of_request in plan.outcomes for outcome in of_request)
    replays = sum(isinstance(each, Done) and each.how is How.REPLAYED for each in outcomes)
    metrics.committed((movement.kind.name.lower() for movement in plan.movements), replays)
