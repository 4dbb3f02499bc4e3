"""Scenes for the refusals of purchases and quotes."""

from uuid import uuid4

from balance_client import v1
from balance_service.domain import errors
from tests.rates import age_rates, expire_quotes
from tests.refusal_scenes import Ask, World, provokes

# Purchases


@provokes(errors.ServiceNotFound)
async def service_that_is_not_there(world: World) -> Ask:
    request = v1.GetServiceRequest(service=str(uuid4()))
    return Ask("PurchaseService/GetService", request, world.anna)


@provokes(errors.RateUnavailable)
async def price_in_a_currency_without_a_rate(world: World) -> Ask:
    request = v1.CreatePurchaseRequest(service=await world.sell("10", "ZWG"))
    return Ask("PurchaseService/CreatePurchase", request, world.anna)


@provokes(errors.ChargeTooSmall)
async def price_of_less_than_a_cent(world: World) -> Ask:
    dollars = (await world.anna.open("USD")).id
    request = v1.CreatePurchaseRequest(service=await world.sell("1", "VND"), account=dollars)
    return Ask("PurchaseService/CreatePurchase", request, world.anna)


@provokes(errors.PriceChanged)
async def price_that_is_not_the_expected_one(world: World) -> Ask:
    request = v1.CreatePurchaseRequest(service=await world.sell("11"), expected_price="10")
    return Ask("PurchaseService/CreatePurchase", request, world.anna)


# Quotes


@provokes(errors.QuoteNotFound)
async def quote_of_another(world: World) -> Ask:
    quote = await world.quote(world.boris)
    return Ask("ExchangeService/GetQuote", v1.GetQuoteRequest(quote=quote), world.anna)


@provokes(errors.QuoteMismatch)
async def transfer_of_another_amount_than_quoted(world: World) -> Ask:
    request = v1.CreateTransferRequest(
        to_account=(await world.boris.open("USD")).id,
        amount="80.01",
        quote=await world.quote(world.anna),
    )
    return Ask("TransferService/CreateTransfer", request, world.anna)


@provokes(errors.QuoteUsed)
async def exchange_of_a_used_quote(world: World) -> Ask:
    await world.anna.open("USD")
    request = v1.CreateExchangeRequest(quote=await world.quote(world.anna))
    await world.anna.client.exchanges.CreateExchange(request)
    request.request_id = ""
    return Ask("ExchangeService/CreateExchange", request, world.anna)


@provokes(errors.QuoteExpired)
async def exchange_of_an_old_quote(world: World) -> Ask:
    await world.anna.open("USD")
    request = v1.CreateExchangeRequest(quote=await world.quote(world.anna))
    expire_quotes(world.database_url)
    return Ask("ExchangeService/CreateExchange", request, world.anna)


@provokes(errors.RateStale)
async def price_by_an_old_rate(world: World) -> Ask:
    request = v1.CreatePurchaseRequest(service=await world.sell("10", "USD"))
    age_rates(world.service)
    return Ask("PurchaseService/CreatePurchase", request, world.anna)
