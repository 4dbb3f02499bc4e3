"""Both doors, as real processes: the same calls end alike, whichever server hears them."""

import asyncio
import contextlib
import gzip
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
import pytest_asyncio
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from balance_client import v1
from balance_service._generated.balance.v1 import account_pb2_grpc, transfer_pb2_grpc
from balance_service.config import Settings
from balance_service.server.envoy import choice
from rehearsals import stage
from tests.commits import LOCK_ACCOUNTS
from tests.service import Person, Service, start_beside, stop_service

DOORS = [
    "grpcio",
    pytest.param(
        "envoy", marks=pytest.mark.skipif(bool(choice.find_obstacle()), reason="no Envoy")
    ),
]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
Code = grpc.StatusCode
# What a door refuses by itself, of the same kind but not of the same code.
BROKEN = {Code.UNKNOWN, Code.INTERNAL, Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.CANCELLED}


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture
async def worker(door: str, service_settings: Settings) -> AsyncIterator[Service]:
    """A worker in a process of its own, behind either door."""
    service = await start_beside(service_settings.model_copy(update={"door": door}))
    yield service
    await stop_service(service)


@contextlib.asynccontextmanager
async def channel(service: Service, *options: tuple[str, Any]) -> AsyncIterator[Any]:
    own = [("grpc.use_local_subchannel_pool", 1), *options]
    async with grpc.aio.insecure_channel(service.target, options=own) as opened:
        yield opened


def raw(opened: Any, path: str) -> Any:
    """A call of bytes, whatever they are."""
    return opened.unary_unary(path)


def signed(person: Person) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {person.token.token}"),)


