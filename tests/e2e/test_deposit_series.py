"""BatchCreateDeposits and StreamDeposits: each deposit by itself, outcomes in order."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from uuid import uuid4

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from balance_client import BalanceError, v1
from balance_service.domain.principals import Scope
from balance_service.messages import answer_room
from tests.service import Contents, Service, StartService, Verified, reason, refused, somebody


def deposit(
    account: str, amount: str, request_id: str = "", reference: str = "", currency: str = ""
) -> v1.CreateDepositRequest:
    return v1.CreateDepositRequest(
        account=account,
        amount=amount,
        request_id=request_id,
        reference=reference,
        currency=currency,
    )


def told(outcome: v1.DepositOutcome) -> str:
    """What an outcome is: the balance after it, or the reason of a refusal."""
    if outcome.HasField("deposit"):
        return outcome.deposit.balance + (" again" if outcome.replayed else "")
    return reason_of(outcome.error)


def reason_of(status: status_pb2.Status) -> str:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


async def listed(outcomes: AsyncIterable[v1.DepositOutcome]) -> list[str]:
    return [told(outcome) async for outcome in outcomes]


async def test_batch_answers_each_item_in_order(service: Service, verified: Verified) -> None:
    billing = await service.sibling(Scope.DEPOSITS_WRITE)
    _, account = await somebody(service)
    batch = v1.BatchCreateDepositsRequest(
        requests=[
            deposit(account, "1", reference="1"),
            deposit(account, "x"),
            deposit(str(uuid4()), "1"),
            deposit(account, "2", reference="1"),
            deposit(account, "3", currency="USD"),
            deposit("", "4"),
            deposit(account, "5"),
        ],
        request_id="payday",
    )
    answer = await billing.deposits.BatchCreateDeposits(batch)
    assert [told(outcome) for outcome in answer.outcomes] == [
        "1.00",
        "INVALID_FIELD",
        "ACCOUNT_NOT_FOUND",
        "REFERENCE_REUSED",
        "CURRENCY_MISMATCH",
        "INVALID_FIELD",
        "6.00",
    ]
    again = await billing.deposits.BatchCreateDeposits(batch)
    assert [told(outcome) for outcome in again.outcomes][::6] == ["1.00 again", "6.00 again"]
    got = v1.GetDepositRequest(deposit=answer.outcomes[0].deposit.id)
    admin = await service.admin()
    assert await admin.client.deposits.GetDeposit(got) == answer.outcomes[0].deposit
    await verified()


async def test_all_or_nothing_batch_is_made_whole_or_not_at_all(
    service: Service, contents: Callable[[], Contents]
) -> None:
    billing = await service.sibling(Scope.DEPOSITS_WRITE)
    _, account = await somebody(service)
    before = contents()
    requests = [deposit(account, "1"), deposit(str(uuid4()), "1")]
    batch = v1.BatchCreateDepositsRequest(requests=requests, all_or_nothing=True)
    answer = await billing.deposits.BatchCreateDeposits(batch)
    outcomes = [told(outcome) for outcome in answer.outcomes]
    assert outcomes == ["BATCH_REFUSED", "ACCOUNT_NOT_FOUND"]
    batch.requests[1].account = account
    batch.validate_only = True
    answer = await billing.deposits.BatchCreateDeposits(batch)
    assert [told(outcome) for outcome in answer.outcomes] == ["1.00", "2.00"]
    assert contents() == before
    many = v1.BatchCreateDepositsRequest(requests=[deposit(account, "1")] * 1001)
    error = await refused(billing.deposits.BatchCreateDeposits(many))
    assert [violation.field for violation in error.violations] == ["requests"]


async def test_large_answer_leaves_metadata_out(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_room, "BYTES_MAX", 1000)
    billing = await service.sibling(Scope.DEPOSITS_WRITE)
    _, account = await somebody(service)
    item = v1.CreateDepositRequest(account=account, amount="1", metadata={"a": "x" * 200})
    batch = v1.BatchCreateDepositsRequest(requests=[item] * 5)
    answer = await billing.deposits.BatchCreateDeposits(batch)
    with_metadata = [bool(outcome.deposit.metadata) for outcome in answer.outcomes]
    assert with_metadata == [True] * 3 + [False] * 2


async def test_stream_answers_each_in_order(service: Service, verified: Verified) -> None:
    billing = await service.sibling(Scope.DEPOSITS_WRITE)
    person, account = await somebody(service)
    rehearsal = deposit(account, "1", "3")
    rehearsal.validate_only = True
    requests = [
        deposit(account, "1", "1"),
        deposit(account, "x", "2"),
        deposit(account, "1"),
        rehearsal,
        deposit(account, "1", "1"),
        deposit(account, "2", "1"),
    ]
    answered = asyncio.Semaphore(0)

    async def one_by_one() -> AsyncIterator[v1.CreateDepositRequest]:
        for request in requests:
            yield request
            await answered.acquire()

    outcomes = []
    async for outcome in billing.deposits.StreamDeposits(one_by_one()):
        outcomes.append(told(outcome))
        answered.release()
    assert outcomes == [
        "1.00",
        "INVALID_FIELD",
        "INVALID_FIELD",
        "INVALID_FIELD",
        "1.00 again",
        "IDEMPOTENCY_KEY_REUSED",
    ]
    many = [deposit(account, "0.01", f"of many {n}") for n in range(500)]
    made = [o.deposit.amount async for o in billing.deposits.StreamDeposits(iter(many))]
    assert (made, await person.balance(account)) == (["0.01"] * 500, "6.00")
    await verified()


async def test_only_who_may_deposit_may_in_a_series(start_service: StartService) -> None:
    service = await start_service(user_deposits=False)
    person, account = await somebody(service)
    unscoped = await service.sibling(Scope.TRANSFERS_WRITE, Scope.ACCOUNTS_READ)
    for client in (person.client, unscoped):
        batch = v1.BatchCreateDepositsRequest(requests=[deposit(account, "1")])
        assert await reason(client.deposits.BatchCreateDeposits(batch)) == "PERMISSION_MISSING"
        with pytest.raises(BalanceError) as error:
            await listed(client.deposits.StreamDeposits(iter([deposit(account, "1", "1")])))
        assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_batch_goes_over_http(service: Service) -> None:
    person, account = await somebody(service)
    body = {"requests": [{"amount": "1"}, {"amount": "x"}], "request_id": "batch"}
    answer = await person.http("POST", "/api/v1/actions:batchCreate", body)
    made, wrong = answer.json["outcomes"]
    assert (answer.status, made["deposit"]["account"], wrong["error"]["code"]) == (200, account, 3)
