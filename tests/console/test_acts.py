"""Acts of operators by the console's pages: what is shown before, what is done, and that once."""

import asyncio

from balance_client import v1
from tests.approvals import CURRENCY
from tests.console.visitors import Console, Visitor
from tests.service import Person, rich, somebody

DONE = ("step", "do")


async def read(person: Person, account: str) -> v1.Account:
    return await person.client.accounts.GetAccount(v1.GetAccountRequest(account=account))


async def test_account_is_frozen_limited_closed_and_reopened(console: Console) -> None:
    person, account = await somebody(console.service)
    visitor = await console.admin()
    confirm = await visitor.check("freeze-account", account, scope="debits", reason="Odd debits")
    assert "active debits frozen" in confirm.text
    assert (await read(person, account)).status == v1.ACCOUNT_STATUS_ACTIVE
    shown = await visitor.submit(confirm, DONE)
    assert (shown.path, "The account is frozen." in shown.text) == (f"/accounts/{account}", True)
    assert (await read(person, account)).status == v1.ACCOUNT_STATUS_DEBITS_FROZEN
    assert "The account is frozen." not in (await visitor.get(shown.path)).text

    await visitor.act("unfreeze-account", account, reason="It was them")
    confirm = await visitor.check(
        "set-limits", account, overdraft="1 500", daily_limit="200", reason="Contract 12"
    )
    for text in ("0.00 RUB 1 500.00 RUB", "none 200.00 RUB", "unchanged"):
        assert text in confirm.text.replace("\N{NARROW NO-BREAK SPACE}", " "), text
    await visitor.submit(confirm, DONE)
    limits = await read(person, account)
    assert (limits.limit, limits.daily_limit, limits.debit_limit) == ("1500.00", "200.00", "")
    await visitor.act("set-limits", account, unset_daily_limit="yes", reason="No more")
    assert (await read(person, account)).daily_limit == ""

    refused = await visitor.check("reopen-account", account, reason="Too soon")
    assert (refused.status, "ACCOUNT_NOT_CLOSED" in refused.text) == (409, True)
    await visitor.act("close-account", account, reason="Asked to")
    await visitor.act("reopen-account", account, reason="Asked to again")
    changes = await visitor.get(f"/accounts/{account}/changes")
    for text in ("Odd debits", "It was them", "Contract 12", "Asked to", "Asked to again"):
        assert text in changes.text
    assert (await read(person, account)).status == v1.ACCOUNT_STATUS_ACTIVE


async def test_account_is_given_sub_accounts(console: Console) -> None:
    _, account = await somebody(console.service)
    visitor = await console.admin()
    assert "Sub-accounts" not in (await visitor.get(f"/accounts/{account}")).text
    for wrong in ("", "many", "-1", "65", "9" * 30):
        refused = await visitor.check("set-sub-accounts", account, sub_accounts=wrong, reason="x")
        assert (refused.status, "INVALID_FIELD" in refused.text) == (400, True), wrong
    confirm = await visitor.check("set-sub-accounts", account, sub_accounts=" 8", reason="A sale")
    assert "Sub-accounts 0 8" in confirm.text
    assert "Sub-accounts 8" not in (await visitor.get(f"/accounts/{account}")).text
    shown = await visitor.submit(confirm, DONE)
    assert "The sub-accounts are set." in shown.text
    assert "Sub-accounts 8" in shown.text
    form = (await visitor.get(f"/acts/set-sub-accounts/{account}")).form({"sub_accounts"})
    assert form.fields["sub_accounts"] == "8"
    shown = await visitor.act("set-sub-accounts", account, sub_accounts="0", reason="It is over")
    assert "Sub-accounts" not in shown.text
    log = (await visitor.get(f"/audit?target=account:{account}")).text
    assert ("A sale" in log, "It is over" in log) == (True, True)


