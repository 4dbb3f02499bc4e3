"""What operators do about schedules, as they type it."""

import asyncio
import json
from typing import Any, NamedTuple

import pytest

from balance_service.config import Settings
from tests import schedules
from tests.cli import Typed
from tests.service import start_within, stop_service

WHY = ("--reason", "Asked by phone")


class Made(NamedTuple):
    """A schedule, who made it and which account pays."""

    schedule: str
    user: str
    account: str


@pytest.fixture
def made(service_settings: Settings) -> Made:
    async def make() -> Made:
        service = await start_within(service_settings)
        try:
            payer, paying, _, receiving = await schedules.pair(service)
            schedule = await schedules.make(payer.client, schedules.daily(receiving))
            return Made(schedule.id, payer.user_id, paying)
        finally:
            await stop_service(service)

    return asyncio.run(make())


@pytest.fixture
def typed(service_settings: Settings) -> Typed:
    return Typed(service_settings.environment())


def objects(typed: Typed, *command: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in typed(*command, "-o", "json").splitlines()]


def test_operators_find_schedules_and_stop_them(typed: Typed, made: Made) -> None:
    for filters in (
        (),
        ("--account", made.account),
        ("--principal", f"user:{made.user}"),
        ("--status", "active"),
    ):
        (found,) = objects(typed, "schedule", "list", *filters)
        assert (found["id"], found["account"]) == (made.schedule, made.account)
    assert objects(typed, "schedule", "list", "--status", "paused") == []
    for step, status in (("pause", "PAUSED"), ("resume", "ACTIVE"), ("cancel", "CANCELLED")):
        (done,) = objects(typed, "schedule", step, made.schedule, *WHY)
        assert done["status"].endswith(status)
    (shown,) = objects(typed, "schedule", "show", made.schedule)
    assert "next_time" not in shown or not shown["next_time"]
    assert objects(typed, "schedule", "occurrences", made.schedule) == []
    recorded = objects(typed, "audit", "list", "--action", "schedule.paused")
    assert [each["reason"] for each in recorded] == [WHY[1]]
