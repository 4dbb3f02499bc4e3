"""The real program: two worker processes, concurrent clients, and a kill -9 in the middle."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import grpc
import psycopg
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from balance_client import AsyncClient, AsyncServiceCredentials, BalanceError, RetryPolicy, v1
from balance_client.policy import new_request_id
from balance_service.config import Settings
from balance_service.domain.principals import Scope
from balance_service.server.health import serves
from rehearsals import stage
from tests.service import free_port

ACCOUNTS = 20
CLIENTS = 32
INITIAL_MINOR = 100_000
PATIENT = RetryPolicy(attempts_max=40, backoff_seconds=0.05, backoff_seconds_max=0.5)


@dataclass
class Program:
    """The service as its operator runs it."""

    process: subprocess.Popen[bytes]
    target: str
    database_url: str
    client: AsyncClient

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        return stage.workers(self.process)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture
async def program(
    service_settings: Settings, database_url: str, tmp_path: Path
) -> AsyncIterator[Program]:
    port = free_port()
    settings = service_settings.model_copy(update={"grpc_port": port, "workers": 2})
    scopes = [Scope.TRANSFERS_WRITE, Scope.DEPOSITS_WRITE, Scope.ACCOUNTS_READ]
    secret = await stage.create_caller(settings, scopes)
    target, log = f"127.0.0.1:{port}", tmp_path / "log"
    credentials = AsyncServiceCredentials(stage.CALLER, secret)
    client = AsyncClient(target, credentials, policy=PATIENT)
    with stage.program(settings, log) as process:
        try:
            await stage.wait_until_serving(target)
            yield Program(process, target, database_url, client)
        finally:
            await client.close()
    assert process.returncode == 0, log.read_text()


@dataclass
class History:
    """What clients were told."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    contradicted: list[str] = field(default_factory=list)
    refused: int = 0

    def acknowledge(self, request_id: str, movement_id: str) -> None:
        if self.acknowledged.setdefault(request_id, movement_id) != movement_id:
            self.contradicted.append(request_id)


async def open_accounts(program: Program, settings: Settings) -> list[str]:
    """Opens accounts with INITIAL_MINOR on each."""
    opened = await stage.open_accounts(settings, ACCOUNTS)
    for account in opened:
        request = v1.CreateDepositRequest(account=account, amount="1000")
        await program.client.deposits.CreateDeposit(request)
    return opened


async def move(
    program: Program, opened: list[str], history: History, seed: int, stop: Callable[[int], bool]
) -> None:
    """One client: random sums, and some requests sent again with the same id."""
    rng = random.Random(seed)
    channel_per_client = AsyncClient(
        program.target,
        program.client._credentials,
        policy=PATIENT,
        # A connection of its own, which either worker may accept.
        options=[("grpc.use_local_subchannel_pool", 1)],
    )
    async with channel_per_client as client:
        made = 0
        while not stop(made):
            made += 1
            sender, receiver = rng.sample(opened, 2)
            request = v1.CreateTransferRequest(
                from_account=sender,
                to_account=receiver,
                amount=f"{rng.randint(1, 30000) / 100:.2f}",
                request_id=str(new_request_id()),
            )
            attempts = rng.choice([1, 1, 1, 2, 3])
            results = await asyncio.gather(
                *(client.transfers.CreateTransfer(request) for _ in range(attempts)),
                return_exceptions=True,
            )
            for result in results:
                if isinstance(result, v1.Transfer):
                    history.acknowledge(request.request_id, result.id)
                elif isinstance(result, BalanceError) and result.reason == "INSUFFICIENT_FUNDS":
                    history.refused += 1
                else:
                    raise AssertionError(result)


async def check(
    program: Program, history: History, verified: Callable[[], Awaitable[object]]
) -> None:
    await verified()
    with psycopg.connect(program.database_url) as conn:
        total = conn.execute("SELECT sum(balance_minor) FROM accounts").fetchone()
        rows = conn.execute(
            "SELECT request_id, count(*), min(movement_id::text) FROM movements "
            "WHERE kind = 4 GROUP BY request_id"
        ).fetchall()
        system = conn.execute("SELECT sum(amount_minor) FROM system_entries").fetchone()
    assert total == (ACCOUNTS * INITIAL_MINOR,)
    assert system == (-ACCOUNTS * INITIAL_MINOR,)
    journal = {str(request_id): (count, movement) for request_id, count, movement in rows}
    assert history.contradicted == []
    assert history.acknowledged == {key: journal[key][1] for key in history.acknowledged}
    assert {count for count, _ in journal.values()} == {1}


async def test_concurrent_clients_lose_and_double_nothing(
    program: Program, service_settings: Settings, verified: Callable[[], Awaitable[object]]
) -> None:
    opened = await open_accounts(program, service_settings)
    history = History()
    await asyncio.gather(
        *(move(program, opened, history, seed, lambda made: made >= 40) for seed in range(CLIENTS))
    )
    assert len(history.acknowledged) > 500
    await check(program, history, verified)


async def test_killed_worker_loses_and_doubles_nothing(
    program: Program, service_settings: Settings, verified: Callable[[], Awaitable[object]]
) -> None:
    opened = await open_accounts(program, service_settings)
    history = History()
    ended = asyncio.Event()
    moving = [
        asyncio.create_task(move(program, opened, history, seed, lambda _: ended.is_set()))
        for seed in range(CLIENTS)
    ]
    killed: list[int] = []
    for _ in range(3):
        await asyncio.sleep(1.0)
        before = len(history.acknowledged)
        victim = random.choice(program.workers())
        os.kill(victim, signal.SIGKILL)
        killed.append(victim)
        await until(lambda: both_back(program, killed))
        await until(partial(progressed, history, before))
    ended.set()
    await asyncio.gather(*moving)
    assert len(set(killed)) == 3
    await check(program, history, verified)


async def both_back(program: Program, killed: list[int]) -> bool:
    alive = program.workers()
    return len(alive) == 2 and not set(alive) & set(killed) and await serves(program.target)


async def progressed(history: History, before: int) -> bool:
    return len(history.acknowledged) > before


async def test_both_workers_share_the_port(program: Program) -> None:
    seen: set[str] = set()
    for _ in range(40):
        async with grpc.aio.insecure_channel(
            program.target, options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=20)  # type: ignore[attr-defined]
            for pid in program.workers():
                with contextlib.suppress(OSError):
                    established = sockets(pid) & connected(program.target)
                    if established:
                        seen.add(str(pid))
        if len(seen) == 2:
            break
    assert len(seen) == 2


def sockets(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            text = str(link.readlink())
            if text.startswith("socket:["):
                found.add(text[8:-1])
    return found


def connected(target: str) -> set[str]:
    """Inodes of established connections accepted on the target's port."""
    port = f"{int(target.rpartition(':')[2]):04X}"
    inodes = set()
    tables = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
    for line in [line for table in tables for line in table.read_text().splitlines()[1:]]:
        columns = line.split()
        if columns[1].endswith(":" + port) and columns[3] == "01":
            inodes.add(columns[9])
    return inodes
