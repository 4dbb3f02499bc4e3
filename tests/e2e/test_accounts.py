"""AccountService, through the client."""

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from uuid import uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import async_each, v1
from balance_service.domain.principals import Scope
from balance_service.reading.past import SKEW_MAX
from balance_service.servicers import account as account_servicer
from tests.commits import slow_down
from tests.conftest import Person, Service, reason, refused


async def history(person: Person, account: str, amounts: list[str]) -> None:
    for amount in amounts:
        if amount.startswith("-"):
            request = v1.CreateWithdrawalRequest(account=account, amount=amount[1:])
            await person.client.withdrawals.CreateWithdrawal(request)
        else:
            await person.deposit(amount, account)


async def statement(person: Person, request: v1.ListEntriesRequest) -> list[v1.Entry]:
    pages = async_each(person.client.accounts.ListEntries, request, lambda page: page.entries)
    return [entry async for entry in pages]


async def test_account_is_opened_once_per_currency(service: Service) -> None:
    person = await service.person()
    opened = await asyncio.gather(*(person.open() for _ in range(8)))
    assert len({account.id for account in opened}) == 1
    dollars = await person.open("USD")
    assert dollars.id != opened[0].id
    assert (opened[0].currency, dollars.currency) == ("RUB", "USD")
    assert (opened[0].balance, opened[0].limit, opened[0].status) == ("0.00", "0.00", 1)
    listed = await person.client.accounts.ListAccounts(v1.ListAccountsRequest())
    assert [account.id for account in listed.accounts] == [opened[0].id, dollars.id]


async def test_accounts_are_paged(service: Service) -> None:
    person = await service.person()
    opened = [(await person.open(code)).id for code in ("RUB", "USD", "EUR", "JPY", "KWD")]
    request = v1.ListAccountsRequest(page_size=2)
    pages = async_each(person.client.accounts.ListAccounts, request, lambda page: page.accounts)
    assert [account.id async for account in pages] == opened


async def test_balance_is_shown_in_another_currency_with_its_rate(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    await person.deposit("1000.01", account.id)
    request = v1.GetAccountRequest(account=account.id, currency="USD")
    shown = await person.client.accounts.GetAccount(request)
    assert (shown.currency, shown.balance) == ("USD", "12.50")
    conversion = shown.conversion
    assert (conversion.amount, conversion.currency) == ("1000.01", "RUB")
    assert (conversion.rate, conversion.source) == ("0.0125", "static")
    assert conversion.HasField("time")
    listed = await person.client.accounts.ListAccounts(v1.ListAccountsRequest(currency="USD"))
    assert listed.accounts[0].balance == "12.50"


async def test_statement_tells_who_why_and_when(service: Service) -> None:
    anna, boris = await service.person(), await service.person()
    ours, theirs = await anna.open(), await boris.open()
    await anna.deposit("100", ours.id)
    await anna.client.transfers.CreateTransfer(
        v1.CreateTransferRequest(
            to_account=theirs.id, amount="30.25", description="Tickets", metadata={"order": "7"}
        )
    )
    lines = await statement(anna, v1.ListEntriesRequest(account=ours.id))
    assert [(e.sequence, e.kind, e.amount, e.balance_after) for e in lines] == [
        (2, v1.MOVEMENT_KIND_TRANSFER, "-30.25", "69.75"),
        (1, v1.MOVEMENT_KIND_DEPOSIT, "100.00", "100.00"),
    ]
    sent = lines[0]
    assert (sent.counterparty, sent.description) == (theirs.id, "Tickets")
    assert (sent.principal, dict(sent.metadata)) == (f"user:{anna.user_id}", {"order": "7"})
    assert sent.HasField("date")
    received = (await statement(boris, v1.ListEntriesRequest(account=theirs.id)))[0]
    assert (received.amount, received.counterparty) == ("30.25", ours.id)
    assert received.principal == f"user:{anna.user_id}"


AMOUNTS = ["50", "10", "-5", "30", "-5", "20", "10", "0.01"]


@pytest.mark.parametrize("page_size", [1, 3, 100])
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("", [8, 7, 6, 5, 4, 3, 2, 1]),
        ("date desc", [8, 7, 6, 5, 4, 3, 2, 1]),
        ("date", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("amount", [8, 3, 5, 2, 7, 6, 4, 1]),
        ("amount desc", [1, 4, 6, 2, 7, 3, 5, 8]),
    ],
)
async def test_statement_is_ordered_and_paged(
    service: Service, order: str, expected: list[int], page_size: int
) -> None:
    person = await service.person()
    account = await person.open()
    await history(person, account.id, AMOUNTS)
    request = v1.ListEntriesRequest(account=account.id, order_by=order, page_size=page_size)
    assert [entry.sequence for entry in await statement(person, request)] == expected


