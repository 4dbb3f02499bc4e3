"""Amounts in another currency: showing them never fails for a rate, and never mistakes one."""

from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from balance_service.database.pool import Pool
from balance_service.domain.pricing import Quotation, Rates, RateSheet
from balance_service.repositories import rates as sheets
from tests.rates import age_rates, rates_of
from tests.service import Person, Service, reason

UNAVAILABLE = v1.CONVERSION_OBSTACLE_RATE_UNAVAILABLE
TOO_LARGE = v1.CONVERSION_OBSTACLE_AMOUNT_TOO_LARGE
# Not quoted by the static table.
EXOTIC = "ZWG"
MOST = "92233720368547758.07"


async def rich(service: Service, amount: str = "100", currency: str = "RUB") -> tuple[Person, str]:
    person = await service.person()
    account = await person.open(currency)
    await person.deposit(amount, account.id, currency)
    return person, account.id


async def shown(
    person: Person, account: str, currency: str, as_of: Timestamp | None = None
) -> v1.Account:
    request = v1.GetAccountRequest(account=account, currency=currency, as_of=as_of)
    return await person.client.accounts.GetAccount(request)


def in_its_own(
    account: v1.Account, balance: str, obstacle: v1.ConversionObstacle.ValueType
) -> bool:
    assert not account.HasField("conversion")
    assert account.HasField("conversion_obstacle")
    assert account.conversion_obstacle == obstacle
    return (account.currency, account.balance) == ("RUB", balance)


async def test_account_without_a_rate_is_shown_in_its_own_currency(service: Service) -> None:
    person, account = await rich(service)
    assert in_its_own(await shown(person, account, EXOTIC), "100.00", UNAVAILABLE)
    converted = await shown(person, account, "USD")
    assert (converted.currency, converted.balance) == ("USD", "1.25")
    assert not converted.HasField("conversion_obstacle")
    own = await shown(person, account, "RUB")
    assert not own.HasField("conversion_obstacle")
    assert not own.HasField("conversion")
    wrong = v1.GetAccountRequest(account=account, currency="XXX")
    assert await reason(person.client.accounts.GetAccount(wrong)) == "INVALID_FIELD"


async def test_one_account_without_a_rate_leaves_the_others_of_a_list(service: Service) -> None:
    person, _ = await rich(service)
    exotic = await person.open(EXOTIC)
    await person.deposit("7", exotic.id, EXOTIC)
    listing = v1.ListAccountsRequest(currency="USD")
    listed = (await person.client.accounts.ListAccounts(listing)).accounts
    assert [(a.currency, a.balance) for a in listed] == [("USD", "1.25"), (EXOTIC, "7.00")]
    assert [a.HasField("conversion") for a in listed] == [True, False]
    assert listed[1].conversion_obstacle == UNAVAILABLE
    over_http = await person.http("GET", "/api/v1/accounts/?currency=USD")
    found = over_http.json["accounts"]
    assert "conversion_obstacle" not in found[0]
    assert found[0]["conversion"]["stale"] is False
    assert found[1]["conversion_obstacle"] == "CONVERSION_OBSTACLE_RATE_UNAVAILABLE"
    assert "conversion" not in found[1]
    assert found[1]["currency"] == EXOTIC


