"""The operators' port of the real program: metrics of all workers, and whether they serve."""

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from balance_client import AsyncClient, AsyncServiceCredentials, v1
from balance_service.config import Settings
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from balance_service.server.envoy import choice
from rehearsals import stage
from tests.http import Http
from tests.service import refused

WORKERS = 2
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
GUIDE = Path(__file__).parents[2] / "docs/operating/metrics.md"
PAGE = Path(__file__).parents[2] / "docs/reference/metrics.md"
# Only a source that is fetched has them, and only standbys that are read from.
OF_OTHERS = set(re.findall(r"`(balance_exchange_\w+|balance_standby_age\w+)`", PAGE.read_text()))


@dataclass
class Operated:
    """A running service, and its operators' port."""

    process: subprocess.Popen[bytes]
    settings: Settings
    client: AsyncClient
    http: Http

    async def scrape(self) -> dict[str, Metric]:
        """The families of `/metrics`, by the names of the page of metrics."""
        answer = await self.http("GET", "/metrics")
        assert answer.status == 200
        families = text_string_to_metric_families(answer.text)
        return {name_of(family): family for family in families}

    async def value(self, name: str, **labels: str) -> float:
        """The sum of the values of a metric's series with some labels."""
        family = (await self.scrape()).get(name.removesuffix("_count"))
        samples = family.samples if family else []
        return sum(
            sample.value
            for sample in samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def status(self, path: str) -> int:
        return (await self.http("GET", path)).status


def name_of(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture
async def operated(service_settings: Settings, tmp_path: Path) -> AsyncIterator[Operated]:
    ports = dict(
        zip(("grpc_port", "http_port", "operators_port"), stage.free_ports(3), strict=True)
    )
    often = {"workers": WORKERS, "checkpoint_seconds": 1}
    settings = service_settings.model_copy(update={**often, **ports})
    secret = await stage.create_caller(settings, [Scope.DEPOSITS_WRITE, Scope.ACCOUNTS_READ])
    client = AsyncClient(settings.grpc_target, AsyncServiceCredentials(stage.CALLER, secret))
    log = tmp_path / "log"
    http = Http(f"http://127.0.0.1:{settings.operators_port}")
    with stage.program(settings, log) as process:
        try:
            await stage.wait_until_serving(settings.grpc_target)
            yield Operated(process, settings, client, http)
        finally:
            await client.close()
            await http.client.close()
    assert process.returncode == 0, log.read_text()


async def deposit(client: AsyncClient, account: str, amount: str) -> None:
    await client.deposits.CreateDeposit(
        v1.CreateDepositRequest(account=account, amount=amount, currency="RUB")
    )


async def test_metrics_tell_what_workers_did_and_go_on_when_one_dies(operated: Operated) -> None:
    (account,) = await stage.open_accounts(operated.settings, 1)
    for _ in range(3):
        await deposit(operated.client, account, "5")
    await refused(deposit(operated.client, account, "-5"))
    async with grpc.aio.insecure_channel(operated.settings.grpc_target) as channel:
        for number in range(3):
            unknown: Any = channel.unary_unary(f"/balance.v1.Made/Up{number}")
            with pytest.raises(grpc.aio.AioRpcError):
                await unknown(b"")
    await administration.verify(operated.settings)
    await until(lambda: serving(operated))

    method = "balance.v1.DepositService/CreateDeposit"
    calls = "rpc_server_call_duration_seconds_count"

    async def counted() -> bool:
        labels = {"rpc_method": method, "rpc_response_status_code": "OK"}
        return await operated.value(calls, **labels) == 3

    async def covered() -> bool:
        return "balance_checkpoint_age_seconds" in await operated.scrape()

    await until(counted)
    await until(covered)
    families = await operated.scrape()
    refusals = {"rpc_method": method, "reason": "INVALID_FIELD"}
    assert await operated.value("balance_refused_calls_total", **refusals) == 1
    assert await operated.value("balance_movements_total", kind="deposit") == 3
    assert families["balance_verify_last_run_faults"].samples[0].value == 0
    # Whatever callers send, a method that is not of the contract has one label.
    methods = {s.labels["rpc_method"] for s in families[calls.removesuffix("_count")].samples}
    assert {name for name in methods if "Made" in name or name == "_OTHER"} == {"_OTHER"}
    documented = set(re.findall(r"^\| `(\w+)`", PAGE.read_text(), re.MULTILINE))
    if choice.choose(operated.settings) == "grpcio":
        documented = {name for name in documented if not name.startswith("envoy_")}
    assert set(families) == documented - OF_OTHERS

    answer = await operated.http("GET", "/metrics", accept=OPEN_METRICS)
    assert answer.text.endswith("# EOF\n")
    of_open: Any = open_metrics
    shown = of_open.text_string_to_metric_families(answer.text)
    assert {name_of(family) for family in shown} == set(families)

    os.kill(workers(operated.process)[0], signal.SIGKILL)
    await until(lambda: restarted(operated))
    await until(lambda: serving(operated))
    assert await counted()
    assert await operated.value("balance_movements_total", kind="deposit") == 3


async def serving(operated: Operated) -> bool:
    return await operated.value("balance_workers_serving") == WORKERS


async def restarted(operated: Operated) -> bool:
    return await operated.value("balance_worker_starts_total") == WORKERS + 1


def workers(process: subprocess.Popen[bytes]) -> list[int]:
    """The children of the supervisor that are no operators' process."""
    return [
        pid
        for pid in stage.children(process.pid)
        if b"operators" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


async def test_readiness_is_that_of_the_workers_and_liveness_is_not(operated: Operated) -> None:
    assert await operated.status("/livez") == 200
    await until(lambda: answers(operated, "/readyz", 200))
    await until(lambda: serving(operated))
    assert await health_check(operated) == 0
    stopped = workers(operated.process)
    try:
        for worker in stopped:
            os.kill(worker, signal.SIGSTOP)
        await until(lambda: answers(operated, "/readyz", 503))
        assert await health_check(operated) == 1
        assert await operated.status("/livez") == 200
        # What workers counted is told though they hang.
        assert await operated.value("balance_worker_starts_total") == WORKERS
    finally:
        for worker in stopped:
            os.kill(worker, signal.SIGCONT)
    await until(lambda: answers(operated, "/readyz", 200))
    # Nothing else is there, and nothing of the public ports.
    assert await operated.status("/openapi.json") == 404
    public = Http(operated.settings.http_url, client=operated.http.client)
    assert (await public("GET", "/metrics")).status == 404


async def health_check(operated: Operated) -> int:
    """The status of the command that the guide has for containers."""
    (command,) = re.findall(r"^python (-ISc .*)$", GUIDE.read_text(), re.MULTILINE)
    arguments = shlex.split(command.replace("9464", str(operated.settings.operators_port)))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    return await process.wait()


async def answers(operated: Operated, path: str, status: int) -> bool:
    return await operated.status(path) == status
