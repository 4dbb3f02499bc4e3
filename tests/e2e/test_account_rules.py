"""What operators decide about accounts: limits, freezes, closing and reopening, and the record."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest

from balance_client import async_each, v1
from balance_service.database.pool import Pool
from balance_service.domain.days import Calendar
from balance_service.domain.principals import Scope
from balance_service.repositories import verification
from tests.service import Person, Service, StartService, Verified, reason, refused, somebody

ZONE = "Asia/Tokyo"


def withdrawal(account: str, amount: str) -> v1.CreateWithdrawalRequest:
    return v1.CreateWithdrawalRequest(account=account, amount=amount)


async def set_limits(admin: Person, account: str, **limits: Any) -> v1.Account:
    request = v1.SetAccountLimitsRequest(account=account, reason="To be safe", **limits)
    return await admin.client.accounts.SetAccountLimits(request)


async def changes(person: Person, account: str) -> list[v1.AccountChange]:
    request = v1.ListAccountChangesRequest(account=account, page_size=2)
    call = person.client.accounts.ListAccountChanges
    return [change async for change in async_each(call, request, lambda page: page.changes)]


async def shown(person: Person, account: str) -> v1.Account:
    return await person.client.accounts.GetAccount(v1.GetAccountRequest(account=account))


async def test_service_limits_hold_until_the_account_has_its_own(
    start_service: StartService,
) -> None:
    service = await start_service(debit_max="RUB=50", daily_debits_max="RUB=80.50", day_zone=ZONE)
    admin, (anna, account) = await service.admin(), await somebody(service, "1000")
    withdraw = anna.client.withdrawals.CreateWithdrawal
    error = await refused(withdraw(withdrawal(account, "50.01")))
    assert (error.reason, error.metadata["limit"]) == ("DEBIT_LIMIT_EXCEEDED", "50.00")
    await withdraw(withdrawal(account, "50"))
    error = await refused(withdraw(withdrawal(account, "30.51")))
    day = Calendar(ZoneInfo(ZONE)).day(datetime.now(UTC))
    assert error.reason == "DAILY_LIMIT_EXCEEDED"
    facts = {name: error.metadata[name] for name in ("limit", "spent", "left", "day_end")}
    assert facts == {
        "limit": "80.50",
        "spent": "50.00",
        "left": "30.50",
        "day_end": day.end.isoformat(),
    }
    now = await shown(anna, account)
    assert (now.debit_limit, now.daily_limit) == ("50.00", "80.50")
    assert (now.spent_today, now.left_today) == ("50.00", "30.50")
    assert not now.debit_limit_is_own
    assert not now.daily_limit_is_own
    assert now.day_end.ToDatetime(UTC) == day.end

    wider = await set_limits(admin, account, debit_limit="200", daily_limit="250")
    assert wider.debit_limit_is_own
    assert wider.daily_limit_is_own
    assert (wider.spent_today, wider.left_today, wider.limit) == ("50.00", "200.00", "0.00")
    await withdraw(withdrawal(account, "200"))
    assert await reason(withdraw(withdrawal(account, "0.01"))) == "DAILY_LIMIT_EXCEEDED"

    back = await set_limits(admin, account, unset_debit_limit=True, unset_daily_limit=True)
    assert (back.debit_limit, back.daily_limit, back.left_today) == ("50.00", "80.50", "0.00")
    assert not back.daily_limit_is_own


async def test_receiving_and_foreign_limits_count_for_nothing(start_service: StartService) -> None:
    service = await start_service(debit_max="USD=1", daily_debits_max="USD=1")
    (anna, account), (boris, other) = [await somebody(service, "100") for _ in range(2)]
    request = v1.CreateTransferRequest(to_account=other, amount="100")
    await anna.client.transfers.CreateTransfer(request)
    sender, receiver = await shown(anna, account), await shown(boris, other)
    assert (sender.spent_today, receiver.spent_today) == ("100.00", "0.00")
    assert (sender.debit_limit, sender.daily_limit, sender.left_today) == ("", "", "")


async def test_limits_are_shown_in_another_currency_and_not_of_the_past(service: Service) -> None:
    admin, (anna, account) = await service.admin(), await somebody(service, "800")
    await set_limits(admin, account, debit_limit="80", daily_limit="160")
    request = v1.GetAccountRequest(account=account, currency="USD")
    converted = await anna.client.accounts.GetAccount(request)
    assert (converted.debit_limit, converted.daily_limit) == ("1.00", "2.00")
    assert (converted.spent_today, converted.left_today) == ("0.00", "2.00")
    request = v1.GetAccountRequest(account=account)
    request.as_of.FromDatetime(datetime.now(UTC) - timedelta(hours=1))
    past = await anna.client.accounts.GetAccount(request)
    assert (past.debit_limit, past.spent_today, past.HasField("day_end")) == ("", "", False)


async def test_overdraft_has_a_ceiling(start_service: StartService) -> None:
    service = await start_service(overdraft_max="RUB=100,USD=1")
    admin, (anna, account) = await service.admin(), await somebody(service)
    assert (await set_limits(admin, account, overdraft="100.00")).limit == "100.00"
    error = await refused(set_limits(admin, account, overdraft="100.01"))
    assert (error.reason, error.metadata["maximum"]) == ("OVERDRAFT_ABOVE_MAX", "100.00")
    old = v1.SetAccountLimitRequest(account=account, limit="100.01")
    assert await reason(admin.client.accounts.SetAccountLimit(old)) == "OVERDRAFT_ABOVE_MAX"
    euros = (await anna.open("EUR")).id
    assert (await set_limits(admin, euros, overdraft="1000000")).limit == "1000000.00"


@pytest.mark.parametrize(
    ("limits", "fields"),
    [
        ({}, ["overdraft"]),
        ({"debit_limit": "1", "unset_debit_limit": True}, ["unset_debit_limit"]),
        ({"daily_limit": "1", "unset_daily_limit": True}, ["unset_daily_limit"]),
        ({"overdraft": "-1", "debit_limit": "x", "daily_limit": "1e3"},
         ["daily_limit", "debit_limit", "overdraft"]),
        ({"daily_limit": "1.001"}, ["daily_limit"]),
        ({"overdraft": "1", "reason": ""}, ["reason"]),
        ({"overdraft": "1", "reason": "x" * 201}, ["reason"]),
    ],
)  # fmt: skip
async def test_wrong_limits_are_named(
    service: Service, limits: dict[str, Any], fields: list[str]
) -> None:
    admin, (_, account) = await service.admin(), await somebody(service)
    request = v1.SetAccountLimitsRequest(**{"account": account, "reason": "Why", **limits})
    error = await refused(admin.client.accounts.SetAccountLimits(request))
    assert sorted(violation.field for violation in error.violations) == fields
    assert await changes(admin, account) == []


async def test_account_frozen_for_debits_receives_and_pays_nothing(service: Service) -> None:
    admin, (anna, account) = await service.admin(), await somebody(service, "10")
    operators = admin.client.accounts
    freeze = v1.FreezeAccountRequest(account=account, scope=v1.FREEZE_SCOPE_DEBITS)
    assert (await operators.FreezeAccount(freeze)).status == v1.ACCOUNT_STATUS_DEBITS_FROZEN
    await anna.deposit("5", account)
    boris, _ = await somebody(service, "10")
    transfer = v1.CreateTransferRequest(to_account=account, amount="1")
    await boris.client.transfers.CreateTransfer(transfer)
    withdraw = anna.client.withdrawals.CreateWithdrawal
    error = await refused(withdraw(withdrawal(account, "1")))
    assert (error.reason, error.metadata["scope"]) == ("ACCOUNT_FROZEN", "DEBITS")
    freeze.scope = v1.FREEZE_SCOPE_ALL
    assert (await operators.FreezeAccount(freeze)).status == v1.ACCOUNT_STATUS_FROZEN
    error = await refused(anna.deposit("5", account))
    assert (error.reason, error.metadata["scope"]) == ("ACCOUNT_FROZEN", "ALL")
    await operators.UnfreezeAccount(v1.UnfreezeAccountRequest(account=account))
    await withdraw(withdrawal(account, "16"))


async def test_closed_account_is_its_owners_only_one_and_can_be_reopened(
    service: Service,
) -> None:
    admin, (anna, account) = await service.admin(), await somebody(service)
    operators = admin.client.accounts
    await set_limits(admin, account, daily_limit="7")
    await operators.CloseAccount(v1.CloseAccountRequest(account=account, reason="Unused"))
    again = await anna.open()
    assert (again.id, again.status) == (account, v1.ACCOUNT_STATUS_CLOSED)
    reopen = v1.ReopenAccountRequest(account=account, reason="Asked for", request_id=str(uuid4()))
    reopened = await operators.ReopenAccount(reopen)
    assert (reopened.status, reopened.daily_limit) == (v1.ACCOUNT_STATUS_ACTIVE, "7.00")
    assert await operators.ReopenAccount(reopen) == reopened
    await anna.deposit("5", account)
    reopen.request_id = ""
    assert await reason(operators.ReopenAccount(reopen)) == "ACCOUNT_NOT_CLOSED"


async def test_changes_are_kept_with_their_reasons_and_shown_to_owners_without(
    service: Service,
) -> None:
    admin, (anna, account) = await service.admin(), await somebody(service)
    operators, key = admin.client.accounts, str(uuid4())
    freeze = v1.FreezeAccountRequest(account=account, reason="Лимит 🔒", request_id=key)
    await operators.FreezeAccount(freeze)
    await operators.FreezeAccount(freeze)
    await operators.UnfreezeAccount(v1.UnfreezeAccountRequest(account=account))
    await operators.SetAccountLimit(v1.SetAccountLimitRequest(account=account, limit="5"))
    await set_limits(admin, account, debit_limit="3")
    assert await reason(set_limits(admin, account, daily_limit="0.001")) == "INVALID_FIELD"
    listed = await changes(admin, account)
    kinds = v1.AccountChangeKind
    assert [change.kind for change in listed] == [
        kinds.ACCOUNT_CHANGE_KIND_SET_LIMITS,
        kinds.ACCOUNT_CHANGE_KIND_SET_LIMITS,
        kinds.ACCOUNT_CHANGE_KIND_UNFREEZE,
        kinds.ACCOUNT_CHANGE_KIND_FREEZE,
    ]
    newest, limit, unfrozen, frozen = listed
    assert (newest.reason, newest.principal) == ("To be safe", f"user:{admin.user_id}")
    assert newest.before == limit.after
    assert (newest.after.overdraft, newest.after.debit_limit) == ("5.00", "3.00")
    assert (newest.before.debit_limit, newest.after.daily_limit) == ("", "")
    assert (unfrozen.reason, frozen.reason) == ("", "Лимит 🔒")
    assert frozen.before.status == v1.ACCOUNT_STATUS_ACTIVE
    assert frozen.after.status == unfrozen.before.status == v1.ACCOUNT_STATUS_FROZEN
    own = await changes(anna, account)
    for change in listed:
        change.reason = change.principal = ""
    assert own == listed
    page = await anna.http("GET", f"/api/v1/accounts/{account}/changes/?page=2&page_size=3")
    assert (page.json["count"], [c["id"] for c in page.json["results"]]) == (4, [frozen.id])


async def test_strangers_and_callers_without_the_scope_change_and_see_nothing(
    service: Service,
) -> None:
    (_, account), boris = await somebody(service), await service.person()
    sibling = await service.sibling(Scope.ACCOUNTS_READ)
    listing = v1.ListAccountChangesRequest(account=account)
    assert await reason(boris.client.accounts.ListAccountChanges(listing)) == "ACCOUNT_NOT_FOUND"
    for client in (boris.client, sibling):
        limits = v1.SetAccountLimitsRequest(account=account, overdraft="1", reason="x")
        reopen = v1.ReopenAccountRequest(account=account, reason="x")
        calls: list[Awaitable[object]] = [
            client.accounts.SetAccountLimits(limits),
            client.accounts.ReopenAccount(reopen),
        ]
        for call in calls:
            assert await reason(call) == "PERMISSION_MISSING"
    assert not (await sibling.accounts.ListAccountChanges(listing)).changes


async def test_the_record_of_changes_can_only_be_added_to(service: Service, pool: Pool) -> None:
    admin, (_, account) = await service.admin(), await somebody(service)
    await set_limits(admin, account, overdraft="1")
    for statement in (b"UPDATE account_changes SET reason = ''", b"DELETE FROM account_changes"):
        async with pool.connection() as conn:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await conn.execute(statement)


async def test_concurrent_debits_never_pass_the_limit_of_the_day(
    start_service: StartService, verified: Verified
) -> None:
    """Of all kinds, through two workers, which share nothing but the database."""
    first, second = await start_service(), await start_service()
    admin, (anna, account) = await first.admin(), await somebody(first, "10000")
    _, other = await somebody(first)
    await set_limits(admin, account, daily_limit="100", debit_limit="9")
    token = anna.token.token
    paths: list[tuple[str, dict[str, str]]] = [
        ("/api/v1/withdrawals", {"account": account}),
        ("/api/v1/transfers", {"from_account": account, "to_account": other}),
    ]

    async def pay(number: int) -> tuple[int, str, Decimal]:
        path, body = paths[number % 2]
        amount = Decimal(number % 9 + 1) + Decimal("0.37")
        worker = (first, second)[number // 2 % 2]
        answer = await worker.http.signed_in(token)("POST", path, {**body, "amount": str(amount)})
        return answer.status, "" if answer.status == 201 else answer.reason, amount

    answers = await asyncio.gather(*(pay(number) for number in range(90)))
    assert {status for status, _, _ in answers} == {201, 400}
    told = Counter(found for _, found, _ in answers)
    assert set(told) == {"", "DEBIT_LIMIT_EXCEEDED", "DAILY_LIMIT_EXCEEDED"}
    paid = sum(amount for status, _, amount in answers if status == 201)
    now = await shown(anna, account)
    assert paid <= 100
    assert (Decimal(now.spent_today), Decimal(now.left_today)) == (paid, 100 - paid)
    # The smallest that was refused did not fit any more.
    smallest = min(amount for _, found, amount in answers if found == "DAILY_LIMIT_EXCEEDED")
    assert paid + smallest > 100
    await verified()


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        (b"UPDATE accounts SET spent_minor = spent_minor - 1", "spent_is_counted"),
        (b"UPDATE accounts SET debit_limit_minor = 1", "rules_are_as_last_changed"),
        (b"UPDATE accounts SET status = 4", "rules_are_as_last_changed"),
        (b"UPDATE account_changes SET limit_after_minor = 1", "rules_are_as_last_changed"),
    ],
)
async def test_verify_names_counters_and_rules_that_were_tampered_with(
    service: Service, database_url: str, verified: Verified, statement: bytes, check: str
) -> None:
    admin, (anna, account) = await service.admin(), await somebody(service, "10")
    await set_limits(admin, account, daily_limit="7")
    await anna.client.withdrawals.CreateWithdrawal(withdrawal(account, "3"))
    await verified()
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        await conn.execute(statement)
        report = await verification.verify(conn)
    assert [name for name, faults in report.faults.items() if faults] == [check]