@pytest.mark.parametrize("order", ["date", "date desc", "amount", "amount desc"])
async def test_pages_are_stable_while_entries_are_added(service: Service, order: str) -> None:
    person = await service.person()
    account = await person.open()
    await history(person, account.id, AMOUNTS)
    whole = await statement(person, v1.ListEntriesRequest(account=account.id, order_by=order))
    request = v1.ListEntriesRequest(account=account.id, order_by=order, page_size=2)
    seen: list[v1.Entry] = []
    while True:
        page = await person.client.accounts.ListEntries(request)
        seen += page.entries
        await history(person, account.id, ["15"])
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == whole


async def test_statement_is_filtered(service: Service) -> None:
    anna, boris = await service.person(), await service.person()
    ours, theirs = await anna.open(), await boris.open()
    await history(anna, ours.id, AMOUNTS)
    transfer = v1.CreateTransferRequest(to_account=theirs.id, amount="7")
    await anna.client.transfers.CreateTransfer(transfer)
    dates = [e.date for e in await statement(anna, v1.ListEntriesRequest(account=ours.id))][::-1]

    async def kept(kind: int = 0, **bounds: object) -> list[int]:
        request = v1.ListEntriesRequest(
            account=ours.id,
            order_by="date",
            kind=kind,  # type: ignore[arg-type]
            filter=v1.MovementFilter(**bounds),  # type: ignore[arg-type]
            page_size=2,
        )
        return [entry.sequence for entry in await statement(anna, request)]

    assert await kept(min_amount="10", max_amount="30") == [2, 4, 6, 7]
    assert await kept(max_amount="5") == [3, 5, 8]
    assert await kept(kind=v1.MOVEMENT_KIND_WITHDRAWAL) == [3, 5]
    assert await kept(counterparty=theirs.id) == [9]
    assert await kept(start_time=dates[6]) == [7, 8, 9]
    assert await kept(end_time=dates[2]) == [1, 2]
    assert await kept(start_time=dates[2], end_time=dates[4], min_amount="6") == [4]
    assert await kept(min_amount="1000") == []


