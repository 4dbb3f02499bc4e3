"""Schedules: requests that are carried out later, once or repeatedly, as if their maker called."""

import dataclasses
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from balance_service.domain import ids, recurrence_rules
from balance_service.domain.movements import Kind
from balance_service.domain.recurrence import Recurrence

# The pair of a movement's metadata that names the schedule that made it.
METADATA_KEY = "schedule_id"
# Why an occurrence was skipped that was not tried; the other reasons are those of refusals.
MISSED = "OCCURRENCE_MISSED"


class ScheduleStatus(enum.IntEnum):
    """What a schedule does; the numbers are stored and those of the contract."""

    ACTIVE = 1
    PAUSED = 2
    CANCELLED = 3
    COMPLETED = 4


class OccurrenceOutcome(enum.IntEnum):
    """What became of an occurrence; the numbers are stored and those of the contract."""

    DONE = 1
    SKIPPED = 2
    FAILED = 3


class Retry(NamedTuple):
    """How an occurrence that lacks funds is tried again.

    Args:
        interval: How long after each attempt.
        lasting: For how long after the occurrence.
    """

    interval: timedelta
    lasting: timedelta


@dataclass(frozen=True, slots=True)
class Timing:
    """When a schedule's occurrences are.

    Args:
        starts_at: The first moment at which there may be one; the only one without a rule.
        rule: As it was sent; empty for once.
        zone: The name of the time zone in which the rule counts; empty for once.
        starts_local: The local time of `starts_at` there; None for once.
        last_local: That of the last occurrence, of a rule that counts them.
        ends_at: After which moment there are none; None for no such end.
    """

    starts_at: datetime
    rule: str = ""
    zone: str = ""
    starts_local: datetime | None = None
    last_local: datetime | None = None
    ends_at: datetime | None = None

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The occurrences after a moment, in order."""
        if self.starts_local is None:
            found = iter((self.starts_at,)) if self.starts_at > moment else iter(())
        else:
            rule, zone = recurrence_rules.parse(self.rule), ZoneInfo(self.zone)
            found = Recurrence(rule, self.starts_local, zone, self.last_local).after(moment)
        for each in found:
            if self.ends_at and each > self.ends_at:
                return
            yield each

    def first_after(self, moment: datetime) -> datetime | None:
        """The next occurrence after a moment, if there is one."""
        return next(self.after(moment), None)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A request that is carried out at its occurrences.

    Args:
        principal: Who made it, and as whom it is carried out.
        account_id: The account that pays.
        kind: TRANSFER or PURCHASE.
        request: The request, as of CreateTransfer or CreatePurchase.
        description: What the schedule is for.
        retry: How an occurrence that lacks funds is tried again; None for not at all.
        version: Counts changes.
        next_at: The next occurrence, or the one that is being carried out.
        run_at: When that is to be tried; None if it is not.
        leased_until: Until when a worker has it to itself; None if none has.
        attempts: How often it was tried and lacked funds.
        resumed_at: When it was resumed while a worker had it; None if it was not.
    """

    schedule_id: UUID
    principal: str
    account_id: UUID
    kind: Kind
    request: bytes
    description: str
    timing: Timing
    retry: Retry | None
    status: ScheduleStatus
    version: int
    created_at: datetime
    updated_at: datetime
    next_at: datetime | None
    run_at: datetime | None
    leased_until: datetime | None
    attempts: int
    resumed_at: datetime | None = None

    @property
    def is_live(self) -> bool:
        """Whether it may still be carried out."""
        return self.status in (ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED)

    def changed(
        self, now: datetime, *, description: str, retry: Retry | None, ends_at: datetime | None
    ) -> "Schedule":
        """With other values; completed if nothing comes before its new end."""
        timing = dataclasses.replace(self.timing, ends_at=ends_at)
        after = dataclasses.replace(
            _touched(self, now), description=description, retry=retry, timing=timing
        )
        begun = self.leased_until or self.attempts
        if begun or not (self.next_at and ends_at and self.next_at > ends_at):
            return after
        completed = ScheduleStatus.COMPLETED
        return dataclasses.replace(after, status=completed, next_at=None, run_at=None)

    def paused(self, now: datetime) -> "Schedule":
        """Paused: nothing of it is begun, and what is under way is finished."""
        return self._stopped(ScheduleStatus.PAUSED, now)

    def cancelled(self, now: datetime) -> "Schedule":
        """Cancelled for good, as `paused`."""
        return self._stopped(ScheduleStatus.CANCELLED, now)

    def resumed(self, now: datetime) -> "Schedule":
        """Active again, from its first occurrence after now; what is under way is finished."""
        active = dataclasses.replace(_touched(self, now), status=ScheduleStatus.ACTIVE)
        if self.leased_until:
            return dataclasses.replace(active, resumed_at=now)
        return _with_next(active, now)

    def retried(self, run_at: datetime) -> "Schedule":
        """Its occurrence lacked funds, and is tried again."""
        return dataclasses.replace(
            self, run_at=run_at, leased_until=None, attempts=self.attempts + 1
        )

    def settled(self, occurs_at: datetime) -> "Schedule":
        """An occurrence is decided: on to the next, past a pause that was over meanwhile."""
        moment = max(occurs_at, self.resumed_at or occurs_at)
        return _with_next(dataclasses.replace(self, leased_until=None), moment)

    def retry_at(self, now: datetime) -> datetime | None:
        """When an occurrence that lacks funds now is tried again; None if it is not."""
        if self.retry is None or self.next_at is None:
            return None
        end = self.next_at + self.retry.lasting
        return min(now + self.retry.interval, end) if now < end else None

    def _stopped(self, status: ScheduleStatus, now: datetime) -> "Schedule":
        stopped = dataclasses.replace(_touched(self, now), status=status)
        if self.leased_until:
            # A worker may be moving money: what came of it is recorded once its time is over.
            return stopped
        return _with_next(stopped, now)


class Occurrence(NamedTuple):
    """What became of a schedule at a moment.

    Args:
        reason: Why no money moved; empty if it did.
        movement_id: What was made; None if nothing was.
        attempts: How often it was tried, faults of the service aside.
    """

    schedule_id: UUID
    occurs_at: datetime
    outcome: OccurrenceOutcome
    reason: str
    movement_id: UUID | None
    attempts: int
    decided_at: datetime


class ScheduleChange(NamedTuple):
    """What an event tells of a schedule.

    Args:
        account_id: The account that pays.
        status: The schedule's, since.
        occurrence: What became of one of its occurrences, of an event about that.
    """

    schedule_id: UUID
    account_id: UUID
    status: ScheduleStatus
    occurrence: Occurrence | None = None


def movement_id(principal: str, schedule_id: UUID, occurs_at: datetime) -> UUID:
    """The id of the movement that an occurrence makes, whoever carries it out and how often."""
    return ids.derived_id(principal, ids.occurrence_id(schedule_id, occurs_at))


def _with_next(schedule: Schedule, moment: datetime) -> Schedule:
    """With its first occurrence after a moment, as far as its status lets it have one."""
    status, found = schedule.status, None
    if status is ScheduleStatus.ACTIVE:
        found = schedule.timing.first_after(moment)
        status = ScheduleStatus.ACTIVE if found else ScheduleStatus.COMPLETED
    return dataclasses.replace(
        schedule, status=status, next_at=found, run_at=found, attempts=0, resumed_at=None
    )


def _touched(schedule: Schedule, now: datetime) -> Schedule:
    return dataclasses.replace(schedule, version=schedule.version + 1, updated_at=now)
