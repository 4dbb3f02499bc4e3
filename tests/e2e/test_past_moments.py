"""Balances and statements of a past moment, to the microsecond and once and for all."""

import asyncio
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from balance_service.reading.past import SKEW_MAX
from tests.commits import slow_down
from tests.service import Service, reason
from tests.statements import history, statement


async def test_balance_of_a_past_moment(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    await history(person, account.id, ["100", "-30", "5"])
    entries = await statement(person, v1.ListEntriesRequest(account=account.id, order_by="date"))

    async def at(moment: Timestamp) -> str:
        request = v1.GetAccountRequest(account=account.id, as_of=moment)
        return (await person.client.accounts.GetAccount(request)).balance

    assert [await at(entry.date) for entry in entries] == ["100.00", "70.00", "75.00"]
    before = Timestamp()
    before.FromDatetime(entries[0].date.ToDatetime() - timedelta(microseconds=1))
    assert await at(before) == "0.00"
    future = Timestamp()
    future.FromDatetime(entries[0].date.ToDatetime() + timedelta(days=1))
    assert await reason(at(future)) == "INVALID_FIELD"


def shifted(stamp: Timestamp, nanos: int) -> Timestamp:
    return Timestamp(seconds=stamp.seconds, nanos=stamp.nanos + nanos)


async def test_bounds_in_time_are_exact_below_the_microsecond(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    date = Timestamp(nanos=0)
    while not 1 <= date.nanos <= 999_999_000:
        date = (await person.deposit("5", account.id)).date
    last = (await statement(person, v1.ListEntriesRequest(account=account.id)))[0].sequence

    async def kept(start_time: Timestamp | None = None, end_time: Timestamp | None = None) -> bool:
        within = v1.MovementFilter(start_time=start_time, end_time=end_time)
        listed = v1.ListEntriesRequest(account=account.id, filter=within)
        return last in [entry.sequence for entry in await statement(person, listed)]

    assert [await kept(start_time=shifted(date, n)) for n in (-1, 0, 1, 999)] == [
        True,
        True,
        False,
        False,
    ]
    assert [await kept(end_time=shifted(date, n)) for n in (-1, 0, 1, 999)] == [
        False,
        False,
        True,
        True,
    ]
    ever, never = Timestamp(seconds=-62_135_596_800), Timestamp(seconds=253_402_300_799)
    never.nanos = 999_999_999
    assert await kept(start_time=ever, end_time=never)
    assert not await kept(start_time=never)
    assert not await kept(end_time=ever)
    at = [
        (
            await person.client.accounts.GetAccount(
                v1.GetAccountRequest(account=account.id, as_of=shifted(date, n))
            )
        ).balance
        for n in (-1, 0, 1)
    ]
    total = await person.balance(account.id)
    assert at[1:] == [total, total]
    assert at[0] != total


async def test_answer_about_a_moment_ago_is_final(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deposit is dated before the moment, and committed long after it is asked about."""
    person = await service.person()
    account = await person.open()
    await person.deposit("6", account.id)
    slow_down(monkeypatch, lambda: 2 * SKEW_MAX.total_seconds())
    depositing = asyncio.create_task(person.deposit("100", account.id))
    await asyncio.sleep(0.3)
    moment = Timestamp()
    moment.GetCurrentTime()
    get = v1.GetAccountRequest(account=account.id, as_of=moment)
    within = v1.MovementFilter(end_time=moment)
    listing = v1.ListEntriesRequest(account=account.id, filter=within, count_total=True)

    async def ask() -> tuple[v1.Account, v1.ListEntriesResponse]:
        accounts = person.client.accounts
        return await asyncio.gather(accounts.GetAccount(get), accounts.ListEntries(listing))

    first = await ask()
    await depositing
    assert await ask() == first
    found, listed = first
    assert (found.balance, listed.total_size) == ("106.00", 2)
    # Of the past only the balance is known.
    assert (found.limit, found.held, found.available, found.status) == ("", "", "", 0)


async def test_moment_that_is_not_over_in_the_callers_time_is_not_answered(
    service: Service,
) -> None:
    person = await service.person()
    account = await person.open()
    moment = Timestamp()
    moment.GetCurrentTime()
    get = v1.GetAccountRequest(account=account.id, as_of=moment)
    call = person.client.accounts.GetAccount(get, timeout=SKEW_MAX.total_seconds() / 2)
    assert await reason(call) == "DEADLINE_PASSED"
