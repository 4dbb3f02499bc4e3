"""Overload and abuse: memory stays bounded, health honest, and all is well again by itself.

Usage: python -m rehearsals.limits [--seconds 5]

One worker on a real Postgres meets more of everything than it takes, one kind after another. After
each it must say that it serves, and move money, within seconds; while it lasts, the worker's
own memory is watched. Status 1 if a bound was passed or it did not recover.
"""

import argparse
import asyncio
import contextlib
import functools
import os
import random
import resource
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from balance_client import errors, v1
from balance_client.policy import new_request_id
from balance_service._generated.balance.v1 import account_pb2_grpc, transfer_pb2_grpc
from balance_service.config import Settings
from balance_service.database import migrate
from balance_service.server.health import serves
from rehearsals import stage
from rehearsals.servers import Postgres

MEMORY_MIB_MAX = 224
RECOVERY_SECONDS_MAX = 10
HONEST_WITHIN_SECONDS = 5
IDLE_GRPC, IDLE_HTTP = 3000, 1000
STREAMS = 500


@dataclass
class Scene:
    """A service and its callers.

    Args:
        postgres: Its database.
        settings: Its settings.
        worker: Its process id.
        metadata: A caller's.
        accounts: Rich accounts.
        seconds: How long each kind of abuse lasts.
        ended: How its calls ended.
        refusal_seconds: How many seconds each refusal took.
        lied: Whether it said that it serves while it could not.
    """

    postgres: Postgres
    settings: Settings
    worker: int
    metadata: tuple[tuple[str, str], ...]
    accounts: list[str]
    seconds: float
    ended: Counter[str] = field(default_factory=Counter)
    refusal_seconds: list[float] = field(default_factory=list)
    lied: bool = False

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.settings.grpc_port}"

    @contextlib.asynccontextmanager
    async def channel(self) -> AsyncIterator[grpc.aio.Channel]:
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(self.target, options=options) as opened:
            yield opened

    def transfer(self) -> v1.CreateTransferRequest:
        sender, receiver = random.sample(self.accounts, 2)
        return v1.CreateTransferRequest(
            from_account=sender,
            to_account=receiver,
            amount="0.01",
            request_id=str(new_request_id()),
        )

    async def send(self, method: Any, request: Any) -> None:
        """Sends a call and counts its end; a refusal is obeyed as RetryInfo says."""
        began = time.monotonic()
        try:
            await method(request, metadata=self.metadata, timeout=30)
        except grpc.aio.AioRpcError as error:
            self.refusal_seconds.append(time.monotonic() - began)
            refused = errors.from_call(error.code(), "", error.trailing_metadata())
            pause = refused.retry_after_seconds
            self.ended[f"{error.code().name}{'' if pause is None else ' with RetryInfo'}"] += 1
            await asyncio.sleep(0.1 if pause is None else pause)
        else:
            self.ended["OK"] += 1


async def _many(scene: Scene, in_flight: int, method: Any, make: Callable[[], Any]) -> None:
    ending = time.monotonic() + scene.seconds

    async def one() -> None:
        while time.monotonic() < ending:
            await scene.send(method, make())

    await asyncio.gather(*[one() for _ in range(in_flight)])


async def unary_calls(scene: Scene) -> None:
    """5,000 transfers in flight."""
    async with scene.channel() as channel:
        stub = transfer_pb2_grpc.TransferServiceStub(channel)
        await _many(scene, 5000, stub.CreateTransfer, scene.transfer)


async def batches(scene: Scene) -> None:
    """100 batches of 1,000 transfers in flight: five times what may wait."""

    def make() -> v1.BatchCreateTransfersRequest:
        return v1.BatchCreateTransfersRequest(requests=[scene.transfer() for _ in range(1000)])

    prepared = [make() for _ in range(20)]
    async with scene.channel() as channel:
        stub = transfer_pb2_grpc.TransferServiceStub(channel)
        await _many(scene, 100, stub.BatchCreateTransfers, lambda: random.choice(prepared))


async def huge_messages(scene: Scene) -> None:
    """Messages beyond what is taken: too many items, and too many bytes."""
    many = v1.BatchCreateTransfersRequest(requests=[scene.transfer() for _ in range(5_000)])
    large = v1.BatchCreateTransfersRequest(requests=[scene.transfer() for _ in range(60_000)])
    async with scene.channel() as channel:
        stub = transfer_pb2_grpc.TransferServiceStub(channel)
        await _many(scene, 16, stub.BatchCreateTransfers, lambda: random.choice([many, large]))


async def pool_exhausted(scene: Scene) -> None:
    """Every connection to Postgres stands still while 200 callers read: health must say so."""
    stopped: set[int] = set()
    ending = time.monotonic() + max(scene.seconds, HONEST_WITHIN_SECONDS)
    async with scene.channel() as channel:
        stub = account_pb2_grpc.AccountServiceStub(channel)
        listing = v1.ListEntriesRequest(account=scene.accounts[0])
        calling = asyncio.create_task(_many(scene, 200, stub.ListEntries, lambda: listing))
        try:
            while time.monotonic() < ending:
                # Also those that the pool makes meanwhile.
                for pid in set(scene.postgres.backends()) - stopped:
                    os.kill(pid, signal.SIGSTOP)
                    stopped.add(pid)
                await asyncio.sleep(0.05)
            scene.lied = await serves(scene.target)
        finally:
            for pid in stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        await calling


