"""Lists over as many accounts as a user can have, page by page, over gRPC and over HTTP."""

import asyncio
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from balance_service.domain.money import DECIMALS
from balance_service.domain.principals import Scope
from tests.service import Person, Service, reason


async def wealthy(service: Service, database_url: str, *currencies: str) -> Person:
    """Somebody with two deposits in each currency, on accounts with as long a past as can be."""
    person = await service.person()
    opened = [await person.open(currency) for currency in currencies]
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("UPDATE accounts SET sequence = 9223372036854775800")
    billing = await service.sibling(Scope.DEPOSITS_WRITE)
    await asyncio.gather(
        *[
            billing.deposits.CreateDeposit(
                v1.CreateDepositRequest(account=one.id, amount="1", currency=one.currency)
            )
            for one in opened * 2
        ]
    )
    return person


@pytest.mark.parametrize("order", ["date", "date desc"])
async def test_list_over_every_currency_goes_on_to_its_end(
    service: Service, database_url: str, order: str
) -> None:
    *currencies, last = DECIMALS
    person = await wealthy(service, database_url, *currencies)
    request = v1.ListDepositsRequest(order_by=order, page_size=100)
    seen: list[str] = []
    page: Any = None
    while page is None or page.next_page_token:
        if page:
            request.page_token = page.next_page_token
            assert len(request.page_token) < 2100
            query = urlencode(
                {"order_by": order, "page_size": 100, "page_token": request.page_token}
            )
            over_http = await person.http("GET", f"/api/v1/actions?{query}")
            assert over_http.status == 200
        page = await person.client.deposits.ListDeposits(request)
        seen += [deposit.id for deposit in page.deposits]
        if len(seen) == 100:
            # What comes later is no part of the list.
            await person.open(last)
            await person.deposit("1", currency=last)
    assert len(seen) == len(set(seen)) == 2 * len(currencies)


async def test_totals_stay_what_they_were_on_the_first_page(service: Service) -> None:
    person = await service.person()
    for currency in ("RUB", "EUR"):
        account = await person.open(currency)
        for amount in range(1, 6):
            await person.deposit(str(amount), account.id, currency)
    for order in ("date", "date desc"):
        request = v1.ListDepositsRequest(order_by=order, page_size=3, count_total=True)
        totals, seen = [], 0
        while True:
            page = await person.client.deposits.ListDeposits(request)
            totals.append(page.total_size)
            seen += len(page.deposits)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert totals == [seen] * 4
        await person.deposit("1")
    one = v1.ListDepositsRequest(account=account.id, page_size=1, skip=1, count_total=True)
    page = await person.client.deposits.ListDeposits(one)
    one.page_token, one.skip = page.next_page_token, 2
    page = await person.client.deposits.ListDeposits(one)
    assert (page.total_size, [d.amount for d in page.deposits]) == (5, ["1.00"])


async def test_token_goes_on_where_the_same_is_asked_in_other_words(service: Service) -> None:
    person = await service.person()
    account = (await person.open()).id
    for _ in range(3):
        await person.deposit("5", account)
    start = Timestamp(seconds=1_000_000_000)
    kept = v1.MovementFilter(min_amount="1", start_time=start)
    request = v1.ListEntriesRequest(account=account, page_size=1, filter=kept)
    token = (await person.client.accounts.ListEntries(request)).next_page_token
    same = v1.ListEntriesRequest(
        account=account.upper(),
        page_size=2,
        order_by=" date  desc",
        filter=v1.MovementFilter(min_amount="1.00", start_time=start),
        page_token=token,
    )
    page = await person.client.accounts.ListEntries(same)
    assert [entry.sequence for entry in page.entries] == [2, 1]
    same.filter.min_amount = "1.01"
    assert await reason(person.client.accounts.ListEntries(same)) == "PAGE_TOKEN_INVALID"
    listed = v1.ListDepositsRequest(page_token=token)
    assert await reason(person.client.deposits.ListDeposits(listed)) == "PAGE_TOKEN_INVALID"
