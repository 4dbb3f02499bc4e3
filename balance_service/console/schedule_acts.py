"""What operators do with a schedule: pause it, resume it, cancel it for good."""

from collections.abc import Sequence

from google.protobuf.message import Message

from balance_service._generated.balance.v1 import schedule_pb2
from balance_service.console import schedules
from balance_service.console.act_kinds import (
    REASON,
    Act,
    Change,
    Method,
    Order,
    Subject,
    asking,
)
from balance_service.console.calls import Service
from balance_service.console.rendering import moment, value_label
from balance_service.console.visits import Visit


async def _subject(visit: Visit, target: str) -> Subject:
    schedule = await schedules.read(visit, target)
    return Subject(
        [
            ("description", schedule.description),
            ("status", _status(visit, schedule)),
            ("actor", schedule.principal),
        ]
    )


async def _changes(visit: Visit, order: Order, after: schedule_pb2.Schedule) -> Sequence[Change]:
    """What the schedule does, and when next, before and after."""
    before = await schedules.read(visit, order.target)
    return [
        Change("status", _status(visit, before), _status(visit, after)),
        Change("next_time", _next_time(before), _next_time(after)),
    ]


def _status(visit: Visit, schedule: schedule_pb2.Schedule) -> str:
    return value_label("schedule_status", schedule.status, visit.language)


def _next_time(schedule: schedule_pb2.Schedule) -> str:
    return moment(schedule.next_time) if schedule.HasField("next_time") else ""


def _act(name: str, rpc: str, request: type[Message], *, is_danger: bool = False) -> Act:
    def method(service: Service) -> Method:
        stub: Method = getattr(service.schedules, rpc)
        return stub

    return Act(
        name=name,
        fields=(REASON,),
        subject=_subject,
        method=method,
        request=asking(request, "schedule"),
        changes=_changes,
        path=lambda target: f"{schedules.PATH}/{target}",
        is_danger=is_danger,
    )


ACTS = (
    _act("pause-schedule", "PauseSchedule", schedule_pb2.PauseScheduleRequest),
    _act("resume-schedule", "ResumeSchedule", schedule_pb2.ResumeScheduleRequest),
    _act("cancel-schedule", "CancelSchedule", schedule_pb2.CancelScheduleRequest, is_danger=True),
)
