"""Limits that operators set for a time: they go back by themselves, and only what they set."""

import asyncio
import json

import psycopg
import pytest

from balance_service.config import Settings
from balance_service.operations import desk
from tests.cli import Typed
from tests.operators_story import Story, tell
from tests.service import start_within, stop_service

WHY = ("--reason", "Buys a car")


@pytest.fixture
def story(service_settings: Settings) -> Story:
    return tell(service_settings)


@pytest.fixture
def typed(service_settings: Settings) -> Typed:
    return Typed(service_settings.environment())


def shown(typed: Typed, story: Story) -> tuple[str, str, bool]:
    """The account's limits, and whether they are to end."""
    account = json.loads(typed("account", "show", story.number, "-o", "json"))
    return account["debit_limit"], account["daily_limit"], "limits_end_time" in account


def let_time_pass(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE limit_ends SET ends_at = now()")


def end_limits(settings: Settings) -> None:
    async def end() -> None:
        async with desk.opened(settings) as opened:
            await opened._changes.end_limits()

    asyncio.run(end())


def wait_for_a_service_to_end_them(settings: Settings, database_url: str) -> None:
    async def serve() -> None:
        service = await start_within(settings)
        try:
            # Not by a command, among whose output the service's log would be.
            async with (
                asyncio.timeout(60),
                await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn,
            ):
                while await (await conn.execute("SELECT FROM limit_ends")).fetchone() is not None:
                    await asyncio.sleep(0.1)
        finally:
            await stop_service(service)

    asyncio.run(serve())


def test_limits_for_a_day_go_back_in_a_running_service(
    typed: Typed, story: Story, service_settings: Settings, database_url: str
) -> None:
    limit = ("account", "limit", story.number, *WHY)
    typed(*limit, "--daily", "1000")
    typed(*limit, "--daily", "500000", "--debit", "300000", "--for", "1d")
    assert shown(typed, story) == ("300000.00", "500000.00", True)
    end_limits(service_settings)
    assert shown(typed, story) == ("300000.00", "500000.00", True), "its time is not over"
    let_time_pass(database_url)
    wait_for_a_service_to_end_them(service_settings, database_url)
    assert shown(typed, story) == ("", "1000.00", False)
    told = typed("account", "changes", story.number, "-o", "json").splitlines()
    last, raised, _ = map(json.loads, told)
    assert last["reason"] == f"The time of change {raised['id']} is over."
    assert last["principal"] == raised["principal"]
    events = typed("audit", "list", "--action", "account.limits_set", "-o", "json").splitlines()
    assert [json.loads(event)["reason"] for event in events] == [last["reason"], *WHY[1:] * 2]
    assert "The ledger is clean." in typed("verify")
    end_limits(service_settings)
    assert len(typed("account", "changes", story.number, "-o", "json").splitlines()) == 3


def test_limits_that_others_set_meanwhile_stay(
    typed: Typed, story: Story, service_settings: Settings, database_url: str
) -> None:
    limit = ("account", "limit", story.number, *WHY)
    typed(*limit, "--daily", "500000", "--for", "1d")
    typed(*limit, "--daily", "500000")
    assert shown(typed, story) == ("", "500000.00", False)
    let_time_pass(database_url)
    end_limits(service_settings)
    assert shown(typed, story) == ("", "500000.00", False)


def test_limits_that_are_set_again_go_back_to_what_they_were_at_first(
    typed: Typed, story: Story, service_settings: Settings, database_url: str
) -> None:
    limit = ("account", "limit", story.number, *WHY)
    typed(*limit, "--daily", "1000")
    typed(*limit, "--daily", "2000", "--for", "12h")
    typed(*limit, "--daily", "3000", "--for", "2w")
    let_time_pass(database_url)
    end_limits(service_settings)
    assert shown(typed, story) == ("", "1000.00", False)


def test_limits_of_a_frozen_account_go_back_all_the_same(
    typed: Typed, story: Story, service_settings: Settings, database_url: str
) -> None:
    typed("account", "limit", story.number, *WHY, "--daily", "500000", "--for", "1d")
    typed("account", "freeze", story.number, *WHY)
    let_time_pass(database_url)
    end_limits(service_settings)
    assert shown(typed, story) == ("", "", False)
    assert "frozen" in typed("account", "show", story.number)


def test_limits_for_a_time_that_cannot_be_are_refused(typed: Typed, story: Story) -> None:
    limit = ("account", "limit", story.number, *WHY)
    for wrong in ("0d", "1", "d", "-1d", "1y", "1.5d", "60w"):
        typed(*limit, "--daily", "5", "--for", wrong, status=2)
    assert "overdraft must not" in typed(*limit, "--overdraft", "5", "--for", "1d", status=2)
    ceilings = {
        "BALANCE_DAILY_DEBITS_MAX": "RUB=10",
        "BALANCE_APPROVAL_DAILY_LIMIT_ABOVE": "RUB=100",
    }
    told = typed(*limit, "--daily", "101", "--for", "1d", status=3, **ceilings)
    assert "another admin's approval" in told
    assert typed.run("approval", "list").out == ""
    assert shown(typed, story) == ("", "", False)
