"""What callers see of an account with sub-accounts: one account, as any other."""

import asyncio
from decimal import Decimal

from balance_client import v1
from balance_service._generated.balance.v1 import account_pb2
from balance_service.domain.audit import Actor
from tests.service import Person, Service, reason, rich

PATIENCE_SECONDS = 60


async def entries(person: Person, account: str) -> list[v1.Entry]:
    request = v1.ListEntriesRequest(account=account, page_size=100, order_by="date")
    return list((await person.client.accounts.ListEntries(request)).entries)


async def all_entries(person: Person, account: str, count: int) -> list[v1.Entry]:
    """The entries of an account, once there are so many."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found := await entries(person, account)) < count:
            await asyncio.sleep(0.05)
    return found


async def test_callers_see_one_account(service: Service) -> None:
    payer, paying = await rich(service)
    owner = await service.person()
    shop = (await owner.open()).id
    asked = account_pb2.CloseAccountRequest(account=shop, reason="A sale")
    await service.app.changes.set_sub_accounts(asked, 4, Actor("operator:test"))

    def pay(amount: str) -> v1.CreateTransferRequest:
        return v1.CreateTransferRequest(from_account=paying, to_account=shop, amount=amount)

    async def send(amount: str) -> v1.Transfer:
        return await payer.client.transfers.CreateTransfer(pay(amount))

    received = 0
    for _ in range(5):
        await asyncio.gather(*(send("1") for _ in range(4)))
        received += 4
        assert Decimal(await owner.balance(shop)) == received
    back = v1.CreateTransferRequest(from_account=shop, to_account=paying, amount="20")
    await owner.client.transfers.CreateTransfer(back)
    assert Decimal(await owner.balance(shop)) == 0
    last = await send("3")
    assert last.to_account == shop

    found = await all_entries(owner, shop, 22)
    assert [entry.sequence for entry in found] == list(range(1, 23))
    balance = Decimal()
    for entry in found:
        balance += Decimal(entry.amount)
        assert Decimal(entry.balance_after) == balance
    assert found[-1].movement == last.id
    whole = await owner.client.accounts.GetAccount(v1.GetAccountRequest(account=shop))
    assert Decimal(whole.balance) == balance == 3

    admin = await service.admin()
    freeze = v1.FreezeAccountRequest(account=shop, reason="Looked into")
    await admin.client.accounts.FreezeAccount(freeze)
    assert await reason(send("1")) == "RECEIVER_UNAVAILABLE"
    await admin.client.accounts.UnfreezeAccount(v1.UnfreezeAccountRequest(account=shop))
    await send("1")
    close = v1.CloseAccountRequest(account=shop)
    assert await reason(admin.client.accounts.CloseAccount(close)) == "ACCOUNT_NOT_EMPTY"
    assert Decimal(await owner.balance(shop)) == 4
