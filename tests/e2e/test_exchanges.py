"""ExchangeService: quotes, exchanges, and transfers from one currency to another."""

import asyncio
from datetime import UTC, timedelta
from typing import Any
from uuid import uuid4

import grpc

from balance_client import AsyncClient, BalanceError, async_each, v1
from balance_service.domain.principals import Scope
from tests.rates import age_rates, expire_quotes
from tests.service import (
    Person,
    Service,
    StartService,
    Verified,
    reason,
    refused,
    replayed,
    somebody,
)


async def with_dollars(service: Service, amount: str = "1000") -> tuple[Person, str, str]:
    """Somebody with money, and the ids of their accounts in roubles and in dollars."""
    person, rubles = await somebody(service, amount)
    return person, rubles, (await person.open("USD")).id


async def quote(client: AsyncClient, **terms: Any) -> v1.Quote:
    whole = {"from_currency": "RUB", "to_currency": "USD", **terms}
    return await client.exchanges.CreateQuote(v1.CreateQuoteRequest(**whole))


def exchange(quoted: v1.Quote, **more: Any) -> v1.CreateExchangeRequest:
    return v1.CreateExchangeRequest(quote=quoted.id, **more)


def transfer(quoted: v1.Quote, to_account: str, **changed: Any) -> v1.CreateTransferRequest:
    whole = {
        "to_account": to_account,
        "amount": quoted.from_amount,
        "currency": quoted.from_currency,
        "quote": quoted.id,
        **changed,
    }
    return v1.CreateTransferRequest(**whole)


# Quotes


async def test_quote_fixes_one_amount_and_rounds_the_other_against_the_customer(
    service: Service,
) -> None:
    person, rubles, _ = await with_dollars(service)
    paying = await quote(person.client, from_amount="81.19")
    assert (paying.from_amount, paying.to_amount) == ("81.19", "1.01")
    assert paying.rounding == v1.Rounding.ROUNDING_DOWN
    getting = await quote(person.client, to_amount="1.01", from_currency="RUB", to_currency="USD")
    assert (getting.from_amount, getting.to_amount) == ("80.80", "1.01")
    assert getting.rounding == v1.Rounding.ROUNDING_UP
    assert (paying.from_account, paying.principal) == (rubles, f"user:{person.user_id}")
    assert paying.rate == await person.client.rates.GetRate(
        v1.GetRateRequest(from_currency="RUB", to_currency="USD")
    )
    life = paying.expire_time.ToDatetime(UTC) - paying.create_time.ToDatetime(UTC)
    assert life == timedelta(seconds=60)
    assert await person.client.exchanges.GetQuote(v1.GetQuoteRequest(quote=paying.id)) == paying


async def test_quotes_life_is_a_setting(start_service: StartService) -> None:
    service = await start_service(quote_seconds=5)
    person, _, _ = await with_dollars(service)
    quoted = await quote(person.client, from_amount="80")
    life = quoted.expire_time.ToDatetime(UTC) - quoted.create_time.ToDatetime(UTC)
    assert life == timedelta(seconds=5)


async def test_quote_belongs_to_who_asked_for_it(service: Service) -> None:
    person, _, _ = await with_dollars(service)
    stranger, _, their_dollars = await with_dollars(service)
    admin = await service.admin()
    quoted = await quote(person.client, from_amount="80")
    for other in (stranger, admin):
        get = other.client.exchanges.GetQuote(v1.GetQuoteRequest(quote=quoted.id))
        assert await reason(get) == "QUOTE_NOT_FOUND"
        create = other.client.exchanges.CreateExchange(exchange(quoted))
        assert await reason(create) == "QUOTE_NOT_FOUND"
    send = stranger.client.transfers.CreateTransfer(transfer(quoted, their_dollars))
    assert await reason(send) == "QUOTE_NOT_FOUND"
    unknown = person.client.exchanges.GetQuote(v1.GetQuoteRequest(quote=str(uuid4())))
    assert await reason(unknown) == "QUOTE_NOT_FOUND"


