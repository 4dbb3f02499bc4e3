"""What callers see of an account with sub-accounts: one account, as any other."""

import asyncio
from decimal import Decimal
from typing import Any
from uuid import uuid4

from balance_client import AsyncClient, v1
from balance_service.domain.principals import Scope
from tests.audit import events
from tests.service import Person, Service, reason, refused, rich, somebody

PATIENCE_SECONDS = 60


async def split(person: Person, account: str, count: int, request_id: str = "") -> v1.Account:
    request = v1.SetSubAccountsRequest(
        account=account, sub_accounts=count, reason="A sale", request_id=request_id
    )
    return await person.client.accounts.SetSubAccounts(request)


async def read(client: AsyncClient, account: str) -> v1.Account:
    return await client.accounts.GetAccount(v1.GetAccountRequest(account=account))


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
    admin = await service.admin()
    await split(admin, shop, 4)

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

    freeze = v1.FreezeAccountRequest(account=shop, reason="Looked into")
    await admin.client.accounts.FreezeAccount(freeze)
    assert await reason(send("1")) == "RECEIVER_UNAVAILABLE"
    await admin.client.accounts.UnfreezeAccount(v1.UnfreezeAccountRequest(account=shop))
    await send("1")
    close = v1.CloseAccountRequest(account=shop)
    assert await reason(admin.client.accounts.CloseAccount(close)) == "ACCOUNT_NOT_EMPTY"
    assert Decimal(await owner.balance(shop)) == 4


async def test_number_is_set_once_and_told_to_operators_alone(service: Service) -> None:
    admin, (owner, shop) = await service.admin(), await somebody(service)
    reading = await service.sibling(Scope.ACCOUNTS_READ)
    assert not (await split(admin, shop, 0)).HasField("sub_accounts")
    request_id = str(uuid4())
    assert (await split(admin, shop, 8, request_id)).sub_accounts == 8
    await split(admin, shop, 3)
    assert (await split(admin, shop, 8, request_id)).sub_accounts == 8
    assert await reason(split(admin, shop, 4, request_id)) == "IDEMPOTENCY_KEY_REUSED"

    found = await admin.client.accounts.SearchAccounts(v1.SearchAccountsRequest())
    assert [each.sub_accounts for each in found.accounts] == [3]
    for client in (admin.client, reading):
        assert (await read(client, shop)).sub_accounts == 3
    mine = await owner.client.accounts.ListAccounts(v1.ListAccountsRequest())
    looked_up = v1.LookupAccountRequest(currency="RUB")
    for told in (
        await read(owner.client, shop),
        mine.accounts[0],
        await owner.client.accounts.LookupAccount(looked_up),
    ):
        assert not told.HasField("sub_accounts")
    changes = v1.ListAccountChangesRequest(account=shop)
    assert not (await owner.client.accounts.ListAccountChanges(changes)).changes

    recorded = await events(admin, target=f"account:{shop}")
    counts = [(event.before["sub_accounts"], event.after["sub_accounts"]) for event in recorded]
    assert counts == [("0", "0"), ("0", "8"), ("8", "3")]
    assert {event.action for event in recorded} == {"account.sub_accounts_set"}
    assert {(e.reason, e.actor) for e in recorded} == {("A sale", f"user:{admin.user_id}")}


async def test_wrong_requests_and_callers_are_refused_and_change_nothing(service: Service) -> None:
    admin, (owner, shop) = await service.admin(), await somebody(service)
    right: dict[str, Any] = {"account": shop, "sub_accounts": 2, "reason": "A sale"}
    wrong: list[dict[str, Any]] = [
        {"sub_accounts": None},
        {"sub_accounts": -1},
        {"sub_accounts": 65},
        {"reason": ""},
        {"reason": "x" * 201},
        {"account": "x"},
    ]
    for change in wrong:
        request = v1.SetSubAccountsRequest(**{**right, **change})
        error = await refused(admin.client.accounts.SetSubAccounts(request))
        told = [violation.field for violation in error.violations]
        assert (error.reason, told) == ("INVALID_FIELD", list(change)), change
    reading = await service.sibling(Scope.ACCOUNTS_READ)
    for client in (owner.client, reading):
        call = client.accounts.SetSubAccounts(v1.SetSubAccountsRequest(**right))
        assert await reason(call) == "PERMISSION_MISSING"
    assert await reason(split(admin, str(uuid4()), 2)) == "ACCOUNT_NOT_FOUND"
    assert not (await read(admin.client, shop)).HasField("sub_accounts")
    assert not await events(admin, target=f"account:{shop}", action="account.sub_accounts_set")

    writing = await service.sibling(Scope.ACCOUNTS_WRITE)
    done = await writing.accounts.SetSubAccounts(v1.SetSubAccountsRequest(**right))
    assert done.sub_accounts == 2
    await admin.client.accounts.CloseAccount(v1.CloseAccountRequest(account=shop))
    assert await reason(split(admin, shop, 3)) == "ACCOUNT_CLOSED"
