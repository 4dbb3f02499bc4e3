"""Schedules, as operators look at them and stop them."""

from balance_service._generated.balance.v1 import schedule_pb2
from balance_service.operations.desk import Desk

STEPS: dict[
    str,
    type[
        schedule_pb2.PauseScheduleRequest
        | schedule_pb2.ResumeScheduleRequest
        | schedule_pb2.CancelScheduleRequest
    ],
] = {
    "pause": schedule_pb2.PauseScheduleRequest,
    "resume": schedule_pb2.ResumeScheduleRequest,
    "cancel": schedule_pb2.CancelScheduleRequest,
}


async def list_all(
    desk: Desk, account: str, principal: str, status: str, limit: int
) -> list[schedule_pb2.Schedule]:
    """Schedules, the newest first.

    Args:
        desk: Where they are.
        account: The account that pays, by its id or number; empty for any.
        principal: Who made them; empty for anybody.
        status: What they do, as a name of the contract; empty for all.
        limit: How many at most.
    """
    request = schedule_pb2.ListSchedulesRequest(principal=principal or "*")
    if status:
        request.status = schedule_pb2.ScheduleStatus.Value(f"SCHEDULE_STATUS_{status}")
    if account:
        request.account = (await desk.account(account)).id
    return await desk.list(request, schedule_pb2.ListSchedulesResponse, "schedules", limit)


async def show(desk: Desk, schedule: str) -> schedule_pb2.Schedule:
    """A schedule."""
    request = schedule_pb2.GetScheduleRequest(schedule=schedule)
    return await desk.ask(request, schedule_pb2.Schedule)


async def occurrences(desk: Desk, schedule: str, limit: int) -> list[schedule_pb2.Occurrence]:
    """What became of a schedule's occurrences, the newest first."""
    request = schedule_pb2.ListOccurrencesRequest(schedule=schedule)
    answer = schedule_pb2.ListOccurrencesResponse
    return await desk.list(request, answer, "occurrences", limit)


async def step(
    desk: Desk, what: str, schedule: str, reason: str, request_id: str
) -> schedule_pb2.Schedule:
    """Pauses, resumes or cancels a schedule, as a name of STEPS says."""
    request = STEPS[what](schedule=schedule, reason=reason, request_id=request_id)
    return await desk.ask(request, schedule_pb2.Schedule)
