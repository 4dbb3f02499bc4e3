"""What the Python client promises: both faces, retries, and one id for all attempts."""

import asyncio
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any
from uuid import UUID

import grpc
import pytest

from balance_client import (
    AsyncClient,
    BalanceError,
    Client,
    RetryPolicy,
    ServiceCredentials,
    UserCredentials,
    each,
    v1,
)
from balance_client._generated.balance.v1 import transfer_pb2_grpc
from balance_client.policy import new_request_id, with_request_id
from balance_service.domain.principals import Scope
from balance_service.server import administration
from tests.conftest import Service

FAST = RetryPolicy(attempts_max=4, backoff_seconds=0.01)


async def test_client_for_threads_tells_the_same_story(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    secret = await administration.create_service_principal(
        service.settings, "billing", "", [Scope.DEPOSITS_WRITE]
    )

    def story() -> list[str]:
        with Client(service.target, ServiceCredentials("billing", secret)) as billing:
            for amount in ("10", "20", "30"):
                billing.deposits.CreateDeposit(
                    v1.CreateDepositRequest(account=account.id, amount=amount)
                )
        with Client(service.target, UserCredentials(person.token)) as user:
            request = v1.ListEntriesRequest(account=account.id, order_by="date", page_size=1)
            found = each(user.accounts.ListEntries, request, lambda page: page.entries)
            amounts = [entry.amount for entry in found]
            with pytest.raises(BalanceError) as error:
                user.accounts.GetAccount(v1.GetAccountRequest(account="x"))
            assert error.value.violations[0].field == "account"
            assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            return amounts

    assert await asyncio.to_thread(story) == ["10.00", "20.00", "30.00"]


class Flaky(transfer_pb2_grpc.TransferServiceServicer):
    """Fails some calls, and remembers what it was sent."""

    def __init__(self, failures: list[grpc.StatusCode]) -> None:
        self.failures = failures
        self.sent: list[Any] = []
        self.lock = threading.Lock()

    def _answer(self, request: object, context: Any, answer: object) -> Any:
        with self.lock:
            self.sent.append(request)
            failure = self.failures.pop(0) if self.failures else None
        if failure:
            context.abort(failure, "flaky")
        return answer

    def CreateTransfer(self, request: Any, context: Any) -> Any:
        return self._answer(request, context, v1.Transfer(id="done"))

    def GetTransfer(self, request: Any, context: Any) -> Any:
        return self._answer(request, context, v1.Transfer(id="done"))


@pytest.fixture
def flaky() -> Any:
    servers = []

    def start(*failures: grpc.StatusCode) -> tuple[Flaky, str]:
        server = grpc.server(futures.ThreadPoolExecutor(2))
        servicer = Flaky(list(failures))  # type: ignore[abstract]
        transfer_pb2_grpc.add_TransferServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return servicer, f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(0).wait()


AWAY = grpc.StatusCode.UNAVAILABLE
Start = Callable[..., tuple[Flaky, str]]


async def test_retries_send_the_same_request_id(flaky: Start) -> None:
    servicer, target = flaky(AWAY, AWAY)
    async with AsyncClient(target, policy=FAST) as client:
        await client.transfers.CreateTransfer(v1.CreateTransferRequest(amount="1"))
    ids = [request.request_id for request in servicer.sent]
    assert len(ids) == 3
    assert len(set(ids)) == 1
    assert UUID(ids[0]).version == 7

    servicer, target = flaky(AWAY, AWAY)
    with Client(target, policy=FAST) as blocking:
        blocking.transfers.CreateTransfer(v1.CreateTransferRequest(amount="1", request_id="mine"))
    assert [request.request_id for request in servicer.sent] == ["mine"] * 3


async def test_what_an_overloaded_server_cancels_is_sent_again(flaky: Start) -> None:
    servicer, target = flaky(grpc.StatusCode.CANCELLED)
    async with AsyncClient(target, policy=FAST) as client:
        await client.transfers.CreateTransfer(v1.CreateTransferRequest(amount="1"))
    ids = [request.request_id for request in servicer.sent]
    assert (len(ids), len(set(ids))) == (2, 1)


async def test_reads_are_retried_and_attempts_are_limited(flaky: Start) -> None:
    servicer, target = flaky(*[AWAY] * 9)
    async with AsyncClient(target, policy=FAST) as client:
        with pytest.raises(BalanceError) as error:
            await client.transfers.GetTransfer(v1.GetTransferRequest(transfer="x"))
    assert error.value.code() == AWAY
    assert len(servicer.sent) == FAST.attempts_max


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ],
)
async def test_other_failures_are_not_retried(flaky: Start, code: grpc.StatusCode) -> None:
    servicer, target = flaky(code)
    async with AsyncClient(target, policy=FAST) as client:
        with pytest.raises(BalanceError) as error:
            await client.transfers.CreateTransfer(v1.CreateTransferRequest(amount="1"))
    assert error.value.code() == code
    assert len(servicer.sent) == 1


def test_fresh_request_ids_sort_by_time() -> None:
    made = [new_request_id() for _ in range(100)]
    assert len(set(made)) == 100
    assert [i.int >> 80 for i in made] == sorted(i.int >> 80 for i in made)


def test_requests_that_take_no_id_get_none_and_given_ids_stay() -> None:
    read = v1.GetTransferRequest(transfer="x")
    assert with_request_id(read) is read
    given = v1.CreateTransferRequest(request_id="mine")
    assert with_request_id(given) is given
    original = v1.CreateTransferRequest()
    assert with_request_id(original) != original
    assert original.request_id == ""
