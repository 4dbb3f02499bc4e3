"""Schedules of tests: made, and brought forward to when they are due."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import AsyncClient, v1
from balance_service.server.app import App
from balance_service.servicers.schedule_runs import ScheduleRuns
from tests.service import Person, Service, rich


def moment(**offset: float) -> Timestamp:
    """A time from now."""
    stamp = Timestamp()
    stamp.FromDatetime(datetime.now(UTC) + timedelta(**offset))
    return stamp


async def pair(service: Service, amount: str = "100") -> tuple[Person, str, Person, str]:
    payer, paying = await rich(service, amount)
    receiver, receiving = await rich(service, "1")
    return payer, paying, receiver, receiving


def transfer(to_account: str, amount: str = "10", **other: Any) -> v1.CreateTransferRequest:
    return v1.CreateTransferRequest(to_account=to_account, amount=amount, **other)


def daily(to_account: str, amount: str = "10", **other: Any) -> v1.Schedule:
    """A transfer every day, from tomorrow on."""
    values: dict[str, Any] = {
        "start_time": moment(days=1),
        "recurrence_rule": "FREQ=DAILY",
        "time_zone": "UTC",
    }
    return v1.Schedule(create_transfer=transfer(to_account, amount), **(values | other))


def once(to_account: str, amount: str = "10", **other: Any) -> v1.Schedule:
    """A transfer tomorrow."""
    values: dict[str, Any] = {"start_time": moment(days=1)}
    return v1.Schedule(create_transfer=transfer(to_account, amount), **(values | other))


def changed(schedule: str, description: str = "Rent") -> v1.UpdateScheduleRequest:
    """A change of a schedule's description."""
    request = v1.UpdateScheduleRequest(id=schedule)
    request.schedule.description = description
    request.update_mask.paths.append("description")
    return request


async def make(client: AsyncClient, schedule: v1.Schedule, request_id: str = "") -> v1.Schedule:
    request = v1.CreateScheduleRequest(schedule=schedule, request_id=request_id)
    return await client.schedules.CreateSchedule(request)


async def seen(client: AsyncClient, schedule: v1.Schedule) -> v1.Schedule:
    return await client.schedules.GetSchedule(v1.GetScheduleRequest(schedule=schedule.id))


async def occurrences(client: AsyncClient, schedule: v1.Schedule) -> list[v1.Occurrence]:
    """What became of the occurrences, oldest first."""
    request = v1.ListOccurrencesRequest(schedule=schedule.id, page_size=1000)
    listed = await client.schedules.ListOccurrences(request)
    return list(reversed(listed.occurrences))


class Clock:
    """Lets time pass for schedules.

    Args:
        url: The database, by the role that owns the tables.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def set_due(self, schedule: v1.Schedule, ago: timedelta = timedelta()) -> None:
        """Has a schedule begin at a time that is past."""
        self._execute(
            "UPDATE schedules SET next_at = now() - %(ago)s, run_at = now() - %(ago)s,"
            " starts_at = now() - %(ago)s,"
            " starts_local = CASE WHEN rule <> '' THEN (now() - %(ago)s) AT TIME ZONE zone END"
            " WHERE schedule_id = %(id)s",
            {"ago": ago, "id": schedule.id},
        )

    def end_lease(self, schedule: v1.Schedule) -> None:
        """As if the time were over that a worker has a schedule to itself, or waits for funds."""
        self._execute(
            "UPDATE schedules SET run_at = now() - interval '1 second' WHERE schedule_id = %(id)s",
            {"id": schedule.id},
        )

    def come_again(self, schedule: v1.Schedule, moment: datetime) -> None:
        """Has an occurrence that is over be the next one."""
        self._execute(
            "UPDATE schedules SET next_at = %(moment)s, run_at = %(moment)s"
            " WHERE schedule_id = %(id)s",
            {"moment": moment, "id": schedule.id},
        )

    def _execute(self, statement: LiteralString, values: Mapping[str, object]) -> None:
        with psycopg.connect(self._url) as conn:
            conn.execute(statement, values)


def runs(app: App) -> ScheduleRuns:
    """What a worker carries schedules out by."""
    return app.maintenance._schedules


async def run_due(service: Service) -> None:
    """Has a worker look for what is due."""
    await runs(service.app).run_due()
