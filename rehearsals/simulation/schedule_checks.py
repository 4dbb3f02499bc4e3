"""What must be true of schedules in the simulation: each occurrence once, and told of once."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from balance_service.calls.refusals import TABLE
from balance_service.domain import errors, ids, schedules
from balance_service.domain.schedules import (
    Occurrence,
    OccurrenceOutcome,
    Schedule,
    ScheduleChange,
    ScheduleStatus,
)
from balance_service.reading.past import SKEW_MAX
from rehearsals.operation import Operation
from rehearsals.simulation.events import EventReader
from rehearsals.simulation.schedules import Schedules
from rehearsals.simulation.store import EPOCH

LACKING = TABLE[errors.InsufficientFunds].reason
# What was debited that day is not recorded, so that these refusals cannot be checked.
_UNCHECKED = TABLE[errors.DailyLimitExceeded].reason


def operations(run: Schedules) -> list[Operation]:
    """The decided occurrences, as a client's history that the checker takes."""
    return [_operation(run, each) for each in run.store.occurrences.values()]


def find_anomalies(run: Schedules, readers: Sequence[EventReader]) -> Iterator[str]:
    """What was decided otherwise than once, or told otherwise than it was decided."""
    decided = list(run.store.occurrences.values())
    for schedule in run.store.schedules.values():
        yield from (f"{fault}: {schedule}" for fault in _unfinished(run, schedule))
    for occurrence in decided:
        yield from (f"{fault}: {occurrence}" for fault in _faults(run, occurrence))
    for reader in readers:
        changes = [each for each in reader.seen if isinstance(each, ScheduleChange)]
        told = [change.occurrence for change in changes]
        if sorted(map(str, told)) != sorted(map(str, decided)):
            yield f"events of occurrences: {told}; decided: {decided}"


def _unfinished(run: Schedules, schedule: Schedule) -> Iterator[str]:
    if schedule.run_at or schedule.leased_until:
        yield "still to be run"
    if schedule.schedule_id in run.stopped:
        return
    if schedule.status is not ScheduleStatus.COMPLETED:
        yield "never completed"
    for due in schedule.timing.after(EPOCH):
        if (schedule.schedule_id, due) not in run.store.occurrences:
            yield f"due at {due} and not decided"


def _faults(run: Schedules, occurrence: Occurrence) -> Iterator[str]:
    schedule = run.store.schedules[occurrence.schedule_id]
    due, done = occurrence.occurs_at, occurrence.outcome is OccurrenceOutcome.DONE
    if due not in schedule.timing.after(due - timedelta(microseconds=1)):
        yield "none of the schedule's"
    expected = _movement_id(run, occurrence)
    if occurrence.movement_id != (expected if done else None):
        yield "not its own movement"
    if occurrence.decided_at < due - SKEW_MAX:
        yield "decided before its time"
    if occurrence.reason == LACKING:
        retry = schedule.retry
        wanted = OccurrenceOutcome.FAILED if retry else OccurrenceOutcome.SKIPPED
        if occurrence.outcome is not wanted:
            yield "not as its policy says"
        stopped = occurrence.schedule_id in run.stopped
        if retry and not stopped and occurrence.decided_at < due + retry.lasting:
            yield "given up too early"
    for since, until in run.stopped.get(occurrence.schedule_id, ()):
        if _moment(since) + SKEW_MAX < due < _moment(min(until, _FAR)) - SKEW_MAX:
            yield f"due while stopped, from {since} to {until}"


# Seconds, later than any run ends.
_FAR = 1e6


def _moment(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def _movement_id(run: Schedules, occurrence: Occurrence) -> UUID:
    principal = run.store.schedules[occurrence.schedule_id].principal
    return schedules.movement_id(principal, occurrence.schedule_id, occurrence.occurs_at)


def _operation(run: Schedules, occurrence: Occurrence) -> Operation:
    asked_at = (occurrence.occurs_at - EPOCH - SKEW_MAX).total_seconds()
    request_id = str(ids.occurrence_id(occurrence.schedule_id, occurrence.occurs_at))
    accounts, amount_minor = run.moves[occurrence.schedule_id]
    told = Operation("scheduled", tuple(map(str, accounts)), request_id, asked_at)
    told.returned = (occurrence.decided_at - EPOCH + SKEW_MAX).total_seconds()
    told.answer = str(occurrence.movement_id or "")
    told.outcome = "ok" if occurrence.movement_id else "refused"
    told.amount_minor = amount_minor
    if occurrence.reason != _UNCHECKED:
        told.reason = occurrence.reason
    return told
