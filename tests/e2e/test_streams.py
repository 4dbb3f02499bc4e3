"""StreamTransfers: each request by itself, outcomes in order, and a bound on what is under way."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from balance_client import AsyncClient, BalanceError, Client, ServiceCredentials, v1
from balance_client.aio import AsyncServiceCredentials
from balance_client.policy import new_request_id
from balance_service.calls.streams import WINDOW
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from tests.service import Person, Service


async def reasons(outcomes: AsyncIterable[v1.TransferOutcome]) -> list[str]:
    """What each outcome is: the amount moved, or the reason of a refusal."""
    return [
        outcome.transfer.amount if outcome.HasField("transfer") else _reason(outcome.error)
        async for outcome in outcomes
    ]


def _reason(status: Any) -> str:

    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


async def pair(service: Service) -> tuple[Person, str, str]:
    sender, receiver = await service.person(), await service.person()
    account, other = await sender.open(), await receiver.open()
    await sender.deposit("1000", account.id)
    return sender, account.id, other.id


def transfer(
    sender: str, receiver: str, amount: str, request_id: str | None = None, description: str = ""
) -> v1.CreateTransferRequest:
    return v1.CreateTransferRequest(
        from_account=sender,
        to_account=receiver,
        amount=amount,
        request_id=str(new_request_id()) if request_id is None else request_id,
        description=description,
    )


async def test_each_is_answered_in_order_and_refused_by_itself(service: Service) -> None:
    person, account, other = await pair(service)
    again = transfer(account, other, "3")
    requests = [
        transfer(account, other, "1"),
        transfer(account, other, "5000"),
        transfer(account, other, "2", request_id=""),
        again,
        transfer(account, other, "-1"),
        again,
    ]
    stream = person.client.transfers.StreamTransfers(iter(requests))
    assert await reasons(stream) == [
        "1.00",
        "INSUFFICIENT_FUNDS",
        "INVALID_FIELD",
        "3.00",
        "INVALID_FIELD",
        "3.00",
    ]
    found = await person.client.accounts.GetAccount(v1.GetAccountRequest(account=account))
    assert found.balance == "996.00"


async def test_thousands_go_through_one_stream(service: Service) -> None:
    person, account, other = await pair(service)
    requests = [transfer(account, other, "0.01") for _ in range(3000)]
    stream = person.client.transfers.StreamTransfers(iter(requests))
    assert await reasons(stream) == ["0.01"] * 3000
    found = await person.client.accounts.GetAccount(v1.GetAccountRequest(account=account))
    assert found.balance == "970.00"


async def test_client_for_threads_streams_too(service: Service) -> None:
    _, account, other = await pair(service)
    secret = await administration.create_service_principal(
        service.settings, "mover", "", [Scope.TRANSFERS_WRITE]
    )

    def story() -> list[str]:
        with Client(service.target, ServiceCredentials("mover", secret)) as client:
            requests = (transfer(account, other, "1") for _ in range(10))
            return [o.transfer.amount for o in client.transfers.StreamTransfers(requests)]

    assert await asyncio.to_thread(story) == ["1.00"] * 10
    async with AsyncClient(service.target, AsyncServiceCredentials("mover", secret)) as client:
        stream = client.transfers.StreamTransfers(iter([transfer(account, other, "1")]))
        assert await reasons(stream) == ["1.00"]


async def test_caller_who_reads_no_outcomes_is_not_read_from(service: Service) -> None:
    """Its requests wait with it, and cost the service a bounded memory."""
    person, account, other = await pair(service)
    sent = 0

    def without_end() -> Iterator[v1.CreateTransferRequest]:
        nonlocal sent
        while True:
            sent += 1
            yield transfer(account, other, "0.01", description="x" * 200)

    metadata = (("authorization", f"Bearer {person.token.token}"),)
    # The caller's own gRPC takes in no more than it must.
    options = [("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(service.target, options) as channel:
        method: Any = channel.stream_stream(
            "/balance.v1.TransferService/StreamTransfers",
            request_serializer=v1.CreateTransferRequest.SerializeToString,
            response_deserializer=v1.TransferOutcome.FromString,
        )
        call = method(metadata=metadata)
        for request in without_end():
            try:
                async with asyncio.timeout(2):
                    await call.write(request)
            except TimeoutError:
                break
        # HTTP/2's windows hold some more than the service does.
        assert WINDOW < sent < 20 * WINDOW
        call.cancel()
    found = await person.client.accounts.GetAccount(v1.GetAccountRequest(account=account))
    assert Decimal(found.balance) < 1000 - Decimal("0.01") * WINDOW


@pytest.mark.usefixtures("within")
async def test_stopping_service_answers_what_it_read_and_ends_the_stream(
    service: Service,
) -> None:
    person, account, other = await pair(service)
    halfway = asyncio.Event()

    async def requests() -> AsyncIterator[v1.CreateTransferRequest]:
        for _ in range(5):
            yield transfer(account, other, "1")
        await halfway.wait()

    stream = aiter(person.client.transfers.StreamTransfers(requests()))
    outcomes = [await anext(stream) for _ in range(5)]
    assert [o.transfer.amount for o in outcomes] == ["1.00"] * 5
    service.app.streams.close()
    with pytest.raises(BalanceError) as ended:
        await anext(stream)
    assert ended.value.reason == "UNAVAILABLE"
    halfway.set()


async def test_nobody_streams_without_a_token(service: Service) -> None:
    async with AsyncClient(service.target) as client:
        with pytest.raises(BalanceError) as refused:
            await reasons(client.transfers.StreamTransfers(iter([transfer("a", "b", "1")])))
    assert refused.value.reason == "TOKEN_MISSING"
