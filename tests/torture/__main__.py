"""Faults by the minute: nothing lost, nothing doubled, or a table of what was.

Usage: python -m tests.torture [--minutes 10] [--seed N] [--workers 2] [--clients 24]
           [--faults KIND,KIND]

Runs the real program on a real Postgres, both behind proxies, with many clients, over gRPC and
HTTP, that send each request under its id until they know its outcome, and injects faults on a
seeded schedule. Then it holds what the clients saw to what the database holds. Status 1, and every
anomaly printed, if anything is wrong. The seed decides faults and requests; when each meets the
other is up to the machine.
"""

import argparse
import asyncio
import contextlib
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from pydantic import SecretStr

from balance_client import Client, ServiceCredentials, v1
from balance_service.config import Settings
from balance_service.database import migrate, pool
from balance_service.domain import ids
from balance_service.domain.accounts import Status
from balance_service.domain.principals import Scope
from balance_service.repositories import accounts, verification
from balance_service.server import administration
from balance_service.server.development import serves
from tests.torture import checker, faults, history, servers
from tests.torture.transports import OverGrpc, OverHttp, Transport

ACCOUNTS = 12
DATABASE_HOST = "database.torture"
RECOVERY_SECONDS_MAX = 90


async def main(options: argparse.Namespace, folder: Path) -> int:
    rng = random.Random(options.seed)
    postgres = servers.Postgres(folder / "postgres", small_disk=servers.USER is not None)
    try:
        postgres.start()
        database = servers.Proxy(postgres.socket)
        await database.start()
        settings = _settings(folder, database.port, options.workers)
        await asyncio.to_thread(migrate.up, postgres.url)
        secret = await administration.create_service_principal(settings, "torture", "", list(Scope))
        opened = await _open_accounts(settings)
        async with _service(settings, folder) as (process, names, clock):
            clients = servers.Proxy(settings.grpc_port), servers.Proxy(settings.http_port)
            for proxy in clients:
                await proxy.start()
            world = faults.World(postgres, database, clients, process, names, clock, rng)
            operations, injected, slowest = await _torture(options, world, settings, secret, opened)
        found = list(checker.anomalies(operations, checker.read(postgres.url)))
        found += await _verified(postgres.url)
    finally:
        postgres.close()
    _report(options, operations, injected, slowest, found)
    for kind, need in faults.missing(world).items():
        print(f"not injected: {kind}, which needs {need}")
    return 1 if found else 0