async def idle_connections(scene: Scene) -> None:
    """Thousands of connections that say nothing, while others move money."""
    with contextlib.ExitStack() as opened:
        ports = [scene.settings.grpc_port] * IDLE_GRPC + [scene.settings.http_port] * IDLE_HTTP
        for number, port in enumerate(ports):
            opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            if number % 50 == 0:
                await asyncio.sleep(0)
        async with scene.channel() as channel:
            stub = transfer_pb2_grpc.TransferServiceStub(channel)
            await _many(scene, 16, stub.CreateTransfer, scene.transfer)


async def unread_streams(scene: Scene) -> None:
    """Hundreds of streams whose clients read nothing, over gRPC and HTTP, of accounts that move."""
    token = dict(scene.metadata)["authorization"]
    async with scene.channel() as watching, scene.channel() as channel:
        stub: Any = account_pb2_grpc.AccountServiceStub(watching)
        streams = [
            stub.WatchAccount(v1.WatchAccountRequest(account=account), metadata=scene.metadata)
            for account in random.choices(scene.accounts, k=STREAMS)
        ]
        with contextlib.ExitStack() as opened:
            for account in random.choices(scene.accounts, k=50):
                connection = socket.socket()
                opened.enter_context(connection)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.connect(("127.0.0.1", scene.settings.http_port))
                asked = f"GET /api/v1/accounts/{account}:watch HTTP/1.1\r\nHost: x\r\n"
                connection.sendall(f"{asked}Authorization: {token}\r\n\r\n".encode())
            mover = transfer_pb2_grpc.TransferServiceStub(channel)
            await _many(scene, 16, mover.CreateTransfer, scene.transfer)
        for stream in streams:
            stream.cancel()


Abuse = Callable[[Scene], Awaitable[None]]
KINDS: tuple[Abuse, ...] = (
    unary_calls,
    batches,
    huge_messages,
    pool_exhausted,
    idle_connections,
    unread_streams,
)


def _memory_mib(pid: int) -> float:
    """The memory that a process has for itself, without the files of programs, which all share."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (own,) = (line.split()[1] for line in lines if line.startswith("RssAnon:"))
    return int(own) / 1024


async def _watched(scene: Scene, kind: Abuse) -> float:
    """Runs one kind of abuse; the most memory that the worker had meanwhile."""
    abusing = asyncio.ensure_future(kind(scene))
    peak = 0.0
    while not abusing.done():
        peak = max(peak, _memory_mib(scene.worker))
        await asyncio.wait({abusing}, timeout=0.1)
    abusing.result()
    return peak


async def _recovered(scene: Scene) -> float:
    """Seconds until the service says that it serves, and moves money."""
    began = time.monotonic()
    await stage.wait_until_serving(scene.target)
    async with scene.channel() as channel:
        stub: Any = transfer_pb2_grpc.TransferServiceStub(channel)
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.CreateTransfer(scene.transfer(), metadata=scene.metadata, timeout=5)
                return time.monotonic() - began


async def main(seconds: float, folder: Path) -> int:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    postgres = Postgres(folder / "postgres")
    wrong = 0
    try:
        postgres.start()
        await asyncio.to_thread(migrate.up, postgres.url, stage.service_url(postgres.url))
        settings = stage.choose_settings(folder, postgres.url, 1)
        secret = await stage.create_caller(settings)
        accounts = await stage.open_accounts(settings)
        postgres.execute("UPDATE accounts SET limit_minor = 1000000000000")
        with stage.program(settings, folder / "service.log") as process:
            target = f"127.0.0.1:{settings.grpc_port}"
            await stage.wait_until_serving(target)
            token = await asyncio.to_thread(stage.access_token, target, secret)
            metadata = (("authorization", f"Bearer {token}"),)
            (worker,) = stage.workers(process)
            print(f"worker's own memory at rest: {_memory_mib(worker):.0f} MiB")
            for kind in KINDS:
                scene = Scene(postgres, settings, worker, metadata, accounts, seconds)
                peak = await _watched(scene, kind)
                recovery = await _recovered(scene)
                alive = stage.workers(process) == [worker]
                told = ", ".join(f"{n} {end}" for end, n in scene.ended.most_common())
                print(
                    f"{kind.__name__.replace('_', ' '):<18}{peak:>5.0f} MiB,"
                    f" well again in {recovery:.1f} s; {told}{_refusals(scene)}",
                    flush=True,
                )
                well = peak <= MEMORY_MIB_MAX and recovery <= RECOVERY_SECONDS_MAX
                wrong += not (well and alive and not scene.lied)
            print(f"worker's own memory at the end: {_memory_mib(worker):.0f} MiB")
        anomalies = await stage.verify(postgres.url)
    finally:
        postgres.close()
    for fault in anomalies:
        print(f"ANOMALY  {fault}")
    print(f"{wrong} bounds passed, {len(anomalies)} anomalies")
    return 1 if wrong or anomalies else 0


def _refusals(scene: Scene) -> str:
    times = sorted(scene.refusal_seconds)
    if not times:
        return ""
    half, most = times[len(times) // 2], times[int(len(times) * 0.99)]
    return f"; refusals took {half * 1000:.0f} ms (p50), {most * 1000:.0f} ms (p99)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5)
    chosen = parser.parse_args()
    stage.run("limits", functools.partial(main, chosen.seconds))