async def test_quote_is_refused_for_its_reason(service: Service) -> None:
    person, _, dollars = await with_dollars(service)
    _, theirs, _ = await with_dollars(service)
    cases: dict[str, dict[str, str]] = {
        "ACCOUNT_NOT_FOUND": {"from_amount": "1", "from_account": theirs},
        "CURRENCY_MISMATCH": {"from_amount": "1", "from_account": dollars},
        "RATE_UNAVAILABLE": {"from_amount": "1", "to_currency": "ZWG"},
        "CHARGE_TOO_SMALL": {"from_amount": "0.01"},
        "BALANCE_OVERFLOW": {"to_amount": "92233720368547758.07"},
    }
    for expected, terms in cases.items():
        assert await reason(quote(person.client, **terms)) == expected
    assert await reason(quote(person.client, from_currency="EUR", from_amount="1")) == (
        "ACCOUNT_NOT_FOUND"
    )
    age_rates(service)
    assert await reason(quote(person.client, from_amount="80")) == "RATE_STALE"


async def test_repeated_quote_is_the_same_also_when_rates_are_gone(service: Service) -> None:
    person, _, _ = await with_dollars(service)
    request = v1.CreateQuoteRequest(
        from_currency="RUB", to_currency="USD", from_amount="80", request_id="quote 1"
    )
    quotes = person.client.exchanges
    answers = await asyncio.gather(*(quotes.CreateQuote(request) for _ in range(8)))
    assert len({answer.id for answer in answers}) == 1
    age_rates(service)
    assert await quotes.CreateQuote(request) == answers[0]
    assert await replayed(quotes.CreateQuote(request))
    stranger, _, _ = await with_dollars(service)
    assert await reason(stranger.client.exchanges.CreateQuote(request)) == "RATE_STALE"


# Exchanges


async def test_exchange_moves_what_was_quoted(service: Service, verified: Verified) -> None:
    person, rubles, dollars = await with_dollars(service)
    quoted = await quote(person.client, from_amount="81.21")
    exchanges = person.client.exchanges
    made = await exchanges.CreateExchange(
        exchange(quoted, description="For the trip", metadata={"a": "b"})
    )
    assert (made.from_account, made.from_amount, made.from_currency) == (rubles, "81.21", "RUB")
    assert (made.to_account, made.to_amount, made.to_currency) == (dollars, "1.01", "USD")
    assert (made.quote, made.rate, made.balance) == (quoted.id, quoted.rate, "918.79")
    assert await person.balance(rubles) == "918.79"
    assert await person.balance(dollars) == "1.01"
    assert await exchanges.GetExchange(v1.GetExchangeRequest(exchange=made.id)) == made
    for account, amount, other in ((rubles, "-81.21", dollars), (dollars, "1.01", rubles)):
        listing = v1.ListEntriesRequest(
            account=account, kind=v1.MovementKind.MOVEMENT_KIND_EXCHANGE
        )
        (entry,) = (await person.client.accounts.ListEntries(listing)).entries
        assert (entry.amount, entry.counterparty, entry.movement) == (amount, other, made.id)
        assert entry.kind == v1.MovementKind.MOVEMENT_KIND_EXCHANGE
        assert (entry.description, dict(entry.metadata)) == ("For the trip", {"a": "b"})
    await verified()


async def test_exchanges_are_listed_by_the_account_that_paid_or_received(
    service: Service, verified: Verified
) -> None:
    person, rubles, dollars = await with_dollars(service)
    there = [
        await person.client.exchanges.CreateExchange(
            exchange(await quote(person.client, to_amount=f"{n}"))
        )
        for n in (1, 2, 3)
    ]
    back = await person.client.exchanges.CreateExchange(
        exchange(
            await quote(person.client, from_currency="USD", to_currency="RUB", from_amount="0.50")
        )
    )

    async def listed(**asked: Any) -> list[v1.Exchange]:
        pages = async_each(
            person.client.exchanges.ListExchanges,
            v1.ListExchangesRequest(page_size=2, **asked),
            lambda page: page.exchanges,
        )
        return [found async for found in pages]

    assert await listed() == [back, *reversed(there)]
    assert await listed(account=rubles, order_by="amount") == there
    assert await listed(account=rubles, received=True) == [back]
    assert await listed(account=dollars, received=True, order_by="date") == there
    large = v1.MovementFilter(min_amount="2")
    assert await listed(account=dollars, received=True, filter=large) == [there[2], there[1]]
    stranger = await service.person()
    get = v1.GetExchangeRequest(exchange=back.id)
    assert await reason(stranger.client.exchanges.GetExchange(get)) == "MOVEMENT_NOT_FOUND"
    as_transfer = v1.GetTransferRequest(transfer=back.id)
    assert await reason(person.client.transfers.GetTransfer(as_transfer)) == "MOVEMENT_NOT_FOUND"
    await verified()


