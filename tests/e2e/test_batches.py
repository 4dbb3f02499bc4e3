"""BatchService: movements of every kind in one call, chains of them, and batches that are none."""

from collections.abc import Callable
from typing import Any

import pytest
from google.rpc import error_details_pb2, status_pb2

from balance_client import AsyncClient, v1
from balance_service.domain.principals import Scope
from balance_service.messages import answer_room
from tests.service import Contents, Service, Verified, refused, rich

Item = v1.CreateMovementRequest


def item(request: Any, *, linked: bool = False) -> v1.CreateMovementRequest:
    """An item that asks for what a request of a single call asks for."""
    fields = Item.DESCRIPTOR.oneofs_by_name["movement"].fields
    (name,) = [field.name for field in fields if field.message_type is request.DESCRIPTOR]
    return Item(**{name: request, "linked": linked})


async def batch(
    client: AsyncClient, *items: v1.CreateMovementRequest, **fields: Any
) -> list[v1.MovementOutcome]:
    request = v1.BatchCreateMovementsRequest(requests=items, **fields)
    return list((await client.batches.BatchCreateMovements(request)).outcomes)


def reason_of(status: status_pb2.Status) -> str:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


def told(outcomes: list[v1.MovementOutcome]) -> list[str]:
    """What each item came to: the kind of answer, or the reason of a refusal."""
    return [
        reason_of(o.error) if o.HasField("error") else str(o.WhichOneof("outcome"))
        for o in outcomes
    ]


def sent(to_account: str, amount: str, **fields: Any) -> v1.CreateTransferRequest:
    return v1.CreateTransferRequest(to_account=to_account, amount=amount, **fields)


async def sold(service: Service, price: str = "10") -> v1.Service:
    admin = await service.admin()
    offer = v1.Service(name="Tea", price=price)
    return await admin.client.purchases.CreateService(v1.CreateServiceRequest(service=offer))


async def test_items_of_every_kind_are_made_as_their_calls_make_them(
    service: Service, verified: Verified
) -> None:
    admin = await service.admin()
    account, dollars = await admin.open(), await admin.open("USD")
    await admin.deposit("1000", account.id)
    _, theirs = await rich(service, "1")
    tea, client = await sold(service), admin.client
    made = {
        "deposit": (await admin.deposit("5", account.id)).id,
        "withdrawal": (
            await client.withdrawals.CreateWithdrawal(v1.CreateWithdrawalRequest(amount="5"))
        ).id,
        "transfer": (await client.transfers.CreateTransfer(sent(theirs, "5"))).id,
        "purchase": (
            await client.purchases.CreatePurchase(
                v1.CreatePurchaseRequest(service=(await sold(service, "5")).id)
            )
        ).id,
    }
    placing = v1.CreateHoldRequest(to_account=theirs, amount="5")
    holds = [(await client.holds.CreateHold(placing)).id for _ in range(2)]
    quote = await client.exchanges.CreateQuote(
        v1.CreateQuoteRequest(from_currency="RUB", to_currency="USD", to_amount="0.10")
    )
    items = [
        item(v1.CreateDepositRequest(amount="3", source="bank", reference="r 1")),
        item(v1.CreateWithdrawalRequest(amount="3", description="Payout")),
        item(v1.CreatePurchaseRequest(service=tea.id, metadata={"a": "b"})),
        item(sent(theirs, "3")),
        item(v1.CreateExchangeRequest(quote=quote.id)),
        item(placing),
        item(v1.CaptureHoldRequest(hold=holds[0], amount="2")),
        item(v1.VoidHoldRequest(hold=holds[1], reason="Cancelled")),
        item(v1.ReverseDepositRequest(deposit=made["deposit"], reason="Why")),
        item(v1.ReverseWithdrawalRequest(withdrawal=made["withdrawal"], reason="Why")),
        item(v1.RefundPurchaseRequest(purchase=made["purchase"], reason="Why")),
        item(v1.ReverseTransferRequest(transfer=made["transfer"], reason="Why")),
    ]
    outcomes = await batch(client, *items, request_id="everything")
    assert told(outcomes) == [
        *["deposit", "withdrawal", "purchase", "transfer", "exchange", "hold", "capture", "hold"],
        *["reversal"] * 4,
    ]
    assert (outcomes[0].deposit.reference, outcomes[1].withdrawal.balance) == ("r 1", "990.00")
    assert (outcomes[4].exchange.to_account, outcomes[6].capture.hold) == (dollars.id, holds[0])
    assert (outcomes[7].hold.id, outcomes[7].hold.status) == (holds[1], v1.HOLD_STATUS_VOIDED)
    assert [o.reversal.original for o in outcomes[8:]] == [
        made[name] for name in ("deposit", "withdrawal", "purchase", "transfer")
    ]
    deposit = v1.GetDepositRequest(deposit=outcomes[0].deposit.id)
    assert await client.deposits.GetDeposit(deposit) == outcomes[0].deposit
    again = await batch(client, *items, request_id="everything")
    assert all(o.replayed for o in again)
    for before, after in zip(outcomes, again, strict=True):
        after.replayed = False
        assert after == before
    await verified()


