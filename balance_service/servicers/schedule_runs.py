"""Carries out what schedules ask for, when it is due.

Every worker looks for what is due. It leases schedules for a while, has the calls that they stand
for answered as of whoever made them, and records what became of that; no lock is held while money
moves. A worker that dies in between leaves a lease that ends, and then another finds the movement
made by its id, or makes it. A fault that passes is left to the end of the lease as well.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol
from uuid import UUID

import structlog

from balance_service._generated.balance.v1 import purchase_pb2, transfer_pb2
from balance_service.calls.call import Call, correlation_id
from balance_service.calls.dispatch import Calls
from balance_service.calls.methods import Method
from balance_service.calls.refusals import TABLE
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors
from balance_service.domain.events import OF_OCCURRENCES
from balance_service.domain.movements import Kind
from balance_service.domain.principals import Principal
from balance_service.domain.schedules import (
    MISSED,
    Occurrence,
    OccurrenceOutcome,
    Schedule,
    ScheduleChange,
    ScheduleStatus,
    movement_id,
)
from balance_service.messages import schedule_requests
from balance_service.repositories import accounts, cluster_journal, outbox, principals, users
from balance_service.repositories import schedules as repository
from balance_service.telemetry import metrics

# How long a worker has a schedule to itself. It asks the ledger for what it leased within less than
# that, counted from before it had the lease, so that nobody else decides about the occurrence while
# its request may still be carried out.
LEASE = timedelta(seconds=30)
RUN_SECONDS = 10.0
# Of each round; the next goes on at once.
CLAIMED_MAX = 50
# Occurrences that were missed and that one transaction records.
MISSED_MAX = 100
DELETED_MAX = 1_000

# What says nothing of the request, and passes.
_FAULTS = (
    errors.Overloaded,
    errors.QuotaExceeded,
    errors.Unavailable,
    errors.DeadlinePassed,
    errors.RateUnavailable,
    errors.RateStale,
)
_METHODS: Mapping[Kind, Method] = {
    Kind.TRANSFER: Method(
        transfer_pb2.DESCRIPTOR.services_by_name["TransferService"].methods_by_name[
            schedule_requests.METHODS[Kind.TRANSFER]
        ]
    ),
    Kind.PURCHASE: Method(
        purchase_pb2.DESCRIPTOR.services_by_name["PurchaseService"].methods_by_name[
            schedule_requests.METHODS[Kind.PURCHASE]
        ]
    ),
}

_log = structlog.get_logger()


class Times(Protocol):
    """What the settings say of occurrences' times."""

    schedule_catch_up_hours: int
    schedule_occurrences_days: int


class _Result(NamedTuple):
    """What came of a try: a movement, or why there is none."""

    movement_id: UUID | None
    reason: str = ""


