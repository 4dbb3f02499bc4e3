"""Requests about periods and times to come that succeed over gRPC and over HTTP."""

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from tests import schedules
from tests.parity_world import World


def sums(there: World) -> dict[str, Message]:
    """Those that sum up."""
    now = Timestamp()
    now.GetCurrentTime()
    return {
        "GetStatement": v1.GetStatementRequest(
            account=there.account, start_time=Timestamp(seconds=1), end_time=now
        ),
        "ListBalances": v1.ListBalancesRequest(as_of=now, currency="RUB", page_size=2),
        "SearchMovements": v1.SearchMovementsRequest(
            start_time=there.began, end_time=now, currency="RUB", min_amount="1", page_size=3
        ),
        "SalesByService": v1.SalesByServiceRequest(
            start_month="2025-01", end_month="2034-12", page_size=2
        ),
        "DownloadStatement": v1.DownloadStatementRequest(
            account=there.account, start_time=Timestamp(seconds=1), end_time=now
        ),
    }


def scheduled(there: World) -> dict[str, Message]:
    """Those about schedules."""
    ids = there.ids
    return {
        "CreateSchedule": v1.CreateScheduleRequest(
            schedule=schedules.daily(there.other, description="Why")
        ),
        "GetSchedule": v1.GetScheduleRequest(schedule=ids["scheduled"]),
        "ListSchedules": v1.ListSchedulesRequest(
            account=there.account, page_size=1, count_total=True
        ),
        "UpdateSchedule": schedules.changed(ids["scheduled"]),
        "PauseSchedule": v1.PauseScheduleRequest(schedule=ids["to pause"], reason="Why"),
        "ResumeSchedule": v1.ResumeScheduleRequest(schedule=ids["paused"]),
        "CancelSchedule": v1.CancelScheduleRequest(schedule=ids["to cancel"]),
        "ListOccurrences": v1.ListOccurrencesRequest(
            schedule=ids["scheduled"], next=2, count_total=True
        ),
    }