async def failure(call: Awaitable[object]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value


async def test_money_moves_by_every_kind_of_call(worker: Service) -> None:
    anna, boris = await worker.person(), await worker.person()
    sender, receiver = await anna.open(), await boris.open()
    await anna.deposit("100", sender.id)
    moved = await anna.client.transfers.CreateTransfer(
        v1.CreateTransferRequest(from_account=sender.id, to_account=receiver.id, amount="1")
    )
    assert moved.amount == "1.00"
    async with channel(worker) as opened:
        watching: Any = account_pb2_grpc.AccountServiceStub(opened).WatchAccount(
            v1.WatchAccountRequest(account=receiver.id), metadata=signed(boris)
        )
        assert (await watching.read()).balance == "1.00"
        both: Any = transfer_pb2_grpc.TransferServiceStub(opened).StreamTransfers(
            metadata=signed(anna)
        )
        for number in range(300):
            await both.write(
                v1.CreateTransferRequest(
                    from_account=sender.id,
                    to_account=receiver.id,
                    amount="0.01",
                    request_id=f"00000000-0000-7000-8000-{number:012}",
                )
            )
        await both.done_writing()
        answers = [answer async for answer in both]
        assert len(answers) == 300
        while (await watching.read()).balance != "4.00":
            pass
        watching.cancel()
    assert await boris.balance(receiver.id) == "4.00"
    listed = await boris.http("GET", f"/api/v1/accounts/{receiver.id}/")
    assert listed.json["balance"] == "4.00"


async def test_refusal_has_its_details(worker: Service) -> None:
    person = await worker.person()
    async with channel(worker) as opened:
        stub: Any = account_pb2_grpc.AccountServiceStub(opened)
        error = await failure(
            stub.GetAccount(
                v1.GetAccountRequest(account="?"),
                metadata=(*signed(person), ("x-request-id", "trace-1")),
            )
        )
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert (error.code(), error.details()) == (Code.INVALID_ARGUMENT, status.message)
    assert trailers["x-request-id"] == "trace-1"
    assert len(status.details) == 3


async def test_unknown_methods_and_malformed_messages(worker: Service) -> None:
    person = await worker.person()
    async with channel(worker) as opened:
        for path in ("/balance.v1.AccountService/Nothing", "/nothing", "/a.B/C"):
            assert (await failure(raw(opened, path)(b""))).code() == Code.UNIMPLEMENTED
        get = raw(opened, "/balance.v1.AccountService/GetAccount")
        assert (await failure(get(b"\xff\xff"))).code() == Code.UNAUTHENTICATED
        error = await failure(get(b"\xff\xff", metadata=signed(person)))
        assert error.code() == Code.INVALID_ARGUMENT


async def test_messages_are_bounded_as_sent_and_as_read(worker: Service) -> None:
    person = await worker.person()
    async with channel(worker) as opened:
        path = "/balance.v1.AccountService/GetAccount"
        for size in (1 << 20, 4 << 20):
            error = await failure(raw(opened, path)(b"\x0a" * (size + 1), metadata=signed(person)))
            assert error.code() == Code.RESOURCE_EXHAUSTED
        bomb = opened.unary_unary(path)(
            b"\0" * (8 << 20), metadata=signed(person), compression=grpc.Compression.Gzip
        )
        assert (await failure(bomb)).code() == Code.RESOURCE_EXHAUSTED
        filled = v1.GetAccountRequest(account="x" * 900_000).SerializeToString()
        assert len(gzip.compress(filled)) < 10_000
        for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            answered = opened.unary_unary(path)(
                filled, metadata=signed(person), compression=compression
            )
            assert (await failure(answered)).code() == Code.INVALID_ARGUMENT
    assert (await person.open()).balance == "0.00"


async def test_large_metadata_end_the_call_and_nothing_else(worker: Service) -> None:
    async with channel(worker, ("grpc.max_metadata_size", 1 << 20)) as opened:
        ask = raw(opened, "/balance.v1.PurchaseService/ListServices")
        assert (await failure(ask(b"", metadata=(("x-a", "a" * 100_000),)))).code() in BROKEN
        many = tuple((f"x-{number}", "a" * 200) for number in range(500))
        assert (await failure(ask(b"", metadata=many))).code() in BROKEN
        await ask(b"", metadata=(("x-a-bin", bytes(range(256))), ("x-b", "b" * 1000)))
        await ask(b"")


async def test_call_that_nobody_waits_for_changes_nothing(
    worker: Service, database_url: str
) -> None:
    person = await worker.person()
    account = await person.open()
    request = v1.CreateDepositRequest(account=account.id, amount="500")
    path = "/balance.v1.DepositService/CreateDeposit"
    with psycopg.connect(database_url) as locker:
        locker.execute(LOCK_ACCOUNTS)
        # Both lanes are held up; what comes behind them waits in the queue.
        held = []
        for _ in range(2):
            held.append(asyncio.create_task(person.deposit("1", account.id)))
            await asyncio.sleep(0.3)
        async with channel(worker) as opened:
            call = raw(opened, path)
            late = call(request.SerializeToString(), metadata=signed(person), timeout=0.3)
            assert (await failure(late)).code() == Code.DEADLINE_EXCEEDED
            cancelled = call(request.SerializeToString(), metadata=signed(person))
            await asyncio.sleep(0.3)
            cancelled.cancel()
        # Time for the door to hear of it.
        await asyncio.sleep(2)
        locker.rollback()
    await asyncio.gather(*held)
    await asyncio.sleep(0.3)
    assert await person.balance(account.id) == "2.00"


async def test_health_and_reflection(worker: Service) -> None:
    async with channel(worker) as opened:
        checks: Any = health_pb2_grpc.HealthStub(opened)
        ask = health_pb2.HealthCheckRequest
        for name in ("", "balance.v1.TransferService"):
            assert (await checks.Check(ask(service=name))).status == SERVING
        assert (await failure(checks.Check(ask(service="none")))).code() == Code.NOT_FOUND
        reflecting: Any = reflection_pb2_grpc.ServerReflectionStub(opened)
        both = reflecting.ServerReflectionInfo()
        for number in range(3):
            await both.write(reflection_pb2.ServerReflectionRequest(list_services=str(number)))
            services = (await both.read()).list_services_response.service
            assert "balance.v1.AccountService" in {service.name for service in services}
        await both.done_writing()
        assert await both.read() == grpc.aio.EOF
        assert await both.code() == Code.OK


async def test_drain_says_so_first_and_finishes_what_was_accepted(
    worker: Service, database_url: str
) -> None:
    person = await worker.person()
    account = await person.open()
    async with channel(worker) as opened:
        checks: Any = health_pb2_grpc.HealthStub(opened)
        watching = checks.Watch(health_pb2.HealthCheckRequest())
        assert (await watching.read()).status == SERVING
        with psycopg.connect(database_url) as locker:
            locker.execute(LOCK_ACCOUNTS)
            deposits = [asyncio.create_task(person.deposit("1", account.id)) for _ in range(20)]
            await asyncio.sleep(0.5)
            worker.process.send_signal(signal.SIGTERM)
            assert (await watching.read()).status == NOT_SERVING
            watching.cancel()
            await asyncio.sleep(0.5)
            assert worker.process.poll() is None
            locker.rollback()
        made = await asyncio.gather(*deposits)
    balances = {deposit.balance for deposit in made}
    assert balances == {f"{number}.00" for number in range(1, 21)}
    assert await asyncio.to_thread(worker.process.wait, 30) == 0


async def test_worker_that_dies_after_it_has_served_is_started_again(
    door: str, service_settings: Settings, tmp_path: Path
) -> None:
    grpc_port, http_port = stage.free_ports(2)
    ports = {"grpc_port": grpc_port, "http_port": http_port}
    settings = service_settings.model_copy(update={"door": door, **ports})
    log = tmp_path / "log"
    with stage.program(settings, log) as process:
        await stage.wait_until_serving(settings.grpc_target)
        while b"worker_started" not in log.read_bytes():
            await asyncio.sleep(0.05)
        (first,) = stage.workers(process)
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(60):
            while log.read_bytes().count(b"worker_started") < 2:
                await asyncio.sleep(0.05)
        await stage.wait_until_serving(settings.grpc_target)
    (died,) = [line for line in log.read_text().splitlines() if "worker_died" in line]
    assert json.loads(died)["started"] is True
    assert process.returncode == 0, log.read_text()


async def test_unread_answers_hold_the_sender_back(worker: Service) -> None:
    """A caller who sends without reading is not read from for ever."""
    person = await worker.person()
    account = await person.open()
    request = v1.CreateTransferRequest(
        from_account=account.id, to_account=account.id, amount="1", description="d" * 200
    ).SerializeToString()
    async with channel(worker, ("grpc.http2.bdp_probe", 0)) as opened:
        both: Any = opened.stream_stream("/balance.v1.TransferService/StreamTransfers")(
            metadata=signed(person)
        )
        written = 0
        with contextlib.suppress(TimeoutError):
            while written < 200_000:
                await asyncio.wait_for(both.write(request), 2)
                written += 1
        assert written < 200_000
        both.cancel()
    assert (await person.open()).id == account.id