class ScheduleRuns:
    """Carries out schedules that are due.

    Args:
        pool: Where they are.
        calls: Answers the calls that they stand for.
        times: How late an occurrence may be, and how long it is kept what became of it.
    """

    def __init__(self, pool: Pool, calls: Calls, times: Times) -> None:
        self._pool = pool
        self._calls = calls
        self._catch_up = timedelta(hours=times.schedule_catch_up_hours)
        self._kept = timedelta(days=times.schedule_occurrences_days)

    async def run_due(self) -> None:
        """Carries out all that is due now; to be called every second."""
        found = CLAIMED_MAX
        while found == CLAIMED_MAX:
            end = asyncio.get_running_loop().time() + RUN_SECONDS
            async with transaction(self._pool) as conn:
                now, due = await repository.claim(conn, LEASE, CLAIMED_MAX)
            await asyncio.gather(*(self._run_or_tell(schedule, now, end) for schedule in due))
            found = len(due)

    async def delete_old(self) -> None:
        """Deletes what became of occurrences longer ago than that is kept."""
        deleted = DELETED_MAX
        while deleted == DELETED_MAX:
            async with transaction(self._pool) as conn:
                deleted = await repository.delete_old_occurrences(conn, self._kept, DELETED_MAX)

    async def _run_or_tell(self, schedule: Schedule, now: datetime, end: float) -> None:
        try:
            await self._run(schedule, now, end)
        except Exception as error:  # noqa: BLE001 - another try follows once the lease is over
            metrics.schedule_ran("fault")
            about = {"schedule": str(schedule.schedule_id), "cause": type(error).__name__}
            _log.warning("schedule_not_run", **about)

    async def _run(self, schedule: Schedule, now: datetime, end: float) -> None:
        """Carries out the occurrence of a leased schedule.

        Args:
            schedule: As it was leased.
            now: Postgres's time then.
            end: The event loop's time after which the ledger is not asked any more.

        Raises:
            Exception: A fault that says nothing of it.
        """
        occurs_at = schedule.next_at
        assert occurs_at, "what is due has an occurrence"
        late = now - occurs_at > self._catch_up and not schedule.attempts
        if late or schedule.status is not ScheduleStatus.ACTIVE:
            await self._settle(schedule, occurs_at, now)
            return
        result = await self._try(schedule, occurs_at, end)
        async with transaction(self._pool) as conn:
            held, now = await _lock_leased(conn, schedule)
            if held is None:
                return
            lacking = result.reason == TABLE[errors.InsufficientFunds].reason
            retry_at = held.retry_at(now) if lacking else None
            if retry_at and held.status is ScheduleStatus.ACTIVE:
                await repository.update(conn, held.retried(retry_at))
                outcome = "retried"
            else:
                decided = _decide(held, occurs_at, result, now)
                await _record(conn, held.settled(occurs_at), [decided])
                outcome = decided.outcome.name.lower()
        metrics.schedule_ran(outcome)

    async def _try(self, schedule: Schedule, occurs_at: datetime, end: float) -> _Result:
        """Has the call answered that an occurrence stands for."""
        method = _METHODS[schedule.kind]
        asked = schedule.request, schedule.schedule_id, occurs_at
        request = schedule_requests.occurrence_request(schedule.kind, *asked)
        try:
            async with self._pool.connection() as conn:
                maker = await _find_principal(conn, schedule.principal)
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                raise errors.DeadlinePassed
            call = Call(method.full_name, correlation_id(""), timeout_seconds=left, caller=maker)
            answer = await self._calls.operate(method, request, call)
        except _FAULTS:
            raise
        except errors.Refusal as refusal:
            return _Result(None, TABLE[type(refusal)].reason)
        made = UUID(getattr(answer, "id"))  # noqa: B009 - a transfer or a purchase
        if made != movement_id(schedule.principal, schedule.schedule_id, occurs_at):
            return _Result(None, TABLE[errors.AlreadyPurchased].reason)
        return _Result(made)

    async def _settle(self, schedule: Schedule, occurs_at: datetime, now: datetime) -> None:
        """Decides without a try about an occurrence that came too late, or is not wanted any more.

        A worker may have made its movement before it died: that is decided under the lock of the
        account, which whoever is still making it holds.
        """
        expected = movement_id(schedule.principal, schedule.schedule_id, occurs_at)
        async with transaction(self._pool) as conn:
            held, _ = await _lock_leased(conn, schedule)
            if held is None:
                return
            await accounts.lock(conn, held.account_id)
            if await cluster_journal.is_posted(conn, expected):
                done = _decide(held, occurs_at, _Result(expected), now)
                await _record(conn, held.settled(occurs_at), [done])
            elif held.status is not ScheduleStatus.ACTIVE:
                await repository.update(conn, held.settled(occurs_at))
            else:
                await self._skip_missed(conn, held, occurs_at, now)

    async def _skip_missed(
        self, conn: Connection, held: Schedule, occurs_at: datetime, now: datetime
    ) -> None:
        """Records the occurrences that nobody was there to carry out, as many as one may."""
        missed = [occurs_at]
        for later in held.timing.after(occurs_at):
            if now - later <= self._catch_up or len(missed) == MISSED_MAX:
                break
            missed.append(later)
        skipped = OccurrenceOutcome.SKIPPED
        decided = [
            Occurrence(held.schedule_id, each, skipped, MISSED, None, 0, now) for each in missed
        ]
        await _record(conn, held.settled(missed[-1]), decided)
        for _ in missed:
            metrics.schedule_ran("skipped")


async def _lock_leased(conn: Connection, leased: Schedule) -> tuple[Schedule | None, datetime]:
    """A schedule that this worker leased, locked, and Postgres's time.

    Nothing where the lease has ended and another worker has it: what that finds is recorded.
    """
    held = await repository.lock(conn, leased.schedule_id)
    now = await repository.read_clock(conn)
    if held is None or held.leased_until != leased.leased_until:
        return None, now
    return held, now


def _decide(held: Schedule, occurs_at: datetime, result: _Result, now: datetime) -> Occurrence:
    """What is recorded of an occurrence."""
    outcome = OccurrenceOutcome.FAILED
    if result.movement_id:
        outcome = OccurrenceOutcome.DONE
    elif result.reason == TABLE[errors.InsufficientFunds].reason and held.retry is None:
        outcome = OccurrenceOutcome.SKIPPED
    made, reason = result
    attempts = held.attempts + 1
    return Occurrence(held.schedule_id, occurs_at, outcome, reason, made, attempts, now)


async def _record(conn: Connection, after: Schedule, decided: list[Occurrence]) -> None:
    """Records decided occurrences of a locked schedule, and what it does since."""
    await repository.update(conn, after)
    for occurrence in decided:
        if not await repository.add_occurrence(conn, occurrence):
            continue
        change = ScheduleChange(after.schedule_id, after.account_id, after.status, occurrence)
        await outbox.record_schedule(conn, OF_OCCURRENCES[occurrence.outcome], change)


async def _find_principal(conn: Connection, name: str) -> Principal:
    """Whoever made a schedule, with the rights that they have now.

    Raises:
        UserDisabled, UserNotFound, UserErased: A user who may not sign in.
        ClientCredentialsInvalid: A sibling service that may not.
    """
    kind, _, key = name.partition(":")
    if kind == "user":
        user = await users.get(conn, UUID(key))
        if user.disabled_at:
            raise errors.UserDisabled
        return Principal(name, user.user_id, user.role)
    scopes = await principals.scopes_of(conn, key)
    if scopes is None:
        raise errors.ClientCredentialsInvalid
    return Principal(name, None, None, scopes)