async def test_chain_is_carried_out_whole_or_not_at_all(
    service: Service, verified: Verified
) -> None:
    anna, ours = await rich(service, "100")
    boris, theirs = await rich(service, "1")
    tea = await sold(service)
    buy = item(v1.CreatePurchaseRequest(service=tea.id), linked=True)
    outcomes = await batch(
        anna.client,
        item(v1.CreateDepositRequest(amount="1")),
        buy,
        item(sent(theirs, "1"), linked=True),
        item(sent(theirs, "500")),
        item(sent(theirs, "x"), linked=True),
        item(v1.CreateWithdrawalRequest(amount="1")),
        item(sent(theirs, "2")),
    )
    refusals = ["BATCH_REFUSED", "BATCH_REFUSED", "INSUFFICIENT_FUNDS"]
    refusals += ["INVALID_FIELD", "BATCH_REFUSED"]
    assert told(outcomes) == ["deposit", *refusals, "transfer"]
    info = error_details_pb2.ErrorInfo()
    outcomes[1].error.details[0].Unpack(info)
    assert info.metadata["index"] == "3"
    assert await anna.balance(ours) == "99.00"
    outcomes = await batch(anna.client, buy, item(sent(theirs, "500")), all_or_nothing=True)
    assert told(outcomes) == ["BATCH_REFUSED", "INSUFFICIENT_FUNDS"]
    outcomes = await batch(anna.client, buy, item(sent(theirs, "89")))
    assert told(outcomes) == ["purchase", "transfer"]
    assert (await anna.balance(ours), await boris.balance(theirs)) == ("0.00", "92.00")
    await verified()


async def test_chain_sends_on_what_it_brought_in_over_http(service: Service) -> None:
    person = await service.person()
    account = (await person.open()).id
    boris, theirs = await rich(service, "1")
    body = {
        "requests": [
            {"create_deposit": {"amount": "7"}, "linked": True},
            {"create_transfer": {"to_account": theirs, "amount": "7"}},
        ],
        "request_id": "pass it on",
    }
    for replayed in (False, True):
        answer = await person.http("POST", "/api/v1/movements:batchCreate", body)
        assert answer.status == 200
        first, second = answer.json["outcomes"]
        assert (first["deposit"]["account"], first["deposit"]["balance"]) == (account, "7.00")
        assert second["transfer"]["balance"] == "0.00"
        assert (first["replayed"], second["replayed"]) == (replayed, replayed)
    assert await boris.balance(theirs) == "8.00"


async def test_what_a_caller_may_not_do_is_that_items_refusal(
    service: Service, verified: Verified
) -> None:
    anna, ours = await rich(service, "100")
    _, theirs = await rich(service, "1")
    deposit = await anna.deposit("1")
    everything = [
        item(sent(theirs, "1", from_account=ours)),
        item(v1.CreateDepositRequest(account=ours, amount="1")),
        item(v1.ReverseDepositRequest(deposit=deposit.id, reason="Why")),
    ]
    payroll = await service.sibling(Scope.TRANSFERS_WRITE)
    outcomes = await batch(payroll, *everything)
    assert told(outcomes) == ["transfer", "PERMISSION_MISSING", "PERMISSION_MISSING"]
    assert told(await batch(anna.client, *everything)) == [
        *["transfer", "deposit", "PERMISSION_MISSING"]
    ]
    linked = [item(sent(theirs, "1", from_account=ours), linked=True), everything[1]]
    assert told(await batch(payroll, *linked)) == ["BATCH_REFUSED", "PERMISSION_MISSING"]
    forced = v1.ReverseDepositRequest(deposit=deposit.id, reason="Why", force=True)
    reversing = await service.sibling(Scope.DEPOSITS_REVERSE)
    assert told(await batch(reversing, item(forced))) == ["PERMISSION_MISSING"]
    reader = await service.sibling(Scope.ACCOUNTS_READ, Scope.ACCOUNTS_WRITE)
    assert (await refused(batch(reader, everything[0]))).reason == "PERMISSION_MISSING"
    await verified()


async def test_bought_before_is_told_and_breaks_no_chain(service: Service) -> None:
    anna, _ = await rich(service, "100")
    _, theirs = await rich(service, "1")
    tea = await sold(service)
    buy = v1.CreatePurchaseRequest(service=tea.id)
    bought = await anna.client.purchases.CreatePurchase(buy)
    outcomes = await batch(anna.client, item(buy, linked=True), item(sent(theirs, "1")))
    assert told(outcomes) == ["purchase", "transfer"]
    assert outcomes[0].purchase.already_purchased
    assert not outcomes[0].replayed
    assert outcomes[0].purchase.id == bought.id
    assert outcomes[1].transfer.balance == "89.00"


