"""What callers are told of entries that are archived, and that everything else is as before."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import BalanceError, v1
from balance_service._generated.balance.v1 import user_pb2
from balance_service.database import pool as pools
from balance_service.domain import errors
from balance_service.operations import accounts, desk, users
from balance_service.operations.accounts import Period
from balance_service.repositories import totals
from tests.archived import archive
from tests.parity_world import make_checkpoint
from tests.service import Person, Service, reason, refused, replayed, somebody
from tests.statements import history, statement


def moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


async def page(person: Person, account: str, **asked: object) -> v1.ListEntriesResponse:
    request = v1.ListEntriesRequest(account=account, **asked)  # type: ignore[arg-type]
    return await person.client.accounts.ListEntries(request)


def numbers(listed: v1.ListEntriesResponse) -> list[int]:
    return [entry.sequence for entry in listed.entries]


async def all_added_up(database_url: str) -> None:
    """Waits until totals have all that was posted, without which nothing is archived."""
    async with pools.create(database_url, 2) as pool, asyncio.timeout(60):
        while True:
            async with pools.transaction(pool) as conn:
                await totals.roll_up(conn)
                progress = await totals.progress(conn)
            if progress.followed == progress.newest and not progress.unnumbered:
                return
            await asyncio.sleep(0.05)


async def half_archived(service: Service, database_url: str) -> tuple[Person, str, Timestamp]:
    """Somebody with entries 5 to 7 of an account, whose first four are archived; the horizon."""
    person, account = await somebody(service)
    await history(person, account, ["100", "-30", "5", "40", "-2", "60", "1"])
    horizon = (await page(person, account)).entries[2].date
    await archive(database_url, moment(horizon))
    return person, account, horizon


async def test_list_says_where_it_meets_the_archive(service: Service, database_url: str) -> None:
    person, account, horizon = await half_archived(service, database_url)

    newest = await page(person, account, page_size=2, count_total=True)
    assert (numbers(newest), newest.total_size) == ([7, 6], 3)
    assert not newest.HasField("archived_before")
    last = await page(person, account, page_size=2, page_token=newest.next_page_token)
    assert (numbers(last), last.next_page_token, last.archived_before) == ([5], "", horizon)
    whole = await page(person, account, page_size=3)
    assert (numbers(whole), whole.next_page_token, whole.archived_before) == (
        [7, 6, 5],
        "",
        horizon,
    )

    oldest = await page(person, account, page_size=2, order_by="date")
    assert (numbers(oldest), oldest.archived_before) == ([5, 6], horizon)
    rest = await page(
        person, account, page_size=2, order_by="date", page_token=oldest.next_page_token
    )
    assert (numbers(rest), rest.next_page_token) == ([7], "")
    assert not rest.HasField("archived_before")

    by_size = await page(person, account, order_by="amount desc", count_total=True)
    assert (numbers(by_size), by_size.total_size) == ([6, 5, 7], 3)
    assert by_size.archived_before == horizon
    paid_in = await page(person, account, kind=v1.MOVEMENT_KIND_DEPOSIT, count_total=True)
    assert (numbers(paid_in), paid_in.total_size) == ([7, 6], 2)
    assert paid_in.archived_before == horizon
    skipped = await page(person, account, order_by="date", skip=1, page_size=1)
    assert (numbers(skipped), skipped.archived_before) == ([6], horizon)
    beyond = await page(person, account, skip=5)
    assert (numbers(beyond), beyond.archived_before) == ([], horizon)
    over_http = await person.http("GET", f"/api/v1/accounts/{account}/entries/?page=1&page_size=2")
    assert (over_http.json["count"], len(over_http.json["results"])) == (3, 2)


async def test_list_of_an_archived_time_is_refused(service: Service, database_url: str) -> None:
    person, account, horizon = await half_archived(service, database_url)
    earlier = Timestamp(seconds=1)
    for wanted in (
        v1.MovementFilter(start_time=earlier),
        v1.MovementFilter(end_time=horizon),
        v1.MovementFilter(start_effective_time=earlier),
    ):
        # Also on a page that does not come to what is archived.
        error = await refused(page(person, account, filter=wanted, page_size=1))
        assert error.reason == "PERIOD_ARCHIVED"
        available = datetime.fromisoformat(error.metadata["available_from"])
        assert available <= moment(horizon)
    begun = await page(person, account, filter=v1.MovementFilter(start_time=horizon))
    assert numbers(begun) == [7, 6, 5]
    assert not begun.HasField("archived_before")
    other, fresh = await somebody(service, "5")
    listed = await page(other, fresh, filter=v1.MovementFilter(start_time=earlier))
    assert numbers(listed) == [1]
    assert not listed.HasField("archived_before")
    answer = await person.http(
        "GET", f"/api/v1/accounts/{account}/entries/?filter.start_time=2020-01-01T00:00:00Z"
    )
    assert (answer.status, answer.reason) == (400, "PERIOD_ARCHIVED")


async def test_list_goes_on_after_its_entries_were_archived(
    service: Service, database_url: str
) -> None:
    person, account = await somebody(service)
    await history(person, account, [str(n) for n in range(1, 8)])
    kind = v1.MOVEMENT_KIND_DEPOSIT
    newest = [await page(person, account, page_size=2, kind=one) for one in (0, kind)]
    oldest = [await page(person, account, page_size=2, order_by="date", kind=k) for k in (0, kind)]
    horizon = (await page(person, account)).entries[2].date
    await archive(database_url, moment(horizon))
    for one, first in zip((0, kind), newest, strict=True):
        listed = await page(person, account, kind=one, page_token=first.next_page_token)
        assert (numbers(listed), listed.archived_before) == ([5], horizon)
    for one, first in zip((0, kind), oldest, strict=True):
        assert numbers(first) == [1, 2]
        listed = await page(
            person, account, kind=one, order_by="date", page_token=first.next_page_token
        )
        assert (numbers(listed), listed.archived_before) == ([5, 6, 7], horizon)


async def test_lists_over_all_accounts_say_it_too(service: Service, database_url: str) -> None:
    person, _, horizon = await half_archived(service, database_url)
    await person.open("USD")
    await person.deposit("1", currency="USD")
    deposits = await person.client.deposits.ListDeposits(v1.ListDepositsRequest(count_total=True))
    assert (len(deposits.deposits), deposits.total_size) == (3, 3)
    assert deposits.archived_before == horizon
    withdrawals = await person.client.withdrawals.ListWithdrawals(v1.ListWithdrawalsRequest())
    assert (len(withdrawals.withdrawals), withdrawals.archived_before) == (1, horizon)
    transfers = await person.client.transfers.ListTransfers(v1.ListTransfersRequest())
    purchases = await person.client.purchases.ListPurchases(v1.ListPurchasesRequest())
    exchanges = await person.client.exchanges.ListExchanges(v1.ListExchangesRequest())
    assert [it.archived_before for it in (transfers, purchases, exchanges)] == [horizon] * 3
    exported = await person.client.users.ExportUser(v1.ExportUserRequest(user=person.user_id))
    assert (len(exported.entries), exported.archived_before) == (4, horizon)


async def test_past_and_statements_are_right_from_the_horizon_on(
    service: Service, database_url: str
) -> None:
    person, account, horizon = await half_archived(service, database_url)
    long_ago, client = Timestamp(seconds=1), person.client
    at = v1.GetAccountRequest(account=account, as_of=horizon)
    assert (await client.accounts.GetAccount(at)).balance == "113.00"
    before = v1.GetAccountRequest(account=account, as_of=long_ago)
    assert await reason(client.accounts.GetAccount(before)) == "PERIOD_ARCHIVED"
    end = (await page(person, account)).entries[0].date
    asked = v1.GetStatementRequest(account=account, start_time=horizon, end_time=end)
    told = await client.statements.GetStatement(asked)
    assert (told.opening_balance, told.closing_balance, told.first_sequence) == (
        "115.00",
        "173.00",
        5,
    )
    file = v1.DownloadStatementRequest(account=account, start_time=horizon, end_time=end)
    written = b"".join([part.data async for part in client.statements.DownloadStatement(file)])
    assert b"115.00" in written
    file.start_time.CopyFrom(long_ago)
    with pytest.raises(BalanceError) as error:
        async for _ in client.statements.DownloadStatement(file):
            pass
    assert error.value.reason == "PERIOD_ARCHIVED"

    admin = await service.admin()
    reports = admin.client.reports
    listed = await reports.ListBalances(v1.ListBalancesRequest(as_of=horizon))
    assert [it.balance for it in listed.balances if it.account == account] == ["113.00"]
    assert await reason(reports.ListBalances(v1.ListBalancesRequest(as_of=long_ago))) == (
        "PERIOD_ARCHIVED"
    )


async def test_requests_of_archived_time_are_answered_as_before(
    service: Service, database_url: str
) -> None:
    (anna, account), (_, other) = await somebody(service, "1000"), await somebody(service, "10")
    admin = await service.admin()
    sold = v1.CreateServiceRequest(service=v1.Service(name="Tea", price="7", currency="RUB"))
    tea = (await admin.client.purchases.CreateService(sold)).id
    client = anna.client
    held = await client.holds.CreateHold(v1.CreateHoldRequest(to_account=other, amount="5"))
    late = await client.holds.CreateHold(v1.CreateHoldRequest(to_account=other, amount="6"))
    ids = [str(uuid4()) for _ in range(4)]
    deposit = v1.CreateDepositRequest(account=account, amount="50", request_id=ids[0])
    transfer = v1.CreateTransferRequest(to_account=other, amount="20", request_id=ids[1])
    purchase = v1.CreatePurchaseRequest(service=tea, request_id=ids[2])
    capture = v1.CaptureHoldRequest(hold=held.id, request_id=ids[3])

    def calls() -> list[object]:
        return [
            client.deposits.CreateDeposit(deposit),
            client.transfers.CreateTransfer(transfer),
            client.purchases.CreatePurchase(purchase),
            client.holds.CaptureHold(capture),
        ]

    first = [await call for call in calls()]  # type: ignore[misc]
    bought = first[2]
    limits = v1.GetAccountRequest(account=account)
    shown = await client.accounts.GetAccount(limits)
    await make_checkpoint(service.settings)
    receipt = v1.GetReceiptRequest(movement=first[1].id)
    await client.proofs.GetReceipt(receipt)
    await all_added_up(database_url)
    trial = v1.GetTrialBalanceRequest()
    balances = (await admin.client.ledgers.GetTrialBalance(trial)).currencies

    await archive(database_url, datetime.now(UTC))
    for call in calls():
        assert await replayed(call)
    again = [await call for call in calls()]  # type: ignore[misc]
    assert again == first
    assert await client.accounts.GetAccount(limits) == shown
    assert (await admin.client.ledgers.GetTrialBalance(trial)).currencies == balances
    assert await reason(client.proofs.GetReceipt(receipt)) == "PERIOD_ARCHIVED"
    twice = await client.purchases.CreatePurchase(v1.CreatePurchaseRequest(service=tea))
    assert twice.id == bought.id
    got = await client.transfers.GetTransfer(v1.GetTransferRequest(transfer=first[1].id))
    assert got.amount == "20.00"

    # What follows movements of archived time still does.
    refund = v1.RefundPurchaseRequest(purchase=bought.id, reason="Late")
    await admin.client.purchases.RefundPurchase(refund)
    await client.holds.CaptureHold(v1.CaptureHoldRequest(hold=late.id))
    assert [
        e.balance_after for e in await statement(anna, v1.ListEntriesRequest(account=account))
    ] == [
        "1019.00",
        "1025.00",
    ]


async def test_operators_are_told_at_the_command_line(service: Service, database_url: str) -> None:
    person, account, horizon = await half_archived(service, database_url)
    async with desk.opened(service.settings) as at:
        for limit, archived in ((10, moment(horizon)), (2, None)):
            _, entries, before = await accounts.statement(at, account, Period(None, None), limit)
            assert ([entry.sequence for entry in entries], before) == ([7, 6, 5][:limit], archived)
        with pytest.raises(errors.PeriodArchived):
            await accounts.statement(at, account, Period(datetime(2020, 1, 1, tzinfo=UTC), None), 5)
        told = {what: message async for what, message in users.export(at, person.email)}
    assert told["archived"] == user_pb2.ExportUserResponse(archived_before=horizon)
