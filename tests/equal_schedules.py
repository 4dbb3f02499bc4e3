"""Requests about schedules, equal ones, and different ones."""

from typing import Any

from balance_client import v1
from tests import schedules
from tests.equal_world import Row, World


def scheduled(there: World) -> dict[str, Row]:
    create, ids = v1.CreateScheduleRequest, there.ids
    start = schedules.moment(days=1)

    def daily(amount: str = "3", **other: Any) -> v1.Schedule:
        return schedules.daily(there.other.id, amount, start_time=start, **other)

    spelled = daily("3.00", recurrence_rule="RRULE:FREQ=DAILY;INTERVAL=1")
    spelled.create_transfer.from_account = there.account.upper()
    explicit = daily(insufficient_funds=v1.INSUFFICIENT_FUNDS_POLICY_SKIP)
    explicit.create_transfer.from_account = there.account
    explicit.create_transfer.currency = "RUB"
    first = daily()
    first.create_transfer.from_account = there.account
    reasons: dict[str, Any] = {
        "PauseSchedule": v1.PauseScheduleRequest,
        "ResumeSchedule": v1.ResumeScheduleRequest,
        "CancelSchedule": v1.CancelScheduleRequest,
    }
    one, other = ids["schedule"], ids["second schedule"]
    return {
        "CreateSchedule": Row(
            create(schedule=first),
            [create(schedule=spelled), create(schedule=explicit)],
            {"schedule": create(schedule=daily("4"))},
        ),
        "UpdateSchedule": Row(
            schedules.changed(one),
            [schedules.changed(one.upper())],
            {"description": schedules.changed(one, "Other"), "id": schedules.changed(other)},
        ),
        **{
            name: Row(
                kind(schedule=one, reason="Why"),
                [kind(schedule=one.upper(), reason="Why")],
                {"reason": kind(schedule=one), "schedule": kind(schedule=other, reason="Why")},
            )
            for name, kind in reasons.items()
        },
    }
