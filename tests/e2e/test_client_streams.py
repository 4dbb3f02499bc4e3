"""Streams of the Python client whose token ends in the middle."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from balance_client import (
    AsyncServiceCredentials,
    BalanceError,
    Client,
    Reason,
    ServiceCredentials,
    v1,
)
from balance_client.policy import new_request_id
from tests.service import Service
from tests.tokens import TokenProbe, account, read, sibling


async def test_watching_is_begun_again_with_another_token(
    service: Service, probe: TokenProbe
) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    watch = v1.WatchAccountRequest(account=request.account)
    probe.expired = 2
    client = service.client(AsyncServiceCredentials("billing", secret))
    stream = client.accounts.WatchAccount(watch)
    # The second was refused as well, and once is enough.
    with pytest.raises(BalanceError) as ended:
        await anext(stream)
    assert ended.value.reason == Reason.TOKEN_EXPIRED
    stream = client.accounts.WatchAccount(watch)
    assert (await anext(stream)).balance == "100.00"
    stream.cancel()

    def by_thread() -> str:
        with Client(service.target, ServiceCredentials("billing", secret)) as blocking:
            watching = blocking.accounts.WatchAccount(watch)
            balance = next(watching).balance
            watching.cancel()
            return balance

    probe.expired = 1
    assert await asyncio.to_thread(by_thread) == "100.00"
    assert probe.sign_ins == 5


def transfers(sender: str, receiver: str) -> Iterator[v1.CreateTransferRequest]:
    for _ in range(500):
        yield v1.CreateTransferRequest(
            from_account=sender,
            to_account=receiver,
            amount="0.01",
            request_id=str(new_request_id()),
        )


async def slowly(
    requests: Iterator[v1.CreateTransferRequest],
) -> AsyncIterator[v1.CreateTransferRequest]:
    for index, request in enumerate(requests):
        if index % 50 == 0:
            await asyncio.sleep(0.02)
        yield request


def slowly_by_thread(
    requests: Iterator[v1.CreateTransferRequest],
) -> Iterator[v1.CreateTransferRequest]:
    for index, request in enumerate(requests):
        if index % 50 == 1:
            time.sleep(0.02)
        yield request


@pytest.mark.parametrize("pace", [iter, slowly])
async def test_stream_of_requests_is_sent_again_from_the_first(
    service: Service, probe: TokenProbe, pace: Callable[[Any], Any]
) -> None:
    secret = await sibling(service)
    (_, request), (_, other) = await account(service), await account(service)
    for _ in range(5):
        probe.expired = 1
        client = service.client(AsyncServiceCredentials("billing", secret))
        requests = pace(transfers(request.account, other.account))
        outcomes = [o.transfer.amount async for o in client.transfers.StreamTransfers(requests)]
        assert outcomes == ["0.01"] * 500
    assert (await read(client, request)).balance == "75.00"
    assert probe.sign_ins == 10


@pytest.mark.parametrize("pace", [iter, slowly_by_thread])
async def test_stream_of_requests_is_sent_again_by_threads_too(
    service: Service, probe: TokenProbe, pace: Callable[[Any], Any]
) -> None:
    secret = await sibling(service)
    (_, request), (_, other) = await account(service), await account(service)

    def story() -> list[str]:
        with Client(service.target, ServiceCredentials("billing", secret)) as blocking:
            requests = pace(transfers(request.account, other.account))
            made = blocking.transfers.StreamTransfers(requests)
            return [outcome.transfer.amount for outcome in made]

    for _ in range(5):
        probe.expired = 1
        assert await asyncio.to_thread(story) == ["0.01"] * 500
    client = service.client(AsyncServiceCredentials("billing", secret))
    assert (await read(client, request)).balance == "75.00"
