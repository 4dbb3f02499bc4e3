"""One batch, one transaction: lock and load, plan, write, commit, and only then answer."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog
from psycopg_pool import AsyncConnectionPool

from balance_service.domain import errors, ledger
from balance_service.domain.commands import Batch
from balance_service.domain.ledger import Done, How, Outcome
from balance_service.repositories import failures, journal

ATTEMPTS_MAX = 6
BACKOFF_SECONDS = 0.02

_log = structlog.get_logger()


class Committer:
    """Commits batches on connections of a pool.

    Args:
        pool: Where the connections are from.
    """

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def commit(self, batches: Sequence[Batch]) -> list[list[Outcome]]:
        """Carries out some requests in one transaction.

        A batch that fails as a whole for a passing cause is done again as a whole. If the failure
        hid whether it was committed, the next attempt finds its movements by their ids and posts
        nothing twice.

        Returns:
            For each batch, an outcome for each of its commands.

        Raises:
            Unavailable: Postgres stayed away. Whether the last attempt was committed is unknown.
        """
        attempted: set[UUID] = set()
        for attempt in range(ATTEMPTS_MAX):
            earlier = set(attempted)
            try:
                plan = await self._attempt(batches, attempted)
            except Exception as error:
                if not failures.is_transient(error):
                    raise
                _log.warning("commit_retried", attempt=attempt, cause=type(error).__name__)
                # Full jitter, so that workers which collided do not collide again.
                await asyncio.sleep(random.uniform(0, BACKOFF_SECONDS * 2**attempt))  # noqa: S311
            else:
                return [[_own(o, earlier) for o in answers] for answers in plan.outcomes]
        raise errors.Unavailable

    async def _attempt(self, batches: Sequence[Batch], attempted: set[UUID]) -> ledger.Plan:
        commands = [command for batch in batches for command in batch.commands]
        async with self._pool.connection() as conn, conn.pipeline():
            await journal.begin(conn)
            state = await journal.load_state(conn, commands, again=bool(attempted))
            plan = ledger.plan(state, batches, datetime.now(UTC))
            if plan.movements:
                attempted.update(movement.movement_id for movement in plan.movements)
                await journal.write(conn, plan)
            await journal.commit(conn)
        # Leaving the pipeline waited for Postgres to say that the commit is durable.
        return plan


def _own(outcome: Outcome, earlier: set[UUID]) -> Outcome:
    """Counts a movement that an earlier attempt of ours committed as posted, not as replayed.

    Only for the first command that asked for it: those after it in the batch are its duplicates.
    """
    if not isinstance(outcome, Done) or outcome.movement.movement_id not in earlier:
        return outcome
    earlier.discard(outcome.movement.movement_id)
    return Done(outcome.movement, How.POSTED)