@contextlib.asynccontextmanager
async def _service(
    settings: Settings, folder: Path
) -> AsyncIterator[tuple[subprocess.Popen[bytes], Path | None, Path | None]]:
    """The supervisor of the workers, and the files that say what host names and clocks they see.

    A worker with a clock of its own runs beside the supervisor's, as on another host.
    """
    names = folder / "hosts" if servers.NSS_WRAPPER.exists() else None
    clock = folder / "clock" if servers.FAKETIME.exists() else None
    known = {}
    if names:
        names.write_text(f"127.0.0.1 {DATABASE_HOST}\n")
        known = {"LD_PRELOAD": str(servers.NSS_WRAPPER), "NSS_WRAPPER_HOSTS": str(names)}
        url = settings.database_url.replace("@127.0.0.1:", f"@{DATABASE_HOST}:")
        settings = settings.model_copy(update={"database_url": url})
    stack = contextlib.ExitStack()
    try:
        log = folder / "service.log"
        process = stack.enter_context(servers.program(settings, log, environment=known))
        if clock:
            clock.write_text("+0")
            off = known | {
                "LD_PRELOAD": f"{servers.FAKETIME} {known.get('LD_PRELOAD', '')}",
                "FAKETIME_TIMESTAMP_FILE": str(clock),
                "FAKETIME_NO_CACHE": "1",
                # Clocks that measure go on as they do where a clock is set.
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
            stack.enter_context(servers.program(settings, log, "worker", off))
        yield process, names, clock
    finally:
        # The proxies must go on meanwhile: the service finishes what it took.
        await asyncio.to_thread(stack.close)


async def _torture(
    options: argparse.Namespace,
    world: faults.World,
    settings: Settings,
    secret: str,
    opened: list[str],
) -> tuple[list[history.Operation], Counter[str], dict[str, float]]:
    """Runs clients and faults side by side."""
    target = f"127.0.0.1:{settings.grpc_port}"
    await _serving(target)
    token = await asyncio.to_thread(_token, target, secret)
    stop = asyncio.Event()
    running = [
        history.Client(
            _transport(world, number, token), opened, random.Random(f"{options.seed} {number}")
        )
        for number in range(options.clients)
    ]
    tasks = [asyncio.create_task(client.run(stop)) for client in running]
    injected: Counter[str] = Counter()
    slowest: dict[str, float] = {}
    ending = time.monotonic() + options.minutes * 60
    wanted = [kind.strip() for kind in options.faults.split(",") if kind.strip()]
    while time.monotonic() < ending:
        for kind in wanted or faults.schedule(world):
            if time.monotonic() >= ending:
                break
            await asyncio.sleep(world.rng.uniform(0.5, 2))
            await faults.KINDS[kind](world)
            injected[kind] += 1
            began = time.monotonic()
            await _serving(target)
            slowest[kind] = max(slowest.get(kind, 0), time.monotonic() - began)
            if broken := [task for task in tasks if task.done()]:
                broken[0].result()
    stop.set()
    await asyncio.gather(*tasks)
    return [operation for client in running for operation in client.operations], injected, slowest


def _transport(world: faults.World, number: int, token: str) -> Transport:
    """A third of the clients speak JSON."""
    grpc_proxy, http_proxy = world.clients
    if number % 3 == 0:
        return OverHttp(f"http://127.0.0.1:{http_proxy.port}", token)
    return OverGrpc(f"127.0.0.1:{grpc_proxy.port}", token)


def _settings(folder: Path, database_port: int, workers: int) -> Settings:
    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, http_port = free.getsockname()[1], other.getsockname()[1]
    url = f"postgresql://postgres@127.0.0.1:{database_port}/postgres"
    return Settings(
        database_url=url,
        secret=SecretStr(secrets.token_urlsafe(48)),
        data_dir=str(folder),
        grpc_port=port,
        http_port=http_port,
        workers=workers,
        development=True,
        access_token_seconds=86_400,
    )


async def _open_accounts(settings: Settings) -> list[str]:
    """Accounts with nothing on them; a third may go below zero."""
    opened = []
    now = datetime.now(UTC)
    async with pool.opened(pool.create(settings.database_url, 2)) as connections:
        for number in range(ACCOUNTS):
            async with pool.transaction(connections) as conn:
                account, _ = await accounts.open_account(conn, ids.new_id(), "RUB", now)
                if number % 3 == 0:
                    limit = 50_000 * (number + 1)
                    await accounts.set_rules(conn, account, Status.ACTIVE, limit)
                opened.append(str(account))
    return opened


def _token(target: str, secret: str) -> str:
    with Client(target, ServiceCredentials("torture", secret)) as client:
        request = v1.CreateTokenRequest(client_id="torture", client_secret=secret)
        return client.auth.CreateToken(request).token


async def _serving(target: str) -> None:
    """Returns once the service says that it serves: it must come back by itself."""
    async with asyncio.timeout(RECOVERY_SECONDS_MAX):
        while not await serves(target):
            await asyncio.sleep(0.1)


async def _verified(url: str) -> list[str]:
    """What the service's own check of its ledger finds."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        report = await verification.verify(conn)
    return [
        f"verify: {check}: {fault}" for check, found in report.faults.items() for fault in found
    ]


def _report(
    options: argparse.Namespace,
    operations: list[history.Operation],
    injected: Counter[str],
    slowest: dict[str, float],
    found: list[str],
) -> None:
    print(f"\n{'fault':<24}{'times':>6}{'serving again after at most':>30}")
    for kind, times in sorted(injected.items()):
        print(f"{kind:<24}{times:>6}{slowest[kind]:>28.1f} s")
    print(f"\n{'operation':<24}{'ok':>8}{'refused':>9}{'sendings that told nothing':>28}")
    for kind in ("transfer", "deposit", "withdrawal", "read"):
        theirs = [o for o in operations if o.kind == kind]
        counts = Counter(o.outcome for o in theirs)
        lost = sum(o.unknowns for o in theirs)
        print(f"{kind:<24}{counts['ok']:>8}{counts['refused']:>9}{lost:>28}")
    for anomaly in found[:50]:
        print(f"ANOMALY  {anomaly}")
    told = f"seed {options.seed}, {options.minutes:g} minutes"
    print(f"\n{told}: {len(operations)} operations, {len(found)} anomalies")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--faults", default="", help=", ".join(faults.KINDS))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="balance-torture-") as name:
        subprocess.run(["chmod", "755", name], check=True)
        (Path(name) / "postgres").mkdir()
        sys.exit(asyncio.run(main(chosen, Path(name))))
