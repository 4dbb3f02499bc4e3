"""HoldService: money reserved, captured, voided and expired."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from balance_service.domain.principals import Scope
from tests.service import Person, Service, reason, refused, replayed, rich


async def account_of(person: Person) -> v1.Account:
    return (await person.client.accounts.ListAccounts(v1.ListAccountsRequest())).accounts[0]


async def amounts(person: Person) -> tuple[str, str, str]:
    account = await account_of(person)
    return account.balance, account.held, account.available


async def held(service: Service, amount: str = "40") -> tuple[Person, Person, v1.Hold]:
    """Somebody with 100 RUB, of which some are held for a transfer to somebody else."""
    payer, _ = await rich(service, "100")
    receiver, account = await rich(service, "1")
    hold = await payer.client.holds.CreateHold(
        v1.CreateHoldRequest(to_account=account, amount=amount, description="Deposit")
    )
    return payer, receiver, hold


def soon(**offset: float) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime.now(UTC) + timedelta(**offset))
    return moment


async def test_hold_takes_from_what_is_available_and_not_from_the_balance(
    service: Service,
) -> None:
    payer, _, hold = await held(service)
    assert await amounts(payer) == ("100.00", "40.00", "60.00")
    assert (hold.amount, hold.left, hold.captured) == ("40.00", "40.00", "0.00")
    assert (hold.status, hold.kind) == (v1.HOLD_STATUS_OPEN, v1.MOVEMENT_KIND_TRANSFER)
    withdrawal = v1.CreateWithdrawalRequest(amount="60.01")
    error = await refused(payer.client.withdrawals.CreateWithdrawal(withdrawal))
    assert (error.reason, error.metadata["available"]) == ("INSUFFICIENT_FUNDS", "60.00")
    statement = v1.ListEntriesRequest(account=hold.account)
    entries = await payer.client.accounts.ListEntries(statement)
    assert [entry.amount for entry in entries.entries] == ["100.00"]


async def test_captures_in_parts_then_the_rest_is_given_back(service: Service) -> None:
    payer, receiver, hold = await held(service)
    request = v1.CaptureHoldRequest(
        hold=hold.id, amount="10", keep_rest=True, request_id="capture 1"
    )
    first = await payer.client.holds.CaptureHold(request)
    assert (first.balance, first.final, first.description) == ("90.00", False, "Deposit")
    assert await replayed(payer.client.holds.CaptureHold(request))
    assert await amounts(payer) == ("90.00", "30.00", "60.00")
    request = v1.CaptureHoldRequest(hold=hold.id, amount="30.01")
    error = await refused(payer.client.holds.CaptureHold(request))
    assert (error.reason, error.metadata["left"]) == ("CAPTURE_TOO_LARGE", "30.00")
    request.amount = "5"
    last = await payer.client.holds.CaptureHold(request)
    assert last.final
    assert await amounts(payer) == ("85.00", "0.00", "85.00")
    request = v1.CaptureHoldRequest(hold=hold.id)
    error = await refused(payer.client.holds.CaptureHold(request))
    assert (error.reason, error.metadata["status"]) == ("HOLD_CLOSED", "CAPTURED")
    seen = await payer.client.holds.GetHold(v1.GetHoldRequest(hold=hold.id))
    assert (seen.status, seen.captured, seen.left) == (v1.HOLD_STATUS_CAPTURED, "15.00", "0.00")
    assert sorted(seen.captures) == sorted([first.id, last.id])
    get = v1.GetTransferRequest(transfer=last.id)
    assert (await receiver.client.transfers.GetTransfer(get)).hold == hold.id


async def test_void_gives_back_what_is_left(service: Service) -> None:
    payer, _, hold = await held(service)
    await payer.client.holds.CaptureHold(
        v1.CaptureHoldRequest(hold=hold.id, amount="15", keep_rest=True)
    )
    request = v1.VoidHoldRequest(hold=hold.id, reason="Cancelled", request_id="void")
    voided = await payer.client.holds.VoidHold(request)
    assert (voided.status, voided.captured) == (v1.HOLD_STATUS_VOIDED, "15.00")
    assert await replayed(payer.client.holds.VoidHold(request))
    assert await amounts(payer) == ("85.00", "0.00", "85.00")
    request.request_id = ""
    assert await reason(payer.client.holds.VoidHold(request)) == "HOLD_CLOSED"


async def test_hold_expires_by_itself(service: Service) -> None:
    payer, _ = await rich(service, "100")
    other, account = await rich(service, "1")
    request = v1.CreateHoldRequest(
        to_account=account, amount="40", expire_time=soon(seconds=1), request_id="short"
    )
    hold = await payer.client.holds.CreateHold(request)
    get = v1.GetHoldRequest(hold=hold.id)
    async with asyncio.timeout(30):
        while (seen := await payer.client.holds.GetHold(get)).status == v1.HOLD_STATUS_OPEN:
            await asyncio.sleep(0.05)
    assert (seen.status, seen.left) == (v1.HOLD_STATUS_EXPIRED, "0.00")
    assert await amounts(payer) == ("100.00", "0.00", "100.00")
    capture = payer.client.holds.CaptureHold(v1.CaptureHoldRequest(hold=hold.id))
    assert await reason(capture) == "HOLD_EXPIRED"
    # Its request is repeated all the same, and no other is made for a time that is over.
    assert await replayed(payer.client.holds.CreateHold(request))
    request.request_id = ""
    assert await reason(payer.client.holds.CreateHold(request)) == "HOLD_EXPIRED"
    assert await reason(other.client.holds.GetHold(get)) == "HOLD_NOT_FOUND"


async def test_purchase_is_held_at_its_price_and_sold_once(service: Service) -> None:
    admin = await service.admin()
    offer = v1.Service(name="Tea", price="7", currency="USD")
    create = v1.CreateServiceRequest(service=offer)
    tea = (await admin.client.purchases.CreateService(create)).id
    payer, account = await rich(service, "10000")
    shop = await service.sibling(Scope.HOLDS_WRITE)
    request = v1.CreateHoldRequest(account=account, service=tea)
    hold = await shop.holds.CreateHold(request)
    assert (hold.kind, hold.conversion.amount) == (v1.MOVEMENT_KIND_PURCHASE, "7.00")
    # Whose account it is does not make them who decides.
    void = v1.VoidHoldRequest(hold=hold.id)
    assert await reason(payer.client.holds.VoidHold(void)) == "PERMISSION_MISSING"
    capture = await shop.holds.CaptureHold(v1.CaptureHoldRequest(hold=hold.id))
    assert capture.amount == hold.amount
    buy = v1.CreatePurchaseRequest(service=tea)
    bought = await payer.client.purchases.CreatePurchase(buy)
    assert (bought.already_purchased, bought.id, bought.hold) == (True, capture.id, hold.id)
    assert await reason(shop.holds.CreateHold(request)) == "ALREADY_PURCHASED"


async def test_capture_and_void_at_once_have_one_outcome(service: Service) -> None:
    payer, _, hold = await held(service)
    outcomes = await asyncio.gather(
        payer.client.holds.CaptureHold(v1.CaptureHoldRequest(hold=hold.id)),
        payer.client.holds.VoidHold(v1.VoidHoldRequest(hold=hold.id)),
        payer.client.holds.CaptureHold(v1.CaptureHoldRequest(hold=hold.id)),
        return_exceptions=True,
    )
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1


async def test_holds_are_listed_newest_first_by_page_and_status(service: Service) -> None:
    payer, _, first = await held(service, "1")
    holds = [first]
    for _ in range(3):
        create = v1.CreateHoldRequest(to_account=first.to_account, amount="1")
        holds.append(await payer.client.holds.CreateHold(create))
    await payer.client.holds.VoidHold(v1.VoidHoldRequest(hold=first.id))
    request = v1.ListHoldsRequest(page_size=3, count_total=True)
    page = await payer.client.holds.ListHolds(request)
    assert [hold.id for hold in page.holds] == [hold.id for hold in reversed(holds[1:])]
    assert page.total_size == 4
    request.page_token = page.next_page_token
    page = await payer.client.holds.ListHolds(request)
    assert [hold.id for hold in page.holds] == [first.id]
    assert page.next_page_token == ""
    voided = v1.ListHoldsRequest(status=v1.HOLD_STATUS_VOIDED)
    assert [h.id for h in (await payer.client.holds.ListHolds(voided)).holds] == [first.id]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": ""}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"to_account": "x"}, "to_account"),
        ({"service": "x", "to_account": "", "amount": ""}, "service"),
        ({"expire_time": soon(days=400)}, "expire_time"),
        ({"description": "x" * 201}, "description"),
    ],
)
async def test_wrong_values_are_named(
    service: Service, changes: dict[str, object], field: str
) -> None:
    payer, _, hold = await held(service, "1")
    request = v1.CreateHoldRequest(to_account=hold.to_account, amount="1")
    for name, value in changes.items():
        if isinstance(value, Timestamp):
            request.expire_time.CopyFrom(value)
        else:
            setattr(request, name, value)
    error = await refused(payer.client.holds.CreateHold(request))
    assert [violation.field for violation in error.violations] == [field]


async def test_hold_over_http(service: Service) -> None:
    payer, _, hold = await held(service, "1")
    body = {"to_account": hold.to_account, "amount": "40"}
    answer = await payer.http("POST", "/api/v1/holds/", body)
    assert (answer.status, answer.json["status"]) == (201, "HOLD_STATUS_OPEN")
    path = f"/api/v1/holds/{answer.json['id']}"
    capture = await payer.http("POST", f"{path}:capture", {"amount": "30", "keep_rest": True})
    assert (capture.json["balance"], capture.json["final"]) == ("70.00", False)
    voided = await payer.http("POST", f"{path}:void", {})
    assert (voided.json["status"], voided.json["captured"]) == ("HOLD_STATUS_VOIDED", "30.00")
    assert (await payer.http("GET", path)).json["captures"] == [capture.json["id"]]


async def test_rehearsal_changes_nothing(service: Service) -> None:
    payer, _, hold = await held(service, "1")
    request = v1.CreateHoldRequest(to_account=hold.to_account, amount="99", validate_only=True)
    assert (await payer.client.holds.CreateHold(request)).amount == "99.00"
    request.amount = "99.01"
    assert await reason(payer.client.holds.CreateHold(request)) == "INSUFFICIENT_FUNDS"
    transfer = v1.CreateTransferRequest(
        to_account=hold.to_account, amount="99", validate_only=True, request_id="later"
    )
    rehearsed = await payer.client.transfers.CreateTransfer(transfer)
    assert rehearsed.balance == "1.00"
    assert await amounts(payer) == ("100.00", "1.00", "99.00")
    transfer.validate_only = False
    transfer.amount = "98"
    assert (await payer.client.transfers.CreateTransfer(transfer)).id == rehearsed.id


async def test_etag_of_an_account_that_changed_refuses(service: Service) -> None:
    payer, _, hold = await held(service, "1")
    etag = (await account_of(payer)).etag
    request = v1.CreateTransferRequest(
        to_account=hold.to_account, amount="1", account_etag=etag, request_id="once"
    )
    await payer.client.transfers.CreateTransfer(request)
    assert await replayed(payer.client.transfers.CreateTransfer(request))
    request.request_id = ""
    assert await reason(payer.client.transfers.CreateTransfer(request)) == "ETAG_MISMATCH"


async def test_value_date_is_shown_on_the_statement(service: Service) -> None:
    payer, account = await rich(service, "100")
    date = soon(days=-3)
    request = v1.CreateWithdrawalRequest(amount="1", effective_time=date)
    withdrawal = await payer.client.withdrawals.CreateWithdrawal(request)
    assert withdrawal.effective_time.seconds == date.seconds
    listed = await payer.client.accounts.ListEntries(v1.ListEntriesRequest(account=account))
    assert [entry.HasField("effective_time") for entry in listed.entries] == [True, False]
    before = v1.MovementFilter(end_effective_time=soon(days=-1))
    kept = v1.ListEntriesRequest(account=account, filter=before)
    entries = (await payer.client.accounts.ListEntries(kept)).entries
    assert [entry.movement for entry in entries] == [withdrawal.id]
    since = v1.MovementFilter(start_effective_time=soon(days=-1))
    kept = v1.ListEntriesRequest(account=account, filter=since)
    entries = (await payer.client.accounts.ListEntries(kept)).entries
    assert [entry.amount for entry in entries] == ["100.00"]
    request.effective_time.CopyFrom(soon(days=400))
    error = await refused(payer.client.withdrawals.CreateWithdrawal(request))
    assert [violation.field for violation in error.violations] == ["effective_time"]
