"""CreateSplit: one payment among many receivers, to the last kopeck."""

from collections.abc import Callable
from typing import Any

import pytest

from balance_client import v1
from balance_service.domain.principals import Scope
from balance_service.messages import answer_room
from tests.service import Contents, Person, Service, Verified, refused, replayed, rich

Receiver = v1.SplitReceiver


async def split(person: Person, amount: str, *receivers: Receiver, **fields: Any) -> Any:
    request = v1.CreateSplitRequest(amount=amount, receivers=receivers, **fields)
    return await person.client.transfers.CreateSplit(request)


async def accounts(service: Service, count: int) -> list[v1.Account]:
    return [await (await service.person()).open() for _ in range(count)]


def amounts(answer: v1.CreateSplitResponse) -> list[str]:
    return [part.transfer.amount for part in answer.parts]


async def test_split_by_weights_says_where_the_remainder_went(
    service: Service, verified: Verified
) -> None:
    anna, ours = await rich(service, "100")
    one, two, three = await accounts(service, 3)
    answer = await split(
        anna,
        "100",
        Receiver(to_account=one.id, weight=2),
        Receiver(to_account=two.number, weight=2),
        Receiver(to_account=three.id, weight=3),
        description="Rent",
        metadata={"month": "11"},
    )
    # Exactly 28.571..., 28.571... and 42.857...
    assert amounts(answer) == ["28.57", "28.57", "42.86"]
    assert [part.remainder for part in answer.parts] == ["", "", "0.01"]
    assert answer.remainder == "0.01"
    assert [part.transfer.to_account for part in answer.parts] == [one.id, two.id, three.id]
    assert [part.transfer.balance for part in answer.parts] == ["71.43", "42.86", "0.00"]
    assert {part.transfer.description for part in answer.parts} == {"Rent"}
    get = v1.GetTransferRequest(transfer=answer.parts[1].transfer.id)
    assert await anna.client.transfers.GetTransfer(get) == answer.parts[1].transfer
    assert await anna.balance(ours) == "0.00"
    await verified()


async def test_split_by_amounts_with_a_rest_over_http(service: Service, verified: Verified) -> None:
    anna, ours = await rich(service, "100")
    one, two, three = await accounts(service, 3)
    body: dict[str, Any] = {
        "amount": "50",
        "receivers": [
            {"to_account": one.id, "amount": "20.5"},
            {"to_account": two.number, "takes_rest": True},
            {"to_account": three.id, "amount": "0.01"},
        ],
    }
    answer = await anna.http("POST", "/api/v1/transfers:split", body, idempotency_key="rent")
    assert answer.status == 200
    assert [part["transfer"]["amount"] for part in answer.json["parts"]] == [
        "20.50",
        "29.49",
        "0.01",
    ]
    assert (answer.json["remainder"], answer.json["parts"][0]["remainder"]) == ("0.00", "")
    again = await anna.http("POST", "/api/v1/transfers:split/", body, idempotency_key="rent")
    assert again.json == answer.json
    assert again.headers["idempotency-replayed"] == "true"
    body["amount"], body["receivers"][1] = "20.51", {"to_account": two.id, "amount": "1"}
    wrong = await anna.http("POST", "/api/v1/transfers:split", body)
    assert (wrong.fields, await anna.balance(ours)) == (["amount"], "50.00")
    await verified()


async def test_request_with_more_or_fewer_receivers_is_another_request(
    service: Service, verified: Verified
) -> None:
    anna, ours = await rich(service, "100")
    receivers = [Receiver(to_account=a.id, weight=1) for a in await accounts(service, 4)]
    whole = v1.CreateSplitRequest(amount="3", receivers=receivers[:3], request_id="rent")
    await anna.client.transfers.CreateSplit(whole)
    assert await replayed(anna.client.transfers.CreateSplit(whole))
    others = {"2": receivers[:2], "4": receivers, "3": [receivers[0], receivers[2], receivers[1]]}
    for amount, theirs in others.items():
        error = await refused(split(anna, amount, *theirs, request_id="rent"))
        assert (error.reason, error.metadata["request_id"]) == ("IDEMPOTENCY_KEY_REUSED", "rent")
    one = v1.CreateTransferRequest(
        to_account=receivers[1].to_account, amount="1", request_id="rent"
    )
    error = await refused(anna.client.transfers.CreateTransfer(one))
    assert error.reason == "IDEMPOTENCY_KEY_REUSED"
    assert await anna.balance(ours) == "97.00"
    await verified()


async def test_refused_part_refuses_all_and_is_named(
    service: Service, contents: Callable[[], Contents]
) -> None:
    anna, ours = await rich(service, "100")
    admin = await service.admin()
    one, frozen = await accounts(service, 2)
    freeze = v1.FreezeAccountRequest(account=frozen.id)
    await admin.client.accounts.FreezeAccount(freeze)
    dollars = (await anna.open("USD")).id
    payroll = await service.sibling(Scope.DEPOSITS_WRITE)
    before = contents()
    first = Receiver(to_account=one.id, weight=1)
    error = await refused(split(anna, "10", first, Receiver(to_account=frozen.number, weight=1)))
    assert (error.reason, error.metadata["receiver"]) == ("RECEIVER_UNAVAILABLE", frozen.number)
    error = await refused(split(anna, "10", first, Receiver(to_account=dollars, weight=1)))
    assert (error.reason, error.metadata["account"]) == ("CURRENCY_MISMATCH", dollars)
    error = await refused(split(anna, "240", first, Receiver(to_account=frozen.id, weight=2)))
    facts = {name: error.metadata[name] for name in ("available", "required", "missing")}
    assert error.reason == "INSUFFICIENT_FUNDS"
    assert facts == {"available": "100.00", "required": "240.00", "missing": "140.00"}
    error = await refused(split(anna, "10", first, first, from_account=frozen.id))
    assert [violation.field for violation in error.violations] == ["receivers[1].to_account"]
    request = v1.CreateSplitRequest(
        from_account=ours, amount="10", receivers=[first, Receiver(to_account=frozen.id, weight=1)]
    )
    assert (await refused(payroll.transfers.CreateSplit(request))).reason == "PERMISSION_MISSING"
    assert contents() == before