async def test_rehearsed_batch_changes_nothing(
    service: Service, contents: Callable[[], Contents]
) -> None:
    anna, _ = await rich(service, "100")
    _, theirs = await rich(service, "1")
    chain = [item(sent(theirs, "60"), linked=True), item(sent(theirs, "40")), item(sent("x", "1"))]
    before = contents()
    outcomes = await batch(anna.client, *chain, validate_only=True, request_id="rehearsal")
    assert told(outcomes) == ["transfer", "transfer", "INVALID_FIELD"]
    rehearsed = item(sent(theirs, "1", validate_only=True))
    (outcome,) = await batch(anna.client, rehearsed)
    bad = error_details_pb2.BadRequest()
    assert outcome.error.details[1].Unpack(bad)
    assert [violation.field for violation in bad.field_violations] == ["validate_only"]
    assert contents() == before
    assert told(await batch(anna.client, *chain, request_id="rehearsal"))[:2] == ["transfer"] * 2


def shapes(theirs: str) -> dict[str, list[v1.CreateMovementRequest]]:
    """Batches that are none, by the field that is wrong."""
    send = item(sent(theirs, "1"))
    same = [item(sent(theirs, "1", request_id="Same")), item(sent(theirs, "2", request_id="Same"))]
    known = "0190a1b2-0000-7000-8000-00000000abcd"
    return {
        "requests": [],
        "requests ": [send] * 1001,
        "requests[1]": [send, Item(), send],
        "requests[1].linked": [send, item(sent(theirs, "1"), linked=True)],
        "requests[0].linked": [item(sent(theirs, "1"), linked=True)],
        "requests[2].create_transfer.request_id": [same[0], send, same[1]],
        "requests[1].create_deposit.request_id": [
            item(sent(theirs, "1", request_id=known)),
            item(v1.CreateDepositRequest(amount="1", request_id=known.upper())),
        ],
    }


async def test_batch_that_is_none_is_refused_by_name_and_changes_nothing(
    service: Service, contents: Callable[[], Contents]
) -> None:
    anna, _ = await rich(service, "100")
    _, theirs = await rich(service, "1")
    before = contents()
    for field, items in shapes(theirs).items():
        error = await refused(batch(anna.client, *items))
        assert [violation.field for violation in error.violations] == [field.strip()]
    error = await refused(batch(anna.client, Item(), Item(), item(sent(theirs, "1"), linked=True)))
    assert [violation.field for violation in error.violations] == [
        *["requests[0]", "requests[1]", "requests[2].linked"]
    ]
    assert contents() == before


async def test_two_movements_in_one_item_are_refused_over_http(service: Service) -> None:
    person, _ = await rich(service, "100")
    two = {"create_deposit": {"amount": "1"}, "createTransfer": {"amount": "1"}}
    answer = await person.http("POST", "/api/v1/movements:batchCreate", {"requests": [two]})
    assert (answer.status, answer.reason) == (400, "INVALID_FIELD")
    assert answer.fields == ["requests[0].create_transfer"]
    null = {"create_deposit": {"amount": "1"}, "create_transfer": None}
    answer = await person.http("POST", "/api/v1/movements:batchCreate", {"requests": [null]})
    assert answer.json["outcomes"][0]["deposit"]["amount"] == "1.00"


async def test_thousand_items_that_refer_to_others_are_made_in_one_call(
    service: Service, verified: Verified
) -> None:
    anna, ours = await rich(service, "1000")
    boris = await service.person()
    theirs = await boris.open()
    send, place = (
        sent(theirs.number, "0.10"),
        v1.CreateHoldRequest(to_account=theirs.id, amount="1"),
    )
    holds = [o.hold.id for o in await batch(anna.client, *[item(place)] * 400)]
    captures = [item(v1.CaptureHoldRequest(hold=hold)) for hold in holds]
    outcomes = await batch(anna.client, *captures, *[item(send)] * 600)
    assert told(outcomes) == ["capture"] * 400 + ["transfer"] * 600
    assert (await anna.balance(ours), await boris.balance(theirs.id)) == ("540.00", "460.00")
    await verified()


@pytest.mark.usefixtures("within")
async def test_large_answer_leaves_metadata_out(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_room, "BYTES_MAX", 1000)
    anna, _ = await rich(service, "100")
    _, theirs = await rich(service, "1")
    outcomes = await batch(anna.client, *[item(sent(theirs, "1", metadata={"k": "v" * 200}))] * 10)
    kept = [dict(o.transfer.metadata) for o in outcomes]
    assert (kept[0], kept[-1]) == ({"k": "v" * 200}, {})
    get = v1.GetTransferRequest(transfer=outcomes[-1].transfer.id)
    assert (await anna.client.transfers.GetTransfer(get)).metadata["k"] == "v" * 200
