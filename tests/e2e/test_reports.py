"""ReportService over both doors: pages of balances, of movements and of sales."""

import asyncio
from decimal import Decimal

import pytest
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import BalanceError, v1
from balance_service.domain.principals import Scope
from tests.bad_reports import reports
from tests.e2e.test_reversals import sold
from tests.service import Service, reason, refused, rich, somebody


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


async def test_sales_are_told_over_both_doors_as_soon_as_they_are_made(service: Service) -> None:
    dollars, rubles = await sold(service, "7", "USD"), await sold(service, "10", "RUB")
    person, _ = await rich(service, "100000")
    bought = [
        await person.client.purchases.CreatePurchase(v1.CreatePurchaseRequest(service=one))
        for one in (dollars, rubles)
    ]
    support = await service.sibling(Scope.PURCHASES_REFUND)
    refund = v1.RefundPurchaseRequest(purchase=bought[0].id, amount="0.01", reason="Late")
    await support.purchases.RefundPurchase(refund)
    admin = await service.admin()
    request = v1.SalesByServiceRequest(start_month="2025-01", end_month="2034-12", page_size=1)
    pages = [await admin.client.reports.SalesByService(request)]
    request.page_token = pages[0].next_page_token
    pages.append(await admin.client.reports.SalesByService(request))
    assert not pages[1].next_page_token
    told = {one.service: one for page in pages for one in page.sales}
    paid = bought[0].amount
    month = bought[0].date.ToDatetime().strftime("%Y-%m")
    assert told[dollars] == v1.ServiceSales(
        month=month,
        service=dollars,
        currency="RUB",
        purchases=1,
        quantity=1,
        gross=paid,
        refunds=1,
        refunded="0.01",
        net=str(Decimal(paid) - Decimal("0.01")),
        price_currency="USD",
        gross_price="7.00",
        refunded_price="0.00",
        net_price="7.00",
    )
    query = f"start_month={month}&end_month={month}&service={rubles}"
    answer = await admin.http("GET", f"/api/v1/reports/sales/?{query}")
    assert (answer.status, len(answer.json["sales"])) == (200, 1)
    assert json_format.ParseDict(answer.json["sales"][0], v1.ServiceSales()) == told[rubles]
    assert (told[rubles].net, told[rubles].net_price) == ("10.00", "10.00")
    request.end_month = month
    assert await reason(admin.client.reports.SalesByService(request)) == "PAGE_TOKEN_INVALID"
    assert await reason(person.client.reports.SalesByService(request)) == "PERMISSION_MISSING"


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