async def test_nothing_needs_no_rate(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    found = await shown(person, account.id, EXOTIC)
    assert (found.currency, found.balance, found.available) == (EXOTIC, "0.00", "0.00")
    assert (found.conversion.amount, found.conversion.currency) == ("0.00", "RUB")
    assert (found.conversion.rate, found.conversion.source) == ("", "")
    assert not found.conversion.HasField("time")
    assert not found.HasField("conversion_obstacle")


async def test_limit_alone_needs_a_rate(service: Service) -> None:
    admin, person = await service.admin(), await service.person()
    account = await person.open()
    await admin.client.accounts.SetAccountLimit(
        v1.SetAccountLimitRequest(account=account.id, limit="5")
    )
    found = await shown(person, account.id, EXOTIC)
    assert in_its_own(found, "0.00", UNAVAILABLE)
    assert found.limit == "5.00"


@pytest.mark.parametrize("currency", ["UZS", "JPY"])
async def test_amount_beyond_the_other_currency_is_shown_in_its_own(
    service: Service, currency: str
) -> None:
    person, account = await rich(service, MOST)
    found = await shown(person, account, currency)
    if currency == "UZS":
        assert in_its_own(found, MOST, TOO_LARGE)
        return
    assert (found.currency, found.conversion.amount) == ("JPY", MOST)


async def test_charge_beyond_the_ledger_is_refused(service: Service) -> None:
    admin = await service.admin()
    person, account = await rich(service, MOST)
    await admin.client.accounts.SetAccountLimit(
        v1.SetAccountLimitRequest(account=account, limit="1000000")
    )
    price = f"{Decimal(MOST) / 80 + 1:.2f}"
    sold = await admin.client.purchases.CreateService(
        v1.CreateServiceRequest(service=v1.Service(name="Moon", price=price, currency="USD"))
    )
    request = v1.CreatePurchaseRequest(service=sold.id, account=account)
    assert await reason(person.client.purchases.CreatePurchase(request)) == "BALANCE_OVERFLOW"
    assert await person.balance(account) == MOST


async def test_stale_rate_is_shown_and_nothing_charged_by_it(service: Service) -> None:
    admin = await service.admin()
    person, account = await rich(service)
    sold = await admin.client.purchases.CreateService(
        v1.CreateServiceRequest(service=v1.Service(name="Tea", price="1", currency="USD"))
    )
    assert not (await shown(person, account, "USD")).conversion.stale
    age_rates(service)
    found = await shown(person, account, "USD")
    assert (found.currency, found.balance) == ("USD", "1.25")
    assert found.conversion.stale
    request = v1.CreatePurchaseRequest(service=sold.id)
    assert await reason(person.client.purchases.CreatePurchase(request)) == "RATE_STALE"
    assert await person.balance(account) == "100.00"


async def test_watching_goes_on_while_rates_age_and_go(service: Service) -> None:
    person, account = await rich(service)
    request = v1.WatchAccountRequest(account=account, currency="USD")
    states = aiter(person.client.accounts.WatchAccount(request))
    assert (await anext(states)).balance == "1.25"
    age_rates(service)
    await person.deposit("100", account)
    aged = await anext(states)
    assert (aged.balance, aged.conversion.stale) == ("2.50", True)
    rates_of(service).current = Rates((), lambda as_of: as_of)
    await person.deposit("100", account)
    assert in_its_own(await anext(states), "300.00", UNAVAILABLE)


async def test_past_balance_is_converted_as_it_was(
    service: Service, pool: Pool, database_url: str
) -> None:
    person, account = await rich(service)
    listing = v1.ListEntriesRequest(account=account)
    then = (await person.client.accounts.ListEntries(listing)).entries[0].date
    sheet = RateSheet(
        "static", "RUB", datetime.now(UTC), {"USD": Quotation(Decimal(1), Decimal(100))}
    )
    async with pool.connection() as conn:
        await sheets.put(conn, sheet, sheet.as_of)
    await rates_of(service).refresh()
    assert (await shown(person, account, "USD")).balance == "1.00"
    past = await shown(person, account, "USD", then)
    assert (past.currency, past.balance, past.conversion.rate) == ("USD", "1.25", "0.0125")
    assert (past.held, past.available) == ("", "")
    # The newer sheet quotes no euro, the older did.
    assert (await shown(person, account, "EUR", then)).currency == "EUR"
    assert in_its_own(await shown(person, account, "EUR"), "100.00", UNAVAILABLE)
    with psycopg.connect(database_url, autocommit=True) as conn_:
        conn_.execute("DELETE FROM rate_sheets WHERE as_of < %s", (sheet.as_of,))
    assert in_its_own(await shown(person, account, "USD", then), "100.00", UNAVAILABLE)
    assert (await shown(person, account, "USD")).balance == "1.00"
