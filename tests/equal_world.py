"""What requests with an idempotency key are about: who asks, and what is there for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import Message

from balance_client import v1
from tests import schedules
from tests.approvals import two_asked
from tests.service import Person, Service
from tests.webhooks import add


@dataclass(frozen=True)
class Row:
    """A request, the same spelled differently, and others by the field that differs.

    A different one names, as its key, a field that the refusal must name.
    """

    first: Message
    equal: Sequence[Message]
    different: Mapping[str, Message] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """Who asks, and what about: ids as they are told, in small letters."""

    admin: Person
    account: str
    other: v1.Account
    empty: str
    sold: str
    second: str
    boris: str
    ids: Mapping[str, str]
    quotes: Sequence[str]
    approvals: Sequence[str]
    third: v1.Account
    fourth: v1.Account
    endpoints: Sequence[str]
    test_events: Sequence[str]


async def world(service: Service) -> World:
    admin, boris = await service.admin(), await service.person()
    account, other, empty = await admin.open(), await boris.open(), await boris.open("EUR")
    await admin.open("USD")
    await admin.deposit("1000", account.id)
    sold, second = [
        await admin.client.purchases.CreateService(
            v1.CreateServiceRequest(service=v1.Service(name=name, price="10"))
        )
        for name in ("Tea", "Milk")
    ]
    quotes = [
        await admin.client.exchanges.CreateQuote(
            v1.CreateQuoteRequest(from_currency="RUB", to_currency="USD", to_amount="1")
        )
        for _ in range(2)
    ]
    listening, tests = await heard(admin)
    return World(
        admin,
        account.id,
        other,
        empty.id,
        sold.id,
        second.id,
        boris.user_id,
        await made(admin, other.id),
        [quote.id for quote in quotes],
        [*await two_asked(service), *await two_asked(service)],
        await (await service.person()).open(),
        await (await service.person()).open(),
        listening,
        tests,
    )


async def heard(admin: Person) -> tuple[list[str], list[str]]:
    """Two endpoints of webhooks, and what is to be sent to the first."""
    first, second = [
        (await add(admin.client, "https://93.184.216.34/", disabled=True)).id for _ in range(2)
    ]
    test = v1.SendTestEventRequest(endpoint=first)
    sent = [(await admin.client.webhooks.SendTestEvent(test)).event for _ in range(2)]
    return [first, second], sent


async def made(admin: Person, other: str) -> dict[str, str]:
    """Movements and holds that requests are about, by what becomes of them."""
    client, ids = admin.client, {}
    for name in ("deposit", "second deposit"):
        ids[name] = (await admin.deposit("9")).id
    for name in ("schedule", "second schedule"):
        ids[name] = (await schedules.make(client, schedules.daily(other))).id
    withdraw = v1.CreateWithdrawalRequest(amount="9")
    send = v1.CreateTransferRequest(to_account=other, amount="9")
    hold = v1.CreateHoldRequest(to_account=other, amount="9")
    for name in ("", "second "):
        ids[f"{name}withdrawal"] = (await client.withdrawals.CreateWithdrawal(withdraw)).id
        ids[f"{name}transfer"] = (await client.transfers.CreateTransfer(send)).id
        for fate in ("captured", "voided"):
            ids[f"{name}{fate}"] = (await client.holds.CreateHold(hold)).id
        offer = v1.Service(name=f"{name}refunded", price="9")
        sold = await client.purchases.CreateService(v1.CreateServiceRequest(service=offer))
        buy = v1.CreatePurchaseRequest(service=sold.id)
        ids[f"{name}purchase"] = (await client.purchases.CreatePurchase(buy)).id
        quote = await client.exchanges.CreateQuote(
            v1.CreateQuoteRequest(from_currency="RUB", to_currency="USD", from_amount="90")
        )
        exchange = v1.CreateExchangeRequest(quote=quote.id)
        ids[f"{name}exchange"] = (await client.exchanges.CreateExchange(exchange)).id
    return ids
