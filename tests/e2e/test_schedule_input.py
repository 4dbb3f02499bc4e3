"""What a schedule may not say, and how many a caller may have."""

import asyncio
from typing import Any

import pytest

from balance_client import v1
from tests import schedules
from tests.schedules import daily, make, once, pair
from tests.service import Service, reason, refused

pytestmark = pytest.mark.usefixtures("within")


async def test_a_caller_has_so_many_schedules_at_most(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer, _, _, receiving = await pair(service)
    monkeypatch.setattr(service.app.settings, "schedules_max", 2)
    first, _ = await make(payer.client, daily(receiving)), await make(payer.client, once(receiving))
    assert await reason(make(payer.client, daily(receiving))) == "SCHEDULE_LIMIT"
    await payer.client.schedules.CancelSchedule(v1.CancelScheduleRequest(schedule=first.id))
    await make(payer.client, daily(receiving))
    calls = [make(payer.client, once(receiving)) for _ in range(4)]
    tried = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, Exception) for each in tried)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"recurrence_rule": "FREQ=HOURLY"}, "recurrence_rule"),
    ({"recurrence_rule": "FREQ=MINUTELY"}, "recurrence_rule"),
    ({"recurrence_rule": "FREQ=DAILY;BYHOUR=1,2;BYMINUTE=0,30"}, "recurrence_rule"),
    ({"recurrence_rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "recurrence_rule"),
    ({"recurrence_rule": "FREQ=DAILY;COUNT=3000000"}, "recurrence_rule"),
    ({"recurrence_rule": "FREQ=YEARLY;COUNT=50"}, "recurrence_rule"),
    ({"recurrence_rule": "FREQ=DAILY;INTERVAL=99999"}, "recurrence_rule"),
    ({"recurrence_rule": "FREQ=DAILY;BYHOUR=" + ",".join(["1"] * 400)}, "recurrence_rule"),
    ({"recurrence_rule": "FREQ=DAILY;UNTIL=20200101"}, "recurrence_rule"),
    ({"recurrence_rule": "every friday"}, "recurrence_rule"),
    ({"time_zone": "Europe/Atlantis"}, "time_zone"),
    ({"time_zone": "localtime"}, "time_zone"),
    ({"time_zone": ""}, "time_zone"),
    ({"time_zone": "../../etc/passwd"}, "time_zone"),
    ({"recurrence_rule": ""}, "time_zone"),
    ({"start_time": schedules.moment(days=-1)}, "start_time"),
    ({"start_time": schedules.moment(days=4000)}, "start_time"),
    ({"end_time": schedules.moment(minutes=1)}, "end_time"),
    ({"retry_hours": 3}, "retry_hours"),
    ({"insufficient_funds": 9}, "insufficient_funds"),
    ({"insufficient_funds": v1.INSUFFICIENT_FUNDS_POLICY_RETRY}, "retry_minutes"),
    ({"description": "x" * 201}, "description"),
]


async def test_bad_times_and_rules_are_refused(service: Service) -> None:
    payer, _, _, receiving = await pair(service)
    for values, field in BAD:
        error = await refused(make(payer.client, daily(receiving, **values)))
        assert error.reason == "INVALID_FIELD", values
        assert f"schedule.{field}" in [each.field for each in error.violations], values
    assert not (await payer.client.schedules.ListSchedules(v1.ListSchedulesRequest())).schedules


async def test_a_schedule_takes_nothing_that_is_of_one_call(service: Service) -> None:
    payer, paying, receiver, receiving = await pair(service)
    bad = once(receiving)
    bad.create_transfer.request_id = "once"
    bad.create_transfer.validate_only = True
    bad.create_transfer.metadata["schedule_id"] = "forged"
    error = await refused(make(payer.client, bad))
    path = "schedule.create_transfer"
    assert {each.field for each in error.violations} == {
        f"{path}.request_id",
        f"{path}.validate_only",
        f"{path}.metadata",
    }
    own = once(paying)
    assert await reason(make(payer.client, own)) == "SAME_ACCOUNT"
    stolen = once(paying)
    stolen.create_transfer.from_account = paying
    assert await reason(make(receiver.client, stolen)) == "ACCOUNT_NOT_FOUND"


async def test_a_repeated_request_makes_one_schedule(service: Service) -> None:
    payer, _, _, receiving = await pair(service)
    schedule = daily(receiving)
    first = await make(payer.client, schedule, "one")
    assert (await make(payer.client, schedule, "one")).id == first.id
    schedule.create_transfer.amount = "11"
    assert await reason(make(payer.client, schedule, "one")) == "IDEMPOTENCY_KEY_REUSED"
