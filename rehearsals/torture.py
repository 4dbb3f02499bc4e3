"""Faults by the minute: nothing lost, nothing doubled, or a table of what was.

Usage: python -m rehearsals [--minutes 10] [--seed N] [--workers 2] [--clients 24]
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
import functools
import random
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import SecretStr

from balance_service.config import Settings
from balance_service.database import migrate
from rehearsals import checker, faults, history, servers, stage
from rehearsals.transports import OverGrpc, OverHttp, OverStream, Transport

DATABASE_HOST = "database.torture"


async def main(options: argparse.Namespace, folder: Path) -> int:
    rng = random.Random(options.seed)
    postgres = servers.Postgres(folder / "postgres", small_disk=servers.USER is not None)
    try:
        postgres.start()
        database = servers.Proxy(postgres.socket)
        await database.start()
        settings = stage.settings(folder, stage.url(database.port), options.workers)
        await asyncio.to_thread(migrate.up, postgres.url)
        secret = await stage.secret(settings)
        opened = await stage.open_accounts(settings)
        async with _service(settings, folder) as (process, names, clock):
            clients = servers.Proxy(settings.grpc_port), servers.Proxy(settings.http_port)
            for proxy in clients:
                await proxy.start()
            world = faults.World(postgres, database, clients, process, names, clock, rng)
            operations, injected, slowest = await _torture(options, world, settings, secret, opened)
        found = list(checker.anomalies(operations, checker.read(postgres.url)))
        found += await stage.verified(postgres.url)
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
        url = settings.database_url.get_secret_value().replace("@127.0.0.1:", f"@{DATABASE_HOST}:")
        settings = settings.model_copy(update={"database_url": SecretStr(url)})
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
    await stage.serving(target)
    token = await asyncio.to_thread(stage.token, target, secret)
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
            await stage.serving(target)
            slowest[kind] = max(slowest.get(kind, 0), time.monotonic() - began)
            if broken := [task for task in tasks if task.done()]:
                broken[0].result()
    stop.set()
    await asyncio.gather(*tasks)
    return [operation for client in running for operation in client.operations], injected, slowest


def _transport(world: faults.World, number: int, token: str) -> Transport:
    """A third of the clients speak JSON, and a third send transfers on a stream."""
    grpc_proxy, http_proxy = world.clients
    if number % 3 == 0:
        return OverHttp(f"http://127.0.0.1:{http_proxy.port}", token)
    kind = OverStream if number % 3 == 1 else OverGrpc
    return kind(f"127.0.0.1:{grpc_proxy.port}", token)


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
    stage.run("torture", functools.partial(main, chosen))