async def test_exchange_is_repeated_after_its_quote_has_expired(
    service: Service, database_url: str
) -> None:
    person, rubles, _ = await with_dollars(service)
    quoted, unused = [await quote(person.client, from_amount="80") for _ in range(2)]
    request = exchange(quoted, request_id="exchange 1")
    made = await person.client.exchanges.CreateExchange(request)
    expire_quotes(database_url)
    assert await person.client.exchanges.CreateExchange(request) == made
    assert await replayed(person.client.exchanges.CreateExchange(request))
    late = await refused(person.client.exchanges.CreateExchange(exchange(unused)))
    assert late.reason == "QUOTE_EXPIRED"
    assert late.metadata["quote"] == unused.id
    again = await refused(person.client.exchanges.CreateExchange(exchange(quoted)))
    assert (again.reason, again.metadata["movement"]) == ("QUOTE_USED", made.id)
    assert await person.balance(rubles) == "920.00"


async def test_exchange_needs_an_account_in_the_other_currency(service: Service) -> None:
    person, rubles = await somebody(service, "1000")
    quoted = await quote(person.client, from_amount="80")
    create = person.client.exchanges.CreateExchange
    assert await reason(create(exchange(quoted))) == "ACCOUNT_NOT_FOUND"
    await person.open("USD")
    await create(exchange(quoted))
    poor = await quote(person.client, from_amount="920.01")
    error = await refused(create(exchange(poor)))
    assert (error.reason, error.metadata["missing"]) == ("INSUFFICIENT_FUNDS", "0.01")
    await person.deposit("0.01", rubles)
    # A refusal does not use the quote up.
    assert (await create(exchange(poor))).balance == "0.00"


async def test_one_quote_asked_for_by_many_at_once_is_carried_out_once(
    start_service: StartService, verified: Verified
) -> None:
    first, second = await start_service(), await start_service()
    person, rubles, dollars = await with_dollars(first)
    channels = [first.client(), second.client()]
    metadata = grpc.aio.Metadata(("authorization", f"Bearer {person.token.token}"))

    async def attempt(number: int, quoted: v1.Quote) -> str:
        client = channels[number % 2]
        try:
            if number % 3:
                await client.exchanges.CreateExchange(exchange(quoted), metadata=metadata)
            else:
                request = transfer(quoted, dollars)
                await client.transfers.CreateTransfer(request, metadata=metadata)
        except BalanceError as error:
            return error.reason
        return "done"

    for round_ in range(1, 6):
        quoted = await quote(person.client, from_amount="80")
        outcomes = await asyncio.gather(*(attempt(n, quoted) for n in range(24)))
        assert sorted(outcomes) == ["QUOTE_USED"] * 23 + ["done"]
        assert await person.balance(rubles) == f"{1000 - 80 * round_}.00"
        assert await person.balance(dollars) == f"{round_}.00"
    await verified()


# Transfers


async def test_transfer_by_quote_gives_the_receiver_another_currency(
    service: Service, verified: Verified
) -> None:
    person, rubles, _ = await with_dollars(service)
    stranger, _, dollars = await with_dollars(service)
    number = (
        await stranger.client.accounts.GetAccount(v1.GetAccountRequest(account=dollars))
    ).number
    quoted = await quote(person.client, to_amount="1.01")
    sent = await person.client.transfers.CreateTransfer(transfer(quoted, number))
    assert (sent.from_account, sent.amount, sent.currency) == (rubles, "80.80", "RUB")
    assert (sent.to_account, sent.quote, sent.rate) == (dollars, quoted.id, quoted.rate)
    assert (sent.received_amount, sent.received_currency) == ("1.01", "USD")
    assert (sent.balance, await stranger.balance(dollars)) == ("919.20", "1.01")
    get = v1.GetTransferRequest(transfer=sent.id)
    assert await person.client.transfers.GetTransfer(get) == sent
    theirs = await stranger.client.transfers.GetTransfer(get)
    assert (theirs.balance, theirs.received_amount) == ("", "1.01")
    received = v1.ListTransfersRequest(
        account=dollars, received=True, filter=v1.MovementFilter(max_amount="1.01")
    )
    assert list((await stranger.client.transfers.ListTransfers(received)).transfers) == [theirs]
    listing = v1.ListEntriesRequest(account=dollars)
    (entry,) = (await stranger.client.accounts.ListEntries(listing)).entries
    assert (entry.amount, entry.currency, entry.balance_after) == ("1.01", "USD", "1.01")
    assert entry.kind == v1.MovementKind.MOVEMENT_KIND_TRANSFER
    await verified()


