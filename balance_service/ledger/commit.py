"""One batch, one transaction: lock and load, plan, write, commit, and only then answer."""

import asyncio
import random
from collections.abc import Callable, Sequence
from uuid import UUID

import structlog

from balance_service.domain import errors, ledger
from balance_service.domain.commands import Batch
from balance_service.domain.ledger import Done, How, Outcome
from balance_service.ledger.store import Store
from balance_service.repositories import failures

ATTEMPTS_MAX = 6
BACKOFF_SECONDS = 0.02

_log = structlog.get_logger()


def _nobody(_: int) -> bool:
    return False


class Committer:
    """Commits batches to a store.

    Args:
        store: Where the accounts and the journal are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def commit(
        self, batches: Sequence[Batch], gone: Callable[[int], bool] = _nobody
    ) -> list[list[Outcome]]:
        """Carries out some requests in one transaction.

        A batch that fails as a whole for a passing cause is done again as a whole. If the failure
        hid whether it was committed, the next attempt finds its movements by their ids and posts
        nothing twice.

        A request whose caller has stopped waiting is not carried out. That is decided under the
        accounts' locks, so that whoever asks again later finds it done or never done.

        Args:
            batches: The requests.
            gone: Whether nobody waits for a batch's answer any more, by its place.

        Returns:
            For each batch, an outcome for each of its commands.

        Raises:
            Unavailable: Postgres stayed away. Whether the last attempt was committed is unknown.
        """
        attempted: set[UUID] = set()
        for attempt in range(ATTEMPTS_MAX):
            earlier = set(attempted)
            try:
                answers = await self._attempt(batches, gone, attempted)
            except Exception as error:
                if not failures.is_transient(error):
                    raise
                _log.warning("commit_retried", attempt=attempt, cause=type(error).__name__)
                # Full jitter, so that workers which collided do not collide again.
                await asyncio.sleep(random.uniform(0, BACKOFF_SECONDS * 2**attempt))  # noqa: S311
            else:
                return [[_own(o, earlier) for o in outcomes] for outcomes in answers]
        raise errors.Unavailable

    async def _attempt(
        self, batches: Sequence[Batch], gone: Callable[[int], bool], attempted: set[UUID]
    ) -> list[list[Outcome]]:
        commands = [command for batch in batches for command in batch.commands]
        dropped = errors.Unavailable() if attempted else errors.DeadlinePassed()
        answers: list[list[Outcome]] = [[dropped] * len(batch.commands) for batch in batches]
        async with self._store.transaction() as transaction:
            state, now = await transaction.load(commands, again=bool(attempted))
            wanted = [place for place in range(len(batches)) if not gone(place)]
            plan = ledger.plan(state, [batches[place] for place in wanted], now)
            if plan.movements:
                attempted.update(movement.movement_id for movement in plan.movements)
                await transaction.write(plan)
        for place, outcomes in zip(wanted, plan.outcomes, strict=True):
            answers[place] = outcomes
        return answers


def _own(outcome: Outcome, earlier: set[UUID]) -> Outcome:
    """Counts a movement that an earlier attempt of ours committed as posted, not as replayed.

    Only for the first command that asked for it: those after it in the batch are its duplicates.
    """
    if not isinstance(outcome, Done) or outcome.movement.movement_id not in earlier:
        return outcome
    earlier.discard(outcome.movement.movement_id)
    return Done(outcome.movement, How.POSTED)
