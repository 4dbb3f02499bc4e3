"""ReportService over both doors: pages of balances, of movements and of sales."""

import asyncio

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import BalanceError, v1
from balance_service.domain.principals import Scope
from tests.bad_requests import reports
from tests.service import Service, reason, refused, somebody


async def test_balances_of_a_moment_are_the_same_on_every_page(service: Service) -> None:
    people = [await somebody(service, amount) for amount in ("1", "2", "3")]
    sibling = await service.sibling(Scope.REPORTS_READ)
    request = v1.ListBalancesRequest(page_size=2)
    pages = [await sibling.reports.ListBalances(request)]
    person, account = people[2]
    await person.deposit("100", account)
    while pages[-1].next_page_token:
        request.page_token = pages[-1].next_page_token
        pages.append(await sibling.reports.ListBalances(request))
    assert len({page.as_of.ToNanoseconds() for page in pages}) == 1
    told = {one.account: one.balance for page in pages for one in page.balances}
    as_of = pages[0].as_of
    for owner, each in people:
        asked = v1.GetAccountRequest(account=each, as_of=as_of)
        then = await owner.client.accounts.GetAccount(asked)
        assert told.get(each, "0.00") == then.balance


async def test_movements_of_everybody_are_found_page_by_page(service: Service) -> None:
    people = [await somebody(service, amount) for amount in ("1", "2", "3")]
    sibling = await service.sibling(Scope.REPORTS_READ)
    listing = v1.ListEntriesRequest(account=people[0][1])
    began = (await people[0][0].client.accounts.ListEntries(listing)).entries[0].date
    request = v1.SearchMovementsRequest(
        start_time=began, kind=v1.MOVEMENT_KIND_DEPOSIT, currency="RUB", min_amount="2"
    )
    async with asyncio.timeout(60):
        while len((await sibling.reports.SearchMovements(request)).movements) < 2:
            await asyncio.sleep(0.05)
    request.page_size = 1
    found: list[v1.Movement] = []
    for _ in range(2):
        page = await sibling.reports.SearchMovements(request)
        found += page.movements
        request.page_token = page.next_page_token or request.page_token
    assert [one.amount for one in found] == ["2.00", "3.00"]
    assert [one.to_account for one in found] == [account for _, account in people[1:]]
    request.max_amount = "3"
    assert await reason(sibling.reports.SearchMovements(request)) == "PAGE_TOKEN_INVALID"


async def test_movements_from_before_the_log_are_told_where_they_are(service: Service) -> None:
    sibling = await service.sibling(Scope.REPORTS_READ)
    early = v1.SearchMovementsRequest(start_time=Timestamp(seconds=1))
    with pytest.raises(BalanceError) as refused:
        await sibling.reports.SearchMovements(early)
    (violation,) = refused.value.violations
    assert violation.field == "start_time"
    assert "reports.movements" in violation.description


async def test_every_wrong_field_of_a_report_is_named(service: Service) -> None:
    sibling = await service.sibling(Scope.REPORTS_READ)
    tried = 0
    for method, request, field in reports():
        call = getattr(sibling.reports, method.partition("/")[2])
        error = await refused(call(request))
        told = (error.reason, [violation.field for violation in error.violations])
        assert told == ("INVALID_FIELD", [field]), (method, request)
        tried += 1
    assert tried == 21
