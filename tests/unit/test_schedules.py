"""What a schedule does next (domain/schedules)."""

import dataclasses
from datetime import UTC, datetime, timedelta
from uuid import UUID

from balance_service.domain.movements import Kind
from balance_service.domain.schedules import Schedule, ScheduleStatus, Timing

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAILY = Schedule(
    schedule_id=UUID(int=1),
    principal="user:1",
    account_id=UUID(int=2),
    kind=Kind.TRANSFER,
    request=b"",
    description="",
    timing=Timing(NOON, "FREQ=DAILY", "UTC", NOON.replace(tzinfo=None)),
    retry=None,
    status=ScheduleStatus.ACTIVE,
    version=1,
    created_at=NOON,
    updated_at=NOON,
    next_at=NOON,
    run_at=NOON,
    leased_until=None,
    attempts=0,
)


def after(days: float) -> datetime:
    return NOON + timedelta(days=days)


def test_what_fell_into_a_pause_is_not_made_up_for_by_whoever_had_the_schedule() -> None:
    leased = dataclasses.replace(DAILY, leased_until=after(0.1))
    settled = leased.paused(after(0.05)).resumed(after(2.5)).settled(NOON)
    assert (settled.next_at, settled.run_at) == (after(3), after(3))
    # It is said of one pause, and not of the next occurrence.
    assert settled.settled(after(3)).next_at == after(4)
    assert settled.resumed_at is None


def test_schedule_that_nobody_had_goes_on_after_it_was_resumed() -> None:
    assert DAILY.paused(after(0)).next_at is None
    assert DAILY.paused(after(0)).resumed(after(2.5)).next_at == after(3)
