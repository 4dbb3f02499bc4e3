"""An operator's session with the real grpcurl, through reflection."""

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.service import Service

GRPCURL = shutil.which("grpcurl", path=f"{Path(sys.executable).parent}") or shutil.which("grpcurl")
REASON = "grpcurl is not here: go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest"
pytestmark = pytest.mark.skipif(GRPCURL is None, reason=REASON)


async def grpcurl(service: Service, *arguments: str) -> tuple[int, str]:
    assert GRPCURL
    process = await asyncio.create_subprocess_exec(
        GRPCURL,
        "-plaintext",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_operator_lists_describes_and_calls(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    status, listed = await grpcurl(service, service.target, "list")
    assert status == 0
    assert "balance.v1.TransferService" in listed.splitlines()
    status, described = await grpcurl(
        service, service.target, "describe", "balance.v1.DepositService"
    )
    assert "rpc CreateDeposit" in described
    status, described = await grpcurl(
        service, service.target, "describe", "balance.v1.DepositService.CreateDeposit"
    )
    assert "balance.v1.DepositService.CreateDeposit is a method" in described
    status, described = await grpcurl(service, service.target, "describe")
    assert (status, "grpc.reflection.v1.ServerReflection is a service" in described) == (0, True)
    request = {"amount": "100.50", "requestId": "0190a1b2-0000-7000-8000-000000000001"}
    token = f"authorization: Bearer {person.token.token}"
    method = "balance.v1.DepositService/CreateDeposit"
    answers = [
        await grpcurl(service, "-v", "-H", token, "-d", json.dumps(request), service.target, method)
        for _ in range(2)
    ]
    assert [status for status, _ in answers] == [0, 0], answers
    assert '"balance": "100.50"' in answers[0][1]
    assert "idempotency-replayed: true" in answers[1][1]
    assert await person.balance(account.id) == "100.50"


async def test_operator_reads_a_refusal(service: Service) -> None:
    person = await service.person()
    await person.open()
    token = f"authorization: Bearer {person.token.token}"
    method = "balance.v1.WithdrawalService/CreateWithdrawal"
    status, told = await grpcurl(
        service, "-H", token, "-d", '{"amount": "5"}', service.target, method
    )
    assert status != 0
    assert "Code: FailedPrecondition" in told
    assert '"reason": "INSUFFICIENT_FUNDS"' in told
    assert '"missing": "5.00"' in told
    status, told = await grpcurl(service, service.target, method)
    assert "Code: Unauthenticated" in told
    status, health = await grpcurl(service, service.target, "grpc.health.v1.Health/Check")
    assert (status, '"status": "SERVING"' in health) == (0, True)
