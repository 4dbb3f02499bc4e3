"""Pages of schedules: those that there are, and what became of the occurrences of one."""

from starlette.responses import Response

from balance_service._generated.balance.v1 import schedule_pb2
from balance_service.console import queries
from balance_service.console.visits import Visit

PATH = "/schedules"
PAGE_SIZE = 25
NEXT_SHOWN = 5


async def read(visit: Visit, schedule: str) -> schedule_pb2.Schedule:
    """A schedule.

    Raises:
        Refused: There is none.
    """
    request = schedule_pb2.GetScheduleRequest(schedule=schedule)
    return await visit.ask(visit.service.schedules.GetSchedule, request)


async def show_all(visit: Visit) -> Response:
    """Everybody's schedules, newest first, with filters."""
    asked = visit.query
    status = queries.enum_value("schedule_status", asked.get("status", ""))
    request = schedule_pb2.ListSchedulesRequest(
        account=asked.get("account", ""),
        principal=asked.get("principal", "") or "*",
        status=schedule_pb2.ScheduleStatus.ValueType(status),
        page_size=PAGE_SIZE,
        page_token=asked.get("page", ""),
    )
    listed = await visit.ask(visit.service.schedules.ListSchedules, request)
    return visit.page(
        "schedules.html", schedules=listed.schedules, asked=asked, next_page=listed.next_page_token
    )


async def show(visit: Visit) -> Response:
    """A schedule, its next occurrences, and what became of those before, newest first."""
    asked = visit.query
    schedule = await read(visit, visit.part("schedule"))
    request = schedule_pb2.ListOccurrencesRequest(
        schedule=schedule.id,
        next=NEXT_SHOWN,
        page_size=PAGE_SIZE,
        page_token=asked.get("page", ""),
    )
    listed = await visit.ask(visit.service.schedules.ListOccurrences, request)
    return visit.page(
        "schedule.html",
        schedule=schedule,
        to_come=listed.next_times,
        occurrences=listed.occurrences,
        asked=asked,
        next_page=listed.next_page_token,
    )