async def test_purchase_is_refunded_once_however_often_the_button_is_pressed(
    console: Console,
) -> None:
    person, account = await rich(console.service, "100")
    visitor = await console.admin()
    shown = await visitor.act("create-service", "new", name="Tea", price="40", currency="rub")
    assert "40.00 RUB" in shown.text
    services = await person.client.purchases.ListServices(v1.ListServicesRequest())
    buy = v1.CreatePurchaseRequest(service=services.services[0].id)
    purchase = await person.client.purchases.CreatePurchase(buy)
    assert await person.balance(account) == "60.00"

    confirm = await visitor.check("refund-purchase", purchase.id, amount="15", reason="Cold")
    assert "60.00 RUB 75.00 RUB" in confirm.text
    twice = await asyncio.gather(*(visitor.submit(confirm, DONE) for _ in range(2)))
    again = await visitor.submit(confirm, DONE)
    assert len({shown.path for shown in (*twice, again)}) == 1
    assert "refund: 15.00 RUB" in again.text
    assert await person.balance(account) == "75.00"
    # The form that was sent before, changed: its request id means something else now.
    form = confirm.form({"request_id"}).fields
    changed = await visitor.post(confirm.path, form | {"amount": "20", "step": "do"})
    assert (changed.status, "IDEMPOTENCY_KEY_REUSED" in changed.text) == (409, True)

    # What is confirmed is the rest as it was shown, not as it has become.
    confirm = await visitor.check("refund-purchase", purchase.id, reason="All of it")
    assert confirm.form({"amount"}).fields["amount"] == "25.00"
    original = await visitor.get(f"/movements/{purchase.id}")
    assert ("Reversed by" in original.text, "15.00 RUB" in original.text) == (True, True)
    too_much = await visitor.check("refund-purchase", purchase.id, amount="26", reason="More")
    assert (too_much.status, "REVERSAL_TOO_LARGE" in too_much.text) == (409, True)
    assert too_much.form({"amount"}).fields["reason"] == "More"
    assert await person.balance(account) == "75.00"


async def test_deposits_withdrawals_transfers_and_holds_are_taken_back(console: Console) -> None:
    person, account = await rich(console.service, "100")
    other, receiving = await somebody(console.service)
    deposit = await person.deposit("50", account)
    withdrawal = await person.client.withdrawals.CreateWithdrawal(
        v1.CreateWithdrawalRequest(amount="10")
    )
    transfer = await person.client.transfers.CreateTransfer(
        v1.CreateTransferRequest(to_account=receiving, amount="30")
    )
    hold = await person.client.holds.CreateHold(
        v1.CreateHoldRequest(amount="5", to_account=receiving)
    )
    visitor = await console.admin()
    confirm = await visitor.check("reverse-transfer", transfer.id, reason="Wrong person")
    assert ("30.00 RUB 0.00 RUB" in confirm.text, "110.00 RUB 140.00 RUB" in confirm.text) == (
        True,
        True,
    )
    shown = await visitor.submit(confirm, DONE)
    assert f"/movements/{transfer.id}" in shown.links
    assert await other.balance(receiving) == "0.00"
    assert (
        "140.00 RUB 90.00 RUB"
        in (await visitor.check("reverse-deposit", deposit.id, reason="Chargeback")).text
    )
    await visitor.act("reverse-deposit", deposit.id, reason="Chargeback")
    await visitor.act("reverse-withdrawal", withdrawal.id, reason="Bounced")
    assert await person.balance(account) == "100.00"
    confirm = await visitor.check("void-hold", hold.id, reason="No longer wanted")
    assert ("5.00 RUB 0.00 RUB" in confirm.text, "95.00 RUB 100.00 RUB" in confirm.text) == (
        True,
        True,
    )
    assert "The hold is released." in (await visitor.submit(confirm, DONE)).text
    assert (await read(person, account)).held == "0.00"
    assert (await visitor.get("/acts/reverse-deposit/" + hold.id)).status == 404


