"""TransferService: single transfers, batches, and why one is refused."""

from typing import Any
from uuid import uuid4

import grpc
from google.rpc import error_details_pb2, status_pb2

from balance_client import v1
from balance_service.domain.principals import Scope
from tests.service import Person, Service, Verified, refused, rich


async def test_transfer_moves_money_and_shows_its_sender_the_balance(
    service: Service, verified: Verified
) -> None:
    anna, ours = await rich(service)
    boris = await service.person()
    theirs = await boris.open()
    request = v1.CreateTransferRequest(to_account=theirs.number, amount="100.50")
    sent = await anna.client.transfers.CreateTransfer(request)
    assert (sent.from_account, sent.to_account) == (ours, theirs.id)
    assert (sent.amount, sent.balance) == ("100.50", "899.50")
    get = v1.GetTransferRequest(transfer=sent.id)
    assert await anna.client.transfers.GetTransfer(get) == sent
    received = await boris.client.transfers.GetTransfer(get)
    assert (received.id, received.balance) == (sent.id, "")
    stranger = await service.person()
    error = await refused(stranger.client.transfers.GetTransfer(get))
    assert error.reason == "MOVEMENT_NOT_FOUND"
    await verified()


async def test_sent_and_received_are_listed_apart(service: Service) -> None:
    anna, ours = await rich(service)
    boris, theirs = await rich(service)
    there = await anna.client.transfers.CreateTransfer(
        v1.CreateTransferRequest(to_account=theirs, amount="1")
    )
    back = await boris.client.transfers.CreateTransfer(
        v1.CreateTransferRequest(to_account=ours, amount="2")
    )
    transfers = anna.client.transfers
    sent = await transfers.ListTransfers(v1.ListTransfersRequest())
    received = await transfers.ListTransfers(v1.ListTransfersRequest(received=True))
    to_me = await transfers.ListReceivedTransfers(v1.ListTransfersRequest())
    assert [t.id for t in sent.transfers] == [there.id]
    assert [(t.id, t.balance) for t in received.transfers] == [(back.id, "")]
    assert received.transfers == to_me.transfers


async def test_each_impossible_transfer_has_its_own_refusal(
    service: Service, verified: Verified
) -> None:
    anna, ours = await rich(service)
    boris, theirs = await rich(service)
    admin = await service.admin()
    own = (await admin.open()).id
    await admin.deposit("10", own)
    unfit = await unfit_receivers(service, admin)
    for reason, (account, number) in unfit.items():
        for receiver in (account, number):
            request = v1.CreateTransferRequest(amount="1", to_account=receiver)
            error = await refused(admin.client.transfers.CreateTransfer(request))
            assert error.reason == reason
    cases: dict[str, dict[str, Any]] = {
        "SAME_ACCOUNT": {"to_account": ours},
        "INSUFFICIENT_FUNDS": {"to_account": theirs, "amount": "1000.01"},
        "ACCOUNT_NOT_FOUND": {"from_account": theirs, "to_account": ours},
    }
    for reason, fields in cases.items():
        request = v1.CreateTransferRequest(**{"amount": "1", **fields})
        assert (await refused(anna.client.transfers.CreateTransfer(request))).reason == reason
    assert await anna.balance(ours) == await boris.balance(theirs) == "1000.00"
    await verified()


async def unfit_receivers(service: Service, admin: Person) -> dict[str, tuple[str, str]]:
    """Strangers' accounts that cannot receive, by why: id and number."""
    frozen, closed = [await (await service.person()).open() for _ in range(2)]
    dollars = await (await service.person()).open("USD")
    operators = admin.client.accounts
    await operators.FreezeAccount(v1.FreezeAccountRequest(account=frozen.id))
    await operators.CloseAccount(v1.CloseAccountRequest(account=closed.id))
    full = await (await service.person()).open()
    await (await service.sibling(Scope.DEPOSITS_WRITE)).deposits.CreateDeposit(
        v1.CreateDepositRequest(account=full.id, amount="92233720368547758.07")
    )
    return {
        "ACCOUNT_FROZEN": (frozen.id, frozen.number),
        "ACCOUNT_CLOSED": (closed.id, closed.number),
        "CURRENCY_MISMATCH": (dollars.id, dollars.number),
        "BALANCE_OVERFLOW": (full.id, full.number),
        "ACCOUNT_NOT_FOUND": (str(uuid4()), "1234567897"),
    }


