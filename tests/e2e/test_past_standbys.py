"""Answers about the past from a standby: the primary's own, and final."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from balance_client import v1
from balance_service.calls.standby_offers import OFFERED
from balance_service.reading import periods
from balance_service.reading.past import SKEW_MAX
from tests.commits import hold_back
from tests.e2e.test_parity import requests
from tests.http import BINDINGS
from tests.integration.test_past import clock
from tests.parity_world import world
from tests.service import Person, Service
from tests.standbys import PATIENCE_SECONDS, Pair, Told, ask, until, watched

pytestmark = [pytest.mark.xdist_group("standbys"), pytest.mark.usefixtures("within")]

# After which a moment is over for all accounts, if nothing of it is under way.
LONG = 3 * SKEW_MAX
BY_NAME = {binding.method.descriptor.name: binding for binding in reversed(BINDINGS)}


@pytest.fixture
def server_url(servers: Pair) -> str:
    """Where the databases of these tests are."""
    return servers.url


async def balance_at(person: Person, account: str, moment: datetime) -> Told:
    request = v1.GetAccountRequest(account=account)
    request.as_of.FromDatetime(moment)
    return await ask(person.client.accounts.GetAccount, request)


def of_the_past(request: Any) -> Any:
    """The request, up to the present moment if it can be asked so."""
    made = type(request)()
    made.CopyFrom(request)
    if "as_of" in made.DESCRIPTOR.fields_by_name:
        made.as_of.GetCurrentTime()
    kept = made.DESCRIPTOR.fields_by_name.get("filter")
    if kept and "end_time" in kept.message_type.fields_by_name:
        made.filter.end_time.GetCurrentTime()
    return made


async def _wait_until(read: Callable[[], Any], holds: Callable[[Any], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds(read()):
            await asyncio.sleep(0.02)


async def test_moment_is_answered_once_all_is_shown_that_is_dated_before_it(
    servers: Pair,
    replicated: Service,
    owner: tuple[Person, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A deposit is dated before the moment, committed after it, and replayed after that."""
    person, account = owner
    looking = replicated.app.standbys
    written, released = hold_back(monkeypatch)
    depositing = asyncio.create_task(person.deposit("100", account))
    await written.wait()
    moment = await clock(replicated.app.pool)
    await _wait_until(lambda: looking.fresh(60)[0].reached, lambda it: it.as_of > moment + LONG)

    def then() -> Awaitable[Told]:
        return balance_at(person, account, moment)

    asking = asyncio.ensure_future(then())
    with servers.paused():
        released.set()
        await depositing
        told = await asking
        assert (told.read_from, told.answer.balance) == ("primary", "1100.00")
        await _wait_until(lambda: looking._marks[-1], lambda it: it.final_until > moment)
        told = await then()
        assert (told.read_from, told.answer.balance) == ("primary", "1100.00")
    told = await until(then, "standby")
    assert told.answer.balance == "1100.00"
    with servers.paused():
        await person.deposit("7", account)
        assert (await then()).answer == told.answer


async def test_file_that_a_standby_breaks_off_goes_on_from_the_primary(
    owner: tuple[Person, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    person, account = owner
    for amount in ("1", "2", "3", "4"):
        await person.deposit(amount, account)
    monkeypatch.setattr(periods, "LINES_MAX", 2)
    made = watched(monkeypatch, periods, "lines")
    binding = BY_NAME["DownloadStatement"]
    request = v1.DownloadStatementRequest(account=account)
    request.start_time.FromSeconds(1)
    request.end_time.GetCurrentTime()
    whole = await person.http.call(binding, request)
    assert made.by == ["primary"]
    assert "1010.00" in whole.text
    async with asyncio.timeout(PATIENCE_SECONDS):
        while made.by[-1] != "standby":
            told = await person.http.call(binding, request, balance_max_staleness="60s")
            assert told.text == whole.text
    made.broken_after = 1
    made.by.clear()
    told = await person.http.call(binding, request, balance_max_staleness="60s")
    assert (made.by, told.text) == (["standby", "primary"], whole.text)
    wrong = await person.http.call(binding, request, balance_max_staleness="60")
    assert (wrong.status, wrong.fields) == (400, ["balance-max-staleness"])


async def test_standby_answers_every_offered_request_as_the_primary_does(
    replicated: Service,
) -> None:
    there = await world(replicated)
    call, asked = there.admin.http.call, requests(there)
    position = (await call(BY_NAME["GetMe"], asked["GetMe"], balance_at_least="")).headers[
        "balance-position"
    ]
    seen = {"balance_max_staleness": "60s", "balance_at_least": position}
    wanted = [(name, asked[name]) for name in OFFERED]
    past = [(name, of_the_past(request)) for name, request in wanted]
    assert sum(one != another for one, another in zip(wanted, past, strict=True)) > 5
    for name, request in (*wanted, *past):
        binding = BY_NAME[name]
        by_primary = await call(binding, request)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                by_standby = await call(binding, request, **seen)
                if by_standby.headers["balance-read-from"] == "standby":
                    break
                await asyncio.sleep(0.05)
        assert by_primary.status == 200, name
        assert by_standby.text == by_primary.text, name
