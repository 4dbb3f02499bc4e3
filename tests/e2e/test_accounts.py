"""AccountService: accounts opened, listed, frozen, closed and limited, and who may do so."""

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from uuid import uuid4

import pytest

from balance_client import async_each, v1
from balance_service.domain.principals import Scope
from balance_service.servicers import account as account_servicer
from tests.service import Service, reason, refused
from tests.statements import statement


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
