"""Health, reflection, deadlines, draining, and what a log says."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from balance_client import AsyncClient, AsyncUserCredentials, BalanceError, RetryPolicy, v1
from balance_service.calls import endings
from tests import postgres
from tests.commits import LOCK_ACCOUNTS
from tests.contract import SERVICE_NAMES
from tests.service import Service, StartService, rich

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def health(target: str, service: str = "") -> int:
    async with grpc.aio.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service)
        answer = await stub.Check(request, timeout=20)  # type: ignore[attr-defined]
        return int(answer.status)


async def test_health_is_known_for_each_service(service: Service) -> None:
    for name in ("", *SERVICE_NAMES):
        assert await health(service.target, name) == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await health(service.target, "balance.v1.Nothing")
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_every_service(service: Service) -> None:
    async with grpc.aio.insecure_channel(service.target) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = stub.ServerReflectionInfo(iter([request]))
        async for answer in answers:
            found = {service.name for service in answer.list_services_response.service}
            assert set(SERVICE_NAMES) <= found
            break


async def test_health_says_not_serving_while_postgres_is_away_and_recovers(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service()
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    with psycopg.connect(postgres.of_database(database_url, "postgres"), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        await becomes(service, NOT_SERVING)
        with pytest.raises(BalanceError) as error:
            await service.client().purchases.ListServices(v1.ListServicesRequest(), timeout=1)
        assert error.value.code() in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        )
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
    await becomes(service, SERVING)
    await service.client().purchases.ListServices(v1.ListServicesRequest())


async def becomes(service: Service, status: int) -> None:
    async with asyncio.timeout(60):
        while await health(service.target) != status:
            await asyncio.sleep(0.1)


@pytest.mark.usefixtures("within")
async def test_stopping_finishes_what_was_accepted(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service()
    person = await service.person()
    account = await person.open()
    with psycopg.connect(database_url) as locker:
        locker.execute(LOCK_ACCOUNTS)
        deposits = [asyncio.create_task(person.deposit("1", account.id)) for _ in range(20)]
        await asyncio.sleep(0.3)
        stopping = asyncio.create_task(service.app.stop())
        await asyncio.sleep(0.3)
        assert not stopping.done()
        locker.rollback()
    made = await asyncio.gather(*deposits)
    await stopping
    assert sorted(Decimal(deposit.balance) for deposit in made) == [n + 1 for n in range(20)]


async def test_call_past_its_deadline_changes_nothing(service: Service, database_url: str) -> None:
    person = await service.person()
    account = await person.open()
    with psycopg.connect(database_url) as locker:
        locker.execute(LOCK_ACCOUNTS)
        # Both lanes are held up; what comes behind them waits in the queue past its deadline.
        held = [asyncio.create_task(person.deposit("1", account.id))]
        await asyncio.sleep(0.1)
        held.append(asyncio.create_task(person.deposit("1", account.id)))
        await asyncio.sleep(0.1)
        request = v1.CreateDepositRequest(account=account.id, amount="500")
        with pytest.raises(BalanceError) as error:
            await person.client.deposits.CreateDeposit(request, timeout=0.3)
        assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        locker.rollback()
    await asyncio.gather(*held)
    await asyncio.sleep(0.2)
    assert await person.balance(account.id) == "2.00"


async def test_full_queue_refuses_with_a_time_to_retry(
    within: None, start_service: StartService, database_url: str
) -> None:
    service = await start_service(queue_commands_max=5, commit_commands_max=1)
    person = await service.person()
    account = await person.open()
    impatient = AsyncClient(
        service.target, AsyncUserCredentials(person.token), policy=RetryPolicy(attempts_max=1)
    )
    service.clients.append(impatient)
    request = v1.CreateDepositRequest(account=account.id, amount="1")
    with psycopg.connect(database_url) as locker:
        locker.execute(LOCK_ACCOUNTS)
        calls = [
            asyncio.create_task(outcome(impatient.deposits.CreateDeposit(request)))
            for _ in range(12)
        ]
        async with asyncio.timeout(30):
            while sum(call.done() for call in calls) < 6:
                await asyncio.sleep(0.05)
        locker.rollback()
    refused = [error for error in await asyncio.gather(*calls) if error]
    # One is being committed and five wait; none is worth a commit beside it so soon.
    assert [error.reason for error in refused] == ["OVERLOADED"] * 6
    assert all(error.retry_after_seconds for error in refused)
    assert await person.balance(account.id) == "6.00"


async def outcome(call: Awaitable[object]) -> BalanceError | None:
    try:
        await call
    except BalanceError as error:
        return error
    return None


async def test_log_names_the_call_and_never_its_secrets(within: None, service: Service) -> None:
    with structlog.testing.capture_logs() as lines:
        person = await service.person()
        metadata = grpc.aio.Metadata(
            ("authorization", f"Bearer {person.token.token}"), ("x-request-id", "trace-7")
        )
        with pytest.raises(BalanceError):
            request = v1.GetAccountRequest(account=str(uuid4()))
            await service.client().accounts.GetAccount(request, metadata=metadata)
    line = next(line for line in lines if line.get("request_id") == "trace-7")
    assert line["principal"] == f"user:{person.user_id}"
    assert (line["reason"], line["code"]) == ("ACCOUNT_NOT_FOUND", "NOT_FOUND")
    assert line["method"].endswith("/GetAccount")
    assert len(lines) > 3
    code = service.mailbox.code(person.email)
    for secret in (person.token.token, person.token.refresh_token, f"'{code}'", person.email):
        assert secret not in repr(lines)


async def test_log_that_cannot_be_written_changes_no_answer(
    within: None, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await service.person()
    account = await person.open()

    class Broken:
        def is_enabled_for(self, _: int) -> bool:
            return True

        def __getattr__(self, level: str) -> object:
            def write(*_: object, **__: object) -> None:
                raise BrokenPipeError

            return write

    monkeypatch.setattr(endings, "_log", Broken())
    assert (await person.deposit("5", account.id)).balance == "5.00"
    with pytest.raises(BalanceError) as error:
        await person.deposit("-5", account.id)
    assert error.value.reason == "INVALID_FIELD"


def test_log_is_one_json_object_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    program = (
        "from balance_service.server import logs; import structlog; logs.configure('info');"
        "log = structlog.get_logger(); log.debug('hidden'); log.info('shown', request_id='r')"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["request_id"] == "r"


async def test_calls_beyond_what_a_worker_holds_are_refused_and_cost_nothing(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(calls_max=5)
    person = await service.person()
    account = await person.open()
    patient = AsyncClient(
        service.target, AsyncUserCredentials(person.token), policy=RetryPolicy(attempts_max=1)
    )
    request = v1.CreateDepositRequest(account=account.id, amount="1")
    with psycopg.connect(database_url) as locker:
        locker.execute(LOCK_ACCOUNTS)
        accepted = [asyncio.create_task(person.deposit("1", account.id)) for _ in range(5)]
        await asyncio.sleep(0.3)
        refused = await asyncio.gather(
            *(patient.deposits.CreateDeposit(request) for _ in range(5)), return_exceptions=True
        )
    assert [(e.reason, e.retry_after_seconds) for e in refused if isinstance(e, BalanceError)] == [
        ("OVERLOADED", 0.1)
    ] * 5
    await asyncio.gather(*accepted)
    assert await person.balance(account.id) == "5.00"
    await patient.close()


@pytest.mark.usefixtures("within")
async def test_reads_that_hold_every_connection_do_not_keep_money_from_moving(
    start_service: StartService,
) -> None:
    service = await start_service(pool_size=4, commits_in_flight=2)
    anna, account = await rich(service)
    request = v1.CreateWithdrawalRequest(account=account, amount="10", currency="RUB")
    async with contextlib.AsyncExitStack() as reads:
        for _ in range(2):
            await reads.enter_async_context(service.app.pool.connection())
        await anna.client.withdrawals.CreateWithdrawal(request, timeout=20)
    assert await anna.balance(account) == "990.00"