async def test_strangers_account_that_cannot_receive_is_always_refused_the_same(
    service: Service, verified: Verified
) -> None:
    anna, ours = await rich(service)
    unfit = await unfit_receivers(service, await service.admin())
    payroll = await service.sibling(Scope.TRANSFERS_WRITE)
    receivers = [receiver for both in unfit.values() for receiver in both]
    for client in (anna.client, payroll):
        told: set[bytes] = set()
        alone: set[tuple[str, ...]] = set()
        for amount in ("1", "1000.01"):
            requests = [
                v1.CreateTransferRequest(
                    from_account=ours, to_account=text, amount=amount, request_id=f"{amount} {text}"
                )
                for text in receivers
            ]
            answers = [
                *(await client.transfers.BatchCreateTransfers(
                    v1.BatchCreateTransfersRequest(requests=requests)
                )).outcomes,
                *[outcome async for outcome in client.transfers.StreamTransfers(iter(requests))],
            ]  # fmt: skip
            told |= {answer.error.SerializeToString(deterministic=True) for answer in answers}
            for request in requests:
                error = await refused(client.transfers.CreateTransfer(request))
                fact = error.metadata.get("missing", "")
                alone.add((error.reason, str(error), fact))
        reasons = sorted(reason_of(status_pb2.Status.FromString(status)) for status in told)
        assert reasons == ["INSUFFICIENT_FUNDS", "RECEIVER_UNAVAILABLE"]
        assert sorted(reason for reason, *_ in alone) == reasons
    own = (await anna.open("USD")).id
    request = v1.CreateTransferRequest(from_account=ours, to_account=own, amount="1")
    error = await refused(anna.client.transfers.CreateTransfer(request))
    assert (error.reason, error.metadata["account"]) == ("CURRENCY_MISMATCH", own)
    assert await anna.balance(ours) == "1000.00"
    await verified()


def reason_of(status: status_pb2.Status) -> str:
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return str(info.reason)


async def test_batch_answers_each_item_in_order(service: Service, verified: Verified) -> None:
    payroll = await service.sibling(Scope.TRANSFERS_WRITE)
    _, ours = await rich(service, "100")
    boris, theirs = await rich(service, "0.01")
    items = [
        v1.CreateTransferRequest(from_account=ours, to_account=theirs, amount=amount)
        for amount in ("10", "1000", "x", "20")
    ]
    request = v1.BatchCreateTransfersRequest(requests=items, request_id=str(uuid4()))
    answer = await payroll.transfers.BatchCreateTransfers(request)
    kinds = [outcome.WhichOneof("outcome") for outcome in answer.outcomes]
    assert kinds == ["transfer", "error", "error", "transfer"]
    assert answer.outcomes[1].error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert answer.outcomes[2].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    again = await payroll.transfers.BatchCreateTransfers(request)
    assert [outcome.replayed for outcome in again.outcomes] == [True, False, False, True]
    assert again.outcomes[0].transfer == answer.outcomes[0].transfer
    assert await boris.balance(theirs) == "30.01"
    await verified()


async def test_all_or_nothing_batch_is_made_whole_or_not_at_all(
    service: Service, verified: Verified
) -> None:
    payroll = await service.sibling(Scope.TRANSFERS_WRITE)
    anna, ours = await rich(service, "100")
    _, theirs = await rich(service, "0.01")

    async def batch(*amounts: str) -> list[str | None]:
        items = [
            v1.CreateTransferRequest(from_account=ours, to_account=theirs, amount=amount)
            for amount in amounts
        ]
        request = v1.BatchCreateTransfersRequest(requests=items, all_or_nothing=True)
        answer = await payroll.transfers.BatchCreateTransfers(request)
        return [outcome.WhichOneof("outcome") for outcome in answer.outcomes]

    assert await batch("60", "60") == ["error", "error"]
    assert await batch("60", "-1") == ["error", "error"]
    assert await anna.balance(ours) == "100.00"
    assert await batch("60", "40") == ["transfer", "transfer"]
    assert await anna.balance(ours) == "0.00"
    await verified()


async def test_batch_of_a_thousand(service: Service, verified: Verified) -> None:
    payroll = await service.sibling(Scope.TRANSFERS_WRITE)
    _, ours = await rich(service, "100")
    boris, theirs = await rich(service, "0.01")
    item = v1.CreateTransferRequest(from_account=ours, to_account=theirs, amount="0.05")
    answer = await payroll.transfers.BatchCreateTransfers(
        v1.BatchCreateTransfersRequest(requests=[item] * 1000)
    )
    assert sum(outcome.HasField("transfer") for outcome in answer.outcomes) == 1000
    assert await boris.balance(theirs) == "50.01"
    for size in (0, 1001):
        request = v1.BatchCreateTransfersRequest(requests=[item] * size)
        error = await refused(payroll.transfers.BatchCreateTransfers(request))
        assert [violation.field for violation in error.violations] == ["requests"]
    await verified()


async def test_services_without_the_scope_transfer_nothing(service: Service) -> None:
    reader = await service.sibling(Scope.ACCOUNTS_READ)
    _, ours = await rich(service)
    request = v1.CreateTransferRequest(from_account=ours, to_account=str(uuid4()), amount="1")
    assert (await refused(reader.transfers.CreateTransfer(request))).reason == "PERMISSION_MISSING"


async def test_mistyped_number_is_told_to_be_one(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    mistyped = account.number[:-1] + str((int(account.number[-1]) + 1) % 10)
    for text in (mistyped, "12345", ""):
        request = v1.CreateTransferRequest(to_account=text, amount="1")
        error = await refused(person.client.transfers.CreateTransfer(request))
        (wrong,) = error.violations
        assert wrong.field == "to_account"
        assert "number of ten digits" in wrong.description