def wrong(one: v1.Account, two: v1.Account, ours: str) -> list[tuple[str, list[Receiver], str]]:
    """Amounts and receivers of which one field is wrong."""

    def to(account: str, **share: Any) -> Receiver:
        return Receiver(to_account=account, **share)

    light, heavy = to(one.id, weight=1), to(two.id, weight=2)
    paid, resting = to(one.id, amount="4"), to(two.id, takes_rest=True)
    return [
        ("10", [], "receivers"),
        ("10", [light], "receivers"),
        ("10", [light] * 1001, "receivers"),
        ("10", [light, to(two.id)], "receivers[1].weight"),
        ("10", [light, to(two.id, weight=-1)], "receivers[1].weight"),
        ("10", [light, to(two.id, weight=1_000_001)], "receivers[1].weight"),
        ("10", [light, to(two.id, weight=1, amount="1")], "receivers[1].amount"),
        ("10", [light, to(two.id, weight=1, takes_rest=True)], "receivers[1].takes_rest"),
        ("0.01", [light, heavy], "receivers[0].weight"),
        ("10", [paid, to(two.id)], "receivers[1].amount"),
        ("10", [paid, to(two.id, amount="0")], "receivers[1].amount"),
        ("10", [paid, to(two.id, amount="1.001")], "receivers[1].amount"),
        ("10", [paid, to(two.id, amount="5.99")], "amount"),
        ("10", [paid, to(two.id, amount="1", takes_rest=True)], "receivers[1].takes_rest"),
        ("10", [to(one.id, takes_rest=True), resting], "receivers[1].takes_rest"),
        ("4", [paid, resting], "amount"),
        ("10", [light, to(ours, weight=1)], "receivers[1].to_account"),
        ("10", [light, to(one.number, weight=1)], "receivers[1].to_account"),
        ("10", [light, to("", weight=1)], "receivers[1].to_account"),
        ("10", [light, to("1234567890", weight=1)], "receivers[1].to_account"),
        ("-1", [light, heavy], "amount"),
    ]


async def test_split_that_is_none_is_refused_by_name_and_changes_nothing(
    service: Service, contents: Callable[[], Contents]
) -> None:
    anna, ours = await rich(service, "100")
    one, two = await accounts(service, 2)
    before = contents()
    for amount, receivers, field in wrong(one, two, ours):
        error = await refused(split(anna, amount, *receivers))
        assert [violation.field for violation in error.violations] == [field], (amount, field)
    assert contents() == before


async def test_rehearsed_split_changes_nothing(
    service: Service, contents: Callable[[], Contents]
) -> None:
    anna, _ = await rich(service, "100")
    receivers = [Receiver(to_account=a.id, weight=1) for a in await accounts(service, 2)]
    before = contents()
    answer = await split(anna, "0.03", *receivers, validate_only=True, request_id="rent")
    assert amounts(answer) == ["0.02", "0.01"]
    assert contents() == before
    done = await split(anna, "0.03", *receivers, request_id="rent")
    assert amounts(done) == amounts(answer)


@pytest.mark.usefixtures("within")
async def test_large_answer_leaves_metadata_out(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_room, "BYTES_MAX", 1000)
    anna, _ = await rich(service, "100")
    receivers = [Receiver(to_account=a.id, weight=1) for a in await accounts(service, 5)]
    answer = await split(anna, "5", *receivers, metadata={"k": "v" * 200})
    kept = [dict(part.transfer.metadata) for part in answer.parts]
    assert (kept[0], kept[-1]) == ({"k": "v" * 200}, {})


async def test_etag_is_that_of_the_payer_before_all_parts(service: Service) -> None:
    anna, ours = await rich(service, "100")
    receivers = [Receiver(to_account=a.id, weight=1) for a in await accounts(service, 3)]
    get = v1.GetAccountRequest(account=ours)
    etag = (await anna.client.accounts.GetAccount(get)).etag
    await split(anna, "3", *receivers, account_etag=etag)
    error = await refused(split(anna, "3", *receivers, account_etag=etag))
    assert error.reason == "ETAG_MISMATCH"
    assert await anna.balance(ours) == "97.00"


async def test_services_split_from_any_account(service: Service, verified: Verified) -> None:
    payroll = await service.sibling(Scope.TRANSFERS_WRITE)
    anna, ours = await rich(service, "1000")
    receivers = [Receiver(to_account=a.id, weight=1) for a in await accounts(service, 4)]
    request = v1.CreateSplitRequest(amount="999.99", receivers=receivers)
    error = await refused(payroll.transfers.CreateSplit(request))
    assert [violation.field for violation in error.violations] == ["from_account"]
    request.from_account = ours
    answer = await payroll.transfers.CreateSplit(request)
    assert amounts(answer) == ["250.00", "250.00", "250.00", "249.99"]
    assert answer.remainder == "0.03"
    assert await anna.balance(ours) == "0.01"
    await verified()
