"""RateService: currencies, and the rates that would be used now or were in force."""

from datetime import UTC, datetime
from decimal import Decimal

from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import AsyncClient, v1
from balance_service.database.pool import Pool
from balance_service.domain.money import DECIMALS
from balance_service.domain.pricing import Quotation, Rates, RateSheet
from balance_service.repositories import rates as sheets
from tests.rates import age_rates, rates_of
from tests.service import Service, reason


async def get(client: AsyncClient, pair: tuple[str, str], as_of: datetime | None = None) -> v1.Rate:
    request = v1.GetRateRequest(from_currency=pair[0], to_currency=pair[1])
    if as_of:
        request.as_of.FromDatetime(as_of)
    return await client.rates.GetRate(request)


async def test_anybody_hears_of_every_currency(service: Service) -> None:
    answer = await service.client().rates.ListCurrencies(v1.ListCurrenciesRequest())
    found = {currency.code: currency for currency in answer.currencies}
    assert {code: currency.decimals for code, currency in found.items()} == DECIMALS
    assert list(found) == sorted(found)
    assert all(currency.can_open_accounts and currency.name for currency in found.values())
    assert (found["RUB"].name, found["RUB"].has_rates) == ("Russian Ruble", True)
    assert (found["USD"].has_rates, found["ZWG"].has_rates) == (True, False)
    over_http = await service.http("GET", "/api/v1/currencies/")
    assert len(over_http.json["currencies"]) == len(DECIMALS)


async def test_rate_is_the_one_that_a_purchase_would_be_charged_by(service: Service) -> None:
    anybody, admin = service.client(), await service.admin()
    rate = await get(anybody, ("USD", "RUB"))
    assert (rate.from_currency, rate.to_currency, rate.value) == ("USD", "RUB", "80")
    assert (rate.source, rate.stale) == ("static", False)
    assert (await get(anybody, ("RUB", "USD"))).value == "0.0125"
    account = await admin.open()
    await admin.deposit("100", account.id)
    sold = await admin.client.purchases.CreateService(
        v1.CreateServiceRequest(service=v1.Service(name="Tea", price="1", currency="USD"))
    )
    bought = await admin.client.purchases.CreatePurchase(v1.CreatePurchaseRequest(service=sold.id))
    told = bought.conversion
    assert (told.rate, told.source, told.time) == (rate.value, rate.source, rate.time)
    over_http = await service.http("GET", "/api/v1/rates/USD/RUB")
    assert (over_http.status, over_http.json["value"]) == (200, "80")


async def test_rates_of_a_currency_are_listed_by_code(service: Service) -> None:
    anybody = service.client()
    listed = list((await anybody.rates.ListRates(v1.ListRatesRequest())).rates)
    codes = [rate.to_currency for rate in listed]
    assert codes == sorted(codes)
    assert {rate.from_currency for rate in listed} == {"RUB"}
    assert "RUB" not in codes
    assert "ZWG" not in codes
    for rate in listed[:3]:
        assert rate == await get(anybody, ("RUB", rate.to_currency))
    none = await anybody.rates.ListRates(v1.ListRatesRequest(base_currency="ZWG"))
    assert not none.rates


async def test_unknown_rate_is_unavailable_and_an_old_one_says_so(service: Service) -> None:
    anybody = service.client()
    assert await reason(get(anybody, ("RUB", "ZWG"))) == "RATE_UNAVAILABLE"
    age_rates(service)
    assert (await get(anybody, ("RUB", "USD"))).stale
    assert all(r.stale for r in (await anybody.rates.ListRates(v1.ListRatesRequest())).rates)
    rates_of(service).current = Rates((), lambda as_of: as_of)
    assert await reason(get(anybody, ("RUB", "USD"))) == "RATE_UNAVAILABLE"
    currencies = await anybody.rates.ListCurrencies(v1.ListCurrenciesRequest())
    assert not any(currency.has_rates for currency in currencies.currencies)


async def test_rate_of_the_past_is_the_one_in_force_then(service: Service, pool: Pool) -> None:
    anybody = service.client()
    before = datetime.now(UTC)
    quotations = {"USD": Quotation(Decimal(1), Decimal(100))}
    sheet = RateSheet("static", "RUB", datetime.now(UTC), quotations)
    async with pool.connection() as conn:
        await sheets.put(conn, sheet, sheet.as_of)
    await rates_of(service).refresh()
    assert (await get(anybody, ("USD", "RUB"))).value == "100"
    past = await get(anybody, ("USD", "RUB"), before)
    assert past.value == "80"
    assert past.time.ToDatetime(tzinfo=UTC) <= before
    # The newer sheet quotes no euro, the older did.
    assert await reason(get(anybody, ("EUR", "RUB"))) == "RATE_UNAVAILABLE"
    request = v1.ListRatesRequest(base_currency="EUR", as_of=past_of(before))
    assert (await anybody.rates.ListRates(request)).rates
    moment = before.isoformat().replace("+00:00", "Z")
    over_http = await service.http("GET", f"/api/v1/rates/USD/RUB?as_of={moment}")
    assert over_http.json["value"] == "80"
    ancient = datetime(1990, 1, 1, tzinfo=UTC)
    assert await reason(get(anybody, ("USD", "RUB"), ancient)) == "RATE_UNAVAILABLE"


def past_of(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
