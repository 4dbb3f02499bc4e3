"""What the Python client promises: both faces, retries, and one id for all attempts."""

import asyncio
import copy
import pickle
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from balance_client import (
    AsyncClient,
    AsyncServiceCredentials,
    AsyncUserCredentials,
    BalanceError,
    Client,
    Reason,
    RetryPolicy,
    ServiceCredentials,
    UserCredentials,
    Violation,
    each,
    v1,
)
from balance_client.errors import from_call
from balance_client.policy import new_request_id, passes, with_request_id
from balance_service._generated.balance.v1 import transfer_pb2_grpc
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from tests.service import Service, free_port, refused

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


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL])
async def test_what_is_broken_on_the_way_is_sent_again(flaky: Start, code: grpc.StatusCode) -> None:
    servicer, target = flaky(code)
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
        grpc.StatusCode.UNKNOWN,
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


def test_failure_of_the_service_itself_does_not_pass() -> None:
    assert passes(BalanceError(grpc.StatusCode.INTERNAL, "", reason=""))
    assert not passes(BalanceError(grpc.StatusCode.INTERNAL, "", reason="INTERNAL"))


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


async def test_errors_are_copied_and_pickled_with_all_they_say(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    calls = (
        person.client.accounts.GetAccount(v1.GetAccountRequest(account="x", currency="?")),
        person.client.withdrawals.CreateWithdrawal(
            v1.CreateWithdrawalRequest(account=account.id, amount="5")
        ),
        person.client.accounts.GetAccount(v1.GetAccountRequest(account=str(new_request_id()))),
    )
    for call in calls:
        error = await refused(call)
        error.add_note("of the caller's")
        for other in (
            *(pickle.loads(pickle.dumps(error, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)),
            copy.copy(error),
            copy.deepcopy(error),
        ):
            assert type(other) is BalanceError
            assert vars(other) == vars(error)
            assert (str(other), other.code(), other.details()) == (
                str(error),
                error.code(),
                error.details(),
            )
    assert error.reason is Reason.ACCOUNT_NOT_FOUND
    full = BalanceError(
        AWAY,
        "away",
        Reason.OVERLOADED,
        {"a": "b"},
        [Violation("f", "d")],
        1.5,
        "\u043d\u0435\u0442",
    )
    assert vars(pickle.loads(pickle.dumps(full))) == vars(full)


def failed(*details: Any) -> BalanceError:
    status = status_pb2.Status(code=9)
    for detail in details:
        status.details.add().Pack(detail)
    trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    return from_call(grpc.StatusCode.FAILED_PRECONDITION, "no", trailers)


def test_reasons_are_an_enum_and_those_of_a_newer_service_stay_text() -> None:
    known = failed(error_details_pb2.ErrorInfo(reason="INSUFFICIENT_FUNDS"))
    assert known.reason is Reason.INSUFFICIENT_FUNDS
    assert known.reason == "INSUFFICIENT_FUNDS"
    assert {"INSUFFICIENT_FUNDS": 1}[known.reason] == 1
    assert str(known) == "INSUFFICIENT_FUNDS: no"
    newer = failed(error_details_pb2.ErrorInfo(reason="MOON_IN_SCORPIO"))
    assert newer.reason == "MOON_IN_SCORPIO"
    assert newer.reason not in list(Reason)
    assert (failed().reason, str(failed())) == ("", "FAILED_PRECONDITION: no")
    assert vars(pickle.loads(pickle.dumps(newer))) == vars(newer)


def test_details_that_are_no_details_hide_no_error() -> None:
    trailers = (("grpc-status-details-bin", b"\xff\xff"),)
    error = from_call(grpc.StatusCode.INTERNAL, None, trailers)
    assert (error.code(), error.message, error.reason) == (grpc.StatusCode.INTERNAL, "", "")
    status = status_pb2.Status(code=9)
    info = status.details.add()
    info.Pack(error_details_pb2.ErrorInfo(reason="UNAVAILABLE"))
    info.value = b"\xff"
    trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    assert from_call(AWAY, "away", trailers).reason == ""


async def test_language_reaches_the_service_and_its_message_the_caller(service: Service) -> None:
    person = await service.person()
    missing = v1.GetAccountRequest(account=str(new_request_id()))
    ru = (("accept-language", "ru-RU,ru;q=0.9"),)
    english = await refused(person.client.accounts.GetAccount(missing))
    assert english.localized_message == english.message
    by_call = await refused(person.client.accounts.GetAccount(missing, metadata=ru))
    credentials = AsyncUserCredentials(person.token)
    async with AsyncClient(service.target, credentials, language="ru") as client:
        by_client = await refused(client.accounts.GetAccount(missing))
        with pytest.raises(BalanceError) as streamed:
            await anext(client.accounts.WatchAccount(v1.WatchAccountRequest(account="x")))
        en = grpc.aio.Metadata(("accept-language", "en"))
        overruled = await refused(client.accounts.GetAccount(missing, metadata=en))
    assert overruled.localized_message == english.message

    def by_thread() -> BalanceError:
        with Client(service.target, UserCredentials(person.token), language="ru") as blocking:
            with pytest.raises(BalanceError) as error:
                blocking.accounts.GetAccount(missing)
            return error.value

    threaded = await asyncio.to_thread(by_thread)
    for error in (by_call, by_client, threaded):
        assert error.message == english.message
        assert error.localized_message.isascii() is False, error.localized_message
        assert error.reason is Reason.ACCOUNT_NOT_FOUND
    assert streamed.value.localized_message.isascii() is False


async def test_metadata_of_a_call_reach_the_service_and_trailers_the_caller(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    person = await service.person()
    account = await person.open()
    secret = await administration.create_service_principal(
        service.settings, "billing", "", [Scope.DEPOSITS_WRITE]
    )
    request = v1.CreateDepositRequest(
        account=account.id, amount="1", request_id=str(new_request_id())
    )
    replayed = ("idempotency-replayed", "true")

    def story() -> None:
        with Client(service.target, ServiceCredentials("billing", secret)) as billing:
            metadata = [("x-request-id", "of-a-thread-1")]
            create = billing.deposits.CreateDeposit
            answer, trailers = create.with_trailers(request, metadata=metadata)
            assert replayed not in trailers
            assert create.with_trailers(request)[0] == answer
            assert replayed in create.with_trailers(request)[1]

    await asyncio.to_thread(story)
    async with AsyncClient(service.target, AsyncServiceCredentials("billing", secret)) as client:
        metadata = [("x-request-id", "of-a-loop-1")]
        call = client.deposits.CreateDeposit(request, metadata=metadata)
        answer, trailers = await client.deposits.CreateDeposit.with_trailers(request)
        assert await call == answer
        assert replayed in trailers
        assert replayed in await call.trailing_metadata()
    logged = capsys.readouterr().out
    assert "of-a-thread-1" in logged
    assert "of-a-loop-1" in logged


async def test_time_of_a_call_may_be_nothing() -> None:
    async with AsyncClient(f"127.0.0.1:{free_port()}") as client, asyncio.timeout(30):
        with pytest.raises(BalanceError) as error:
            await client.transfers.GetTransfer(v1.GetTransferRequest(transfer="x"), timeout=0)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_call_begins_without_being_awaited_and_can_be_cancelled(flaky: Start) -> None:
    servicer, target = flaky(*[AWAY] * 3)
    async with AsyncClient(target, policy=RetryPolicy(backoff_seconds=60)) as client:
        call = client.transfers.CreateTransfer(v1.CreateTransferRequest(amount="1"))
        while not servicer.sent:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