async def test_transfer_must_be_what_was_quoted(service: Service, verified: Verified) -> None:
    person, rubles, own_dollars = await with_dollars(service)
    _, theirs, dollars = await with_dollars(service)
    quoted = await quote(person.client, from_amount="80")
    send = person.client.transfers.CreateTransfer
    mismatches = {
        "amount": {"amount": "80.01"},
        "currency": {"currency": "EUR"},
        "from_account,amount,currency": {
            "from_account": own_dollars,
            "amount": "1",
            "currency": "USD",
        },
    }
    for fields, changed in mismatches.items():
        error = await refused(send(transfer(quoted, dollars, **changed)))
        assert (error.reason, error.metadata["fields"]) == ("QUOTE_MISMATCH", fields)
    # Whether a stranger's account has another currency is not told.
    assert await reason(send(transfer(quoted, theirs))) == "RECEIVER_UNAVAILABLE"
    assert await reason(send(transfer(quoted, rubles))) == "SAME_ACCOUNT"
    without = transfer(quoted, dollars, quote="")
    assert await reason(send(without)) == "RECEIVER_UNAVAILABLE"
    batch = v1.BatchCreateTransfersRequest(
        requests=[transfer(quoted, dollars), transfer(quoted, dollars)]
    )
    outcomes = (await person.client.transfers.BatchCreateTransfers(batch)).outcomes
    assert [outcome.HasField("transfer") for outcome in outcomes] == [True, False]
    assert "carried out before" in outcomes[1].error.message
    await verified()


async def test_quote_is_forgotten_days_after_its_end_unless_it_was_carried_out(
    service: Service, database_url: str
) -> None:
    person, _, _ = await with_dollars(service)
    used, unused = [await quote(person.client, from_amount="80") for _ in range(2)]
    request = exchange(used, request_id="first")
    made = await person.client.exchanges.CreateExchange(request)
    expire_quotes(database_url, timedelta(days=8))
    await service.app.maintenance.clear_quotes()
    gone = person.client.exchanges.GetQuote(v1.GetQuoteRequest(quote=unused.id))
    assert await reason(gone) == "QUOTE_NOT_FOUND"
    found = await person.client.exchanges.GetQuote(v1.GetQuoteRequest(quote=used.id))
    assert (found.id, found.rate) == (used.id, made.rate)
    assert await person.client.exchanges.CreateExchange(request) == made


# Services


async def test_services_need_a_scope_and_an_account(service: Service, verified: Verified) -> None:
    person, rubles, dollars = await with_dollars(service)
    exchanging = await service.sibling(Scope.EXCHANGES_WRITE, Scope.ACCOUNTS_READ)
    transferring = await service.sibling(Scope.TRANSFERS_WRITE)
    other = await service.sibling(Scope.DEPOSITS_WRITE)
    error = await refused(quote(exchanging, from_amount="80"))
    assert [violation.field for violation in error.violations] == ["from_account"]
    error = await refused(quote(other, from_amount="80", from_account=rubles))
    assert error.metadata["required"] == "scope exchanges:write or transfers:write"
    first = await quote(exchanging, from_amount="80", from_account=rubles)
    made = await exchanging.exchanges.CreateExchange(exchange(first))
    assert (made.to_account, made.principal) == (dollars, first.principal)
    second = await quote(transferring, from_amount="80", from_account=rubles)
    create = transferring.exchanges.CreateExchange(exchange(second))
    assert await reason(create) == "PERMISSION_MISSING"
    sent = await transferring.transfers.CreateTransfer(
        transfer(second, dollars, from_account=rubles)
    )
    assert sent.received_amount == "1.00"
    get = v1.GetExchangeRequest(exchange=made.id)
    assert await exchanging.exchanges.GetExchange(get) == made
    assert await person.client.exchanges.GetExchange(get) == made
    await verified()
