"""Load from the real ghz: many calls at once from Go, on several connections."""

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.service import Service

GHZ = shutil.which("ghz", path=f"{Path(sys.executable).parent}") or shutil.which("ghz")
REASON = "ghz is not here: go install github.com/bojand/ghz/cmd/ghz@latest"
pytestmark = pytest.mark.skipif(GHZ is None, reason=REASON)
CALLS = 500


@pytest.mark.parametrize("method", ["DepositService.CreateDeposit", "PurchaseService.ListServices"])
async def test_every_call_of_many_is_answered(service: Service, method: str) -> None:
    person = await service.person()
    account = await person.open()
    assert GHZ
    # A request id of its own each.
    deposit = {"amount": "0.01", "request_id": "{{.UUID}}"} if "Deposit" in method else {}
    arguments = {
        "--call": f"balance.v1.{method}",
        "--metadata": json.dumps({"authorization": f"Bearer {person.token.token}"}),
        "--data": json.dumps(deposit),
        "--total": str(CALLS),
        "--concurrency": "50",
        "--connections": "5",
        "--format": "json",
    }
    words = [word for pair in arguments.items() for word in pair]
    process = await asyncio.create_subprocess_exec(
        *(GHZ, "--insecure", *words, service.target),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out.decode()
    assert json.loads(out)["statusCodeDistribution"] == {"OK": CALLS}
    assert await person.balance(account.id) == ("5.00" if deposit else "0.00")
