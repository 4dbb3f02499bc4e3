"""What requests of every method are about, over gRPC and over HTTP."""

import asyncio
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import AsyncClient, v1
from balance_service.config import Settings
from balance_service.database import pool as pools
from tests import schedules
from tests.approvals import two_asked
from tests.authenticators import ask_again
from tests.checkpoints import cover_all
from tests.service import Person, Service
from tests.webhooks import add


@dataclass
class World:
    """Things to ask for."""

    admin: Person
    account: str
    other: str
    ids: dict[str, str]
    refresh_token: str
    began: Timestamp


OPEN = v1.ListHoldsRequest(status=v1.HOLD_STATUS_OPEN)


async def first_event(client: AsyncClient) -> v1.Event:
    """The oldest event that a client may read, once it can be read."""
    async with asyncio.timeout(60):
        while True:
            listed = await client.events.ListEvents(v1.ListEventsRequest(page_size=1))
            if listed.events:
                return listed.events[0]
            await asyncio.sleep(0.05)


async def make_checkpoint(settings: Settings) -> None:
    """Covers all that is committed."""
    async with pools.create(settings.database_url.get_secret_value(), 2) as pool:
        await cover_all(pool, settings)


async def world(service: Service) -> World:
    admin, boris = await service.admin(), await service.person()
    account, other = await admin.open(), await boris.open()
    deposit = await admin.deposit("1000", account.id)
    client = admin.client
    services = [
        await client.purchases.CreateService(
            v1.CreateServiceRequest(service=v1.Service(name=name, price="4.99", currency="USD"))
        )
        for name in ("Tea", "Milk", "Salt")
    ]
    await admin.open("USD")
    quotes = [
        await client.exchanges.CreateQuote(
            v1.CreateQuoteRequest(from_currency="RUB", to_currency="USD", to_amount="0.10")
        )
        for _ in range(2)
    ]
    exchange = await client.exchanges.CreateExchange(v1.CreateExchangeRequest(quote=quotes[0].id))
    withdrawal = await client.withdrawals.CreateWithdrawal(v1.CreateWithdrawalRequest(amount="1"))
    purchase = await client.purchases.CreatePurchase(
        v1.CreatePurchaseRequest(service=services[0].id)
    )
    transfer = await client.transfers.CreateTransfer(
        v1.CreateTransferRequest(to_account=other.id, amount="7")
    )
    hold = v1.CreateHoldRequest(to_account=other.id, amount="2")
    holds = [await client.holds.CreateHold(hold) for _ in range(3)]
    returned = v1.RefundPurchaseRequest(purchase=purchase.id, amount="1", reason="Late")
    reversal = await client.purchases.RefundPurchase(returned)
    again = await ask_again(service, admin.email, service.settings.database_url.get_secret_value())
    await service.client().auth.CreateToken(again)
    sessions = (await client.users.ListSessions(v1.ListSessionsRequest())).sessions
    closed = await boris.open("JPY")
    await client.accounts.CloseAccount(v1.CloseAccountRequest(account=closed.id))
    scheduled = [await schedules.make(client, schedules.daily(other.id)) for _ in range(4)]
    await client.schedules.PauseSchedule(v1.PauseScheduleRequest(schedule=scheduled[2].id))
    to_approve, to_reject = await two_asked(service)
    endpoints = [await add(client, "https://93.184.216.34/", disabled=True) for _ in range(2)]
    test = await client.webhooks.SendTestEvent(v1.SendTestEventRequest(endpoint=endpoints[0].id))
    await first_event(client)
    await make_checkpoint(service.settings)
    ids = {
        "endpoint": endpoints[0].id,
        "leaving endpoint": endpoints[1].id,
        "test event": test.event,
        "to approve": to_approve,
        "to reject": to_reject,
        "reversal": reversal.id,
        "held": holds[0].id,
        "captured": holds[1].id,
        "voided": holds[2].id,
        "deposit": deposit.id,
        "withdrawal": withdrawal.id,
        "purchase": purchase.id,
        "transfer": transfer.id,
        "exchange": exchange.id,
        "quote": quotes[1].id,
        "sold": services[1].id,
        "leaving": services[2].id,
        "boris": boris.user_id,
        "third": (await (await service.person()).open()).id,
        "session": sessions[0].id,
        "closed": closed.id,
        "scheduled": scheduled[0].id,
        "to pause": scheduled[1].id,
        "paused": scheduled[2].id,
        "to cancel": scheduled[3].id,
    }
    return World(admin, account.id, other.id, ids, boris.token.refresh_token, deposit.date)
