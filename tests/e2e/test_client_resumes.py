"""Streams of the Python client that go on after a break: each request is carried out once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from balance_client import BalanceError, Client, Reason, ServiceCredentials, v1
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from tests.service import Service, Verified, somebody

COUNT = 600
BREAKS_EVERY = 150

pytestmark = pytest.mark.usefixtures("within")


def deposits(account: str) -> list[v1.CreateDepositRequest]:
    return [
        v1.CreateDepositRequest(account=account, amount="1", description=str(number))
        for number in range(COUNT)
    ]


def break_streams(service: Service) -> None:
    """Ends every stream, as a worker that stops does; the next ones are answered."""
    service.app.streams.close()
    service.app.streams._closed = False


async def test_deposits_go_on_after_breaks(service: Service, verified: Verified) -> None:
    billing = await service.sibling(Scope.DEPOSITS_WRITE)
    person, account = await somebody(service)
    told: Counter[str] = Counter()
    order = []
    async for request, outcome in billing.deposits.StreamDeposits.resumed(deposits(account)):
        assert outcome.deposit.description == request.description
        order.append(int(request.description))
        told["again" if outcome.replayed else "new"] += 1
        if len(order) % BREAKS_EVERY == 0:
            break_streams(service)
    assert order == list(range(COUNT))
    assert await person.balance(account) == f"{COUNT}.00"
    assert told["new"] + told["again"] == COUNT
    await verified()


async def test_requests_that_come_slowly_are_not_lost_in_a_break(service: Service) -> None:
    billing = await service.sibling(Scope.TRANSFERS_WRITE)
    person, account = await somebody(service, "10")
    other, receiving = await somebody(service)
    broken = asyncio.Event()

    async def slowly() -> AsyncIterator[v1.CreateTransferRequest]:
        for number in range(6):
            if number == 3:
                await broken.wait()
            yield v1.CreateTransferRequest(
                from_account=account, to_account=receiving, amount="1", description=str(number)
            )

    seen = []
    stream = billing.transfers.StreamTransfers.resumed(slowly())
    async for request, outcome in stream:
        seen.append(outcome.transfer.description)
        assert request.request_id
        if len(seen) == 3:
            break_streams(service)
            asyncio.get_running_loop().call_later(0.3, broken.set)
    assert seen == ["0", "1", "2", "3", "4", "5"]
    assert (await person.balance(account), await other.balance(receiving)) == ("4.00", "6.00")


async def test_threads_resume_too(service: Service, verified: Verified) -> None:
    secret = await administration.create_service_principal(
        service.settings, "billing", "", [Scope.DEPOSITS_WRITE]
    )
    person, account = await somebody(service)
    loop = asyncio.get_running_loop()

    def story() -> list[int]:
        order = []
        with Client(service.target, ServiceCredentials("billing", secret)) as client:
            stream = client.deposits.StreamDeposits.resumed(iter(deposits(account)))
            for request, outcome in stream:
                assert outcome.deposit.description == request.description
                order.append(int(request.description))
                if len(order) % BREAKS_EVERY == 0:
                    loop.call_soon_threadsafe(break_streams, service)
        return order

    assert await asyncio.to_thread(story) == list(range(COUNT))
    assert await person.balance(account) == f"{COUNT}.00"
    await verified()


async def test_what_does_not_pass_ends_it(service: Service) -> None:
    unscoped = await service.sibling(Scope.TRANSFERS_WRITE)
    _, account = await somebody(service)
    with pytest.raises(BalanceError) as ended:
        await anext(unscoped.deposits.StreamDeposits.resumed(deposits(account)[:1]))
    assert ended.value.reason == Reason.PERMISSION_MISSING