async def test_page_token_does_not_forget_the_filter(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    await history(person, account.id, AMOUNTS)
    request = v1.ListEntriesRequest(
        account=account.id, page_size=1, filter=v1.MovementFilter(min_amount="6")
    )
    page = await person.client.accounts.ListEntries(request)
    request.page_token = page.next_page_token
    request.page_size = 3
    assert len((await person.client.accounts.ListEntries(request)).entries) == 3
    changed = [v1.ListEntriesRequest() for _ in range(4)]
    for other in changed:
        other.CopyFrom(request)
    changed[0].filter.min_amount = "5"
    changed[1].order_by = "amount"
    changed[2].kind = v1.MOVEMENT_KIND_DEPOSIT
    changed[3].page_token = request.page_token[:-2] + "AA"
    for other in changed:
        assert await reason(person.client.accounts.ListEntries(other)) == "PAGE_TOKEN_INVALID"


async def test_balance_of_a_past_moment(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    await history(person, account.id, ["100", "-30", "5"])
    entries = await statement(person, v1.ListEntriesRequest(account=account.id, order_by="date"))

    async def at(moment: Timestamp) -> str:
        request = v1.GetAccountRequest(account=account.id, as_of=moment)
        return (await person.client.accounts.GetAccount(request)).balance

    assert [await at(entry.date) for entry in entries] == ["100.00", "70.00", "75.00"]
    before = Timestamp()
    before.FromDatetime(entries[0].date.ToDatetime() - timedelta(microseconds=1))
    assert await at(before) == "0.00"
    future = Timestamp()
    future.FromDatetime(entries[0].date.ToDatetime() + timedelta(days=1))
    assert await reason(at(future)) == "INVALID_FIELD"


def shifted(stamp: Timestamp, nanos: int) -> Timestamp:
    return Timestamp(seconds=stamp.seconds, nanos=stamp.nanos + nanos)


async def test_bounds_in_time_are_exact_below_the_microsecond(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    date = Timestamp(nanos=0)
    while not 1 <= date.nanos <= 999_999_000:
        date = (await person.deposit("5", account.id)).date
    last = (await statement(person, v1.ListEntriesRequest(account=account.id)))[0].sequence

    async def kept(start_time: Timestamp | None = None, end_time: Timestamp | None = None) -> bool:
        within = v1.MovementFilter(start_time=start_time, end_time=end_time)
        listed = v1.ListEntriesRequest(account=account.id, filter=within)
        return last in [entry.sequence for entry in await statement(person, listed)]

    assert [await kept(start_time=shifted(date, n)) for n in (-1, 0, 1, 999)] == [
        True,
        True,
        False,
        False,
    ]
    assert [await kept(end_time=shifted(date, n)) for n in (-1, 0, 1, 999)] == [
        False,
        False,
        True,
        True,
    ]
    ever, never = Timestamp(seconds=-62_135_596_800), Timestamp(seconds=253_402_300_799)
    never.nanos = 999_999_999
    assert await kept(start_time=ever, end_time=never)
    assert not await kept(start_time=never)
    assert not await kept(end_time=ever)
    at = [
        (
            await person.client.accounts.GetAccount(
                v1.GetAccountRequest(account=account.id, as_of=shifted(date, n))
            )
        ).balance
        for n in (-1, 0, 1)
    ]
    total = await person.balance(account.id)
    assert at[1:] == [total, total]
    assert at[0] != total


async def test_answer_about_a_moment_ago_is_final(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deposit is dated before the moment, and committed long after it is asked about."""
    person = await service.person()
    account = await person.open()
    await person.deposit("6", account.id)
    slow_down(monkeypatch, lambda: 2 * SKEW_MAX.total_seconds())
    depositing = asyncio.create_task(person.deposit("100", account.id))
    await asyncio.sleep(0.3)
    moment = Timestamp()
    moment.GetCurrentTime()
    get = v1.GetAccountRequest(account=account.id, as_of=moment)
    within = v1.MovementFilter(end_time=moment)
    listing = v1.ListEntriesRequest(account=account.id, filter=within, count_total=True)

    async def ask() -> tuple[v1.Account, v1.ListEntriesResponse]:
        accounts = person.client.accounts
        return await asyncio.gather(accounts.GetAccount(get), accounts.ListEntries(listing))

    first = await ask()
    await depositing
    assert await ask() == first
    found, listed = first
    assert (found.balance, listed.total_size) == ("106.00", 2)
    # Of the past only the balance is known.
    assert (found.limit, found.held, found.available, found.status) == ("", "", "", 0)


async def test_moment_that_is_not_over_in_the_callers_time_is_not_answered(
    service: Service,
) -> None:
    person = await service.person()
    account = await person.open()
    moment = Timestamp()
    moment.GetCurrentTime()
    get = v1.GetAccountRequest(account=account.id, as_of=moment)
    call = person.client.accounts.GetAccount(get, timeout=SKEW_MAX.total_seconds() / 2)
    assert await reason(call) == "DEADLINE_PASSED"


async def test_somebody_elses_account_does_not_exist(service: Service) -> None:
    anna, boris = await service.person(), await service.person()
    account = await anna.open()
    for account_id in (account.id, str(uuid4())):
        for call in (
            boris.client.accounts.GetAccount(v1.GetAccountRequest(account=account_id)),
            boris.client.accounts.ListEntries(v1.ListEntriesRequest(account=account_id)),
            boris.client.deposits.ListDeposits(v1.ListDepositsRequest(account=account_id)),
        ):
            assert await reason(call) == "ACCOUNT_NOT_FOUND"
    listing = boris.client.accounts.ListAccounts(v1.ListAccountsRequest(user=anna.user_id))
    assert await reason(listing) == "USER_NOT_FOUND"
    opening = boris.client.accounts.CreateAccount(v1.CreateAccountRequest(user=anna.user_id))
    assert await reason(opening) == "PERMISSION_MISSING"


async def test_operators_and_services_read_and_open_for_others(service: Service) -> None:
    anna, admin = await service.person(), await service.admin()
    reader = await service.sibling(Scope.ACCOUNTS_READ)
    opener = await service.sibling(Scope.ACCOUNTS_WRITE)
    account = await opener.accounts.CreateAccount(v1.CreateAccountRequest(user=anna.user_id))
    assert account.user == anna.user_id
    for client in (admin.client, reader):
        found = await client.accounts.GetAccount(v1.GetAccountRequest(account=account.id))
        assert found == account
        await client.accounts.ListEntries(v1.ListEntriesRequest(account=account.id))
    opening = opener.accounts.CreateAccount(v1.CreateAccountRequest(user=str(uuid4())))
    assert await reason(opening) == "USER_NOT_FOUND"
    call = opener.accounts.GetAccount(v1.GetAccountRequest(account=account.id))
    assert await reason(call) == "ACCOUNT_NOT_FOUND"


async def test_frozen_account_moves_no_money_until_unfrozen(service: Service) -> None:
    anna, admin = await service.person(), await service.admin()
    account = await anna.open()
    await anna.deposit("10", account.id)
    operators = admin.client.accounts
    frozen = await operators.FreezeAccount(v1.FreezeAccountRequest(account=account.id))
    assert frozen.status == v1.ACCOUNT_STATUS_FROZEN
    withdrawal = v1.CreateWithdrawalRequest(account=account.id, amount="1")
    for call in (
        anna.deposit("1", account.id),
        anna.client.withdrawals.CreateWithdrawal(withdrawal),
    ):
        assert await reason(call) == "ACCOUNT_FROZEN"
    await operators.UnfreezeAccount(v1.UnfreezeAccountRequest(account=account.id))
    await anna.client.withdrawals.CreateWithdrawal(withdrawal)


async def test_only_an_empty_account_is_closed_and_for_good(service: Service) -> None:
    anna, admin = await service.person(), await service.admin()
    account = await anna.open()
    await anna.deposit("10", account.id)
    close = v1.CloseAccountRequest(account=account.id)
    assert await reason(admin.client.accounts.CloseAccount(close)) == "ACCOUNT_NOT_EMPTY"
    withdrawal = v1.CreateWithdrawalRequest(account=account.id, amount="10")
    await anna.client.withdrawals.CreateWithdrawal(withdrawal)
    closed = await admin.client.accounts.CloseAccount(close)
    assert closed.status == v1.ACCOUNT_STATUS_CLOSED
    assert await reason(anna.deposit("1", account.id)) == "ACCOUNT_CLOSED"
    unfreeze = v1.UnfreezeAccountRequest(account=account.id)
    assert await reason(admin.client.accounts.UnfreezeAccount(unfreeze)) == "ACCOUNT_CLOSED"
    assert len(await statement(anna, v1.ListEntriesRequest(account=account.id))) == 2


async def test_limit_lets_an_account_owe_and_cannot_be_cut_below_its_debt(
    service: Service,
) -> None:
    anna, admin = await service.person(), await service.admin()
    account = await anna.open()
    accounts = admin.client.accounts
    limit = await accounts.SetAccountLimit(
        v1.SetAccountLimitRequest(account=account.id, limit="50")
    )
    assert limit.limit == "50.00"
    withdrawal = v1.CreateWithdrawalRequest(account=account.id, amount="40")
    assert (await anna.client.withdrawals.CreateWithdrawal(withdrawal)).balance == "-40.00"
    assert (
        await reason(anna.client.withdrawals.CreateWithdrawal(withdrawal)) == "INSUFFICIENT_FUNDS"
    )
    call = accounts.SetAccountLimit(v1.SetAccountLimitRequest(account=account.id, limit="39.99"))
    assert await reason(call) == "LIMIT_BELOW_BALANCE"
    call = anna.client.accounts.SetAccountLimit(
        v1.SetAccountLimitRequest(account=account.id, limit="1000000")
    )
    assert await reason(call) == "PERMISSION_MISSING"


@pytest.mark.parametrize(
    ("currency", "kept", "refused_"),
    [
        ("RUB", ["92233720368547758.07", "1.01", "0"], ["92233720368547758.08", "1.001"]),
        ("JPY", ["9223372036854775807", "1", "0"], ["9223372036854775808", "1.0"]),
        ("BHD", ["9223372036854775.807", "1.001", "0"], ["9223372036854775.808", "1.0001"]),
    ],
)
async def test_limit_is_held_to_the_accounts_own_currency(
    service: Service, currency: str, kept: list[str], refused_: list[str]
) -> None:
    anna, admin = await service.person(), await service.admin()
    account = await anna.open(currency)
    for limit in kept:
        request = v1.SetAccountLimitRequest(account=account.id, limit=limit)
        assert (await admin.client.accounts.SetAccountLimit(request)).limit.startswith(limit)
    for limit in refused_:
        request = v1.SetAccountLimitRequest(account=account.id, limit=limit)
        error = await refused(admin.client.accounts.SetAccountLimit(request))
        assert [violation.field for violation in error.violations] == ["limit"]


async def test_amounts_are_compared_in_no_currency_where_there_is_no_account(
    service: Service,
) -> None:
    """Nobody's amount is read as roubles: this one is none of those."""
    person = await service.person()
    kept = v1.MovementFilter(min_amount="0.001", max_amount="9223372036854775807")
    request = v1.ListDepositsRequest(filter=kept, order_by="amount")
    assert not (await person.client.deposits.ListDeposits(request)).deposits


async def test_account_is_dated_by_the_clock_of_movements(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose clock is wrong must not date what others do on the account later."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(hours=1)

    person = await service.person()
    with monkeypatch.context() as wrong:
        wrong.setattr(account_servicer, "datetime", Ahead)
        account = await person.open()
    moment = datetime.now(UTC) + timedelta(minutes=1)
    assert account.date.ToDatetime(UTC) < moment
    deposit = await person.deposit("5", account.id)
    assert deposit.date.ToDatetime(UTC) < moment