async def test_user_is_disabled_enabled_and_signed_out(console: Console) -> None:
    person = await console.service.person()
    visitor = await console.admin()
    path = f"/users/{person.user_id}"
    shown = await visitor.act("disable-user", person.user_id)
    assert (shown.path, "The user is disabled." in shown.text) == (path, True)
    assert f"/acts/enable-user/{person.user_id}" in shown.links
    await visitor.act("enable-user", person.user_id)
    await visitor.act("end-sessions", person.user_id)
    log = (await visitor.get(f"/audit?target=user:{person.user_id}")).text
    for action in ("user.disabled", "user.enabled", "session.all_ended"):
        assert action in log
    own = next(link for link in (await visitor.get("/audit")).links if "/users/" in link)
    refused = await visitor.check("disable-user", own.removeprefix("/users/"))
    assert (refused.status, "INVALID_FIELD" in refused.text) == (400, True)


async def test_two_admins_set_a_limit_above_the_ceiling(console: Console) -> None:
    owner = await console.service.person()
    account = (await owner.open(CURRENCY)).id
    first, second = await console.admin("first"), await console.admin("second")
    confirm = await first.check("set-limits", account, overdraft="101", reason="Contract")
    assert ("another admin" in confirm.text, "0.00 NOK 101" in confirm.text) == (True, True)
    waits = await first.submit(confirm, DONE)
    assert "It waits for another admin" in waits.text
    again = await first.submit(confirm, DONE)
    assert "It waits for another admin" in again.text
    listed = await first.get("/approvals")
    assert ("You asked for it" in listed.text, listed.text.count("SetAccountLimits")) == (True, 1)
    (approve,) = [link for link in (await second.get("/approvals")).links if "approve" in link]
    approval = approve.rpartition("/")[2]
    own = await first.check("approve-change", approval, reason="Mine")
    assert (own.status, "APPROVAL_BY_REQUESTER" in own.text) == (403, True)
    confirm = await second.check("approve-change", approval, reason="Read it")
    assert "0.00 101.00" in confirm.text
    shown = await second.submit(confirm, DONE)
    assert (shown.path, "approved and made" in shown.text) == ("/approvals", True)
    assert (await read(owner, account)).limit == "101.00"

    await first.act("set-limits", account, overdraft="300", reason="More")
    (reject,) = [link for link in (await second.get("/approvals")).links if "reject" in link]
    await second.act("reject-change", reject.rpartition("/")[2], reason="Too much")
    assert "Too much" in (await first.get("/approvals?status=rejected")).text


async def test_catalogue_is_edited_only_as_it_was_read(console: Console) -> None:
    visitor = await console.admin()
    await visitor.act("create-service", "new", name="Tea", price="40", currency="RUB")
    service = await service_link(visitor, "update")
    stale = await visitor.get(service)
    shown = await visitor.get(service)
    confirm = await visitor.submit(shown, ("step", "check"), price="1 250", repeatable="yes")
    assert "40.00 1 250.00" in confirm.text.replace("\N{NARROW NO-BREAK SPACE}", " ")
    edited = await visitor.submit(confirm, ("step", "edit"))
    assert edited.form({"price"}).fields["price"] == "1250"
    assert "The service is changed." in (await visitor.submit(confirm, DONE)).text
    refused = await visitor.submit(stale, ("step", "check"), price="50")
    assert (refused.status, "ETAG_MISMATCH" in refused.text) == (409, True)
    assert service in refused.links
    gone = await visitor.get(await service_link(visitor, "delete"))
    gone = await visitor.submit(await visitor.submit(gone, ("step", "check")), DONE)
    assert ("The service is deleted." in gone.text, "Tea" in gone.text) == (True, False)


async def service_link(visitor: Visitor, act: str) -> str:
    links = (await visitor.get("/catalogue")).links
    return next(link for link in links if f"/acts/{act}-service/" in link and "new" not in link)


async def test_malformed_order_changes_nothing(console: Console) -> None:
    person, account = await somebody(console.service)
    visitor = await console.admin()
    form = (await visitor.get(f"/acts/freeze-account/{account}")).form({"request_id"}).fields
    for fields in ({"step": "leap"}, {"step": "do", "request_id": ""}):
        shown = await visitor.post(f"/acts/freeze-account/{account}", form | fields)
        assert shown.status == 400, fields
    assert (await read(person, account)).status == v1.ACCOUNT_STATUS_ACTIVE
    assert (await visitor.get("/acts/none/x")).status == 404
