"""Injects faults for minutes while clients move money; nothing may be lost or done twice.

Usage: python -m rehearsals.torture [--minutes 10] [--seed N] [--workers 2] [--clients 24]
           [--faults KIND,KIND] [--quick]

Runs the real program on a real Postgres, both behind proxies. Many clients, over gRPC and HTTP,
send each request under its id until they know its outcome, while faults are injected on a seeded
schedule; another follows all events, and restarts now and then. Schedules come due meanwhile, and
events are sent to an endpoint of webhooks that fails at random. A third of the accounts have
sub-accounts, whose number changes now and then. Then what the clients saw is compared with what the
database holds. Exits with status 1, and prints every anomaly, if anything is wrong. The seed
decides faults and requests; which request meets which fault depends on the machine.
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
from typing import NamedTuple

from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from balance_client import AsyncClient, AsyncServiceCredentials
from balance_service.config import Settings
from balance_service.database import migrate
from rehearsals import (
    checker,
    dividing,
    faults,
    history,
    receiving,
    scheduling,
    servers,
    stage,
)
from rehearsals.dividing import Divider
from rehearsals.operation import Operation
from rehearsals.receiving import Receiver
from rehearsals.scheduling import Planner
from rehearsals.transports import OverGrpc, OverHttp, OverStream, Transport
from rehearsals.watcher import Watcher

DATABASE_HOST = "database.torture"
SETTINGS = {"checkpoint_seconds": 2, **scheduling.SETTINGS, **receiving.SETTINGS}


class Beside(NamedTuple):
    """What goes on beside the clients.

    Args:
        watcher: Follows all events.
        planner: Has schedules come due.
        receiver: Is sent some events.
        divider: Changes how many sub-accounts some accounts have.
    """

    watcher: Watcher
    planner: Planner
    receiver: Receiver
    divider: Divider


async def main(options: argparse.Namespace, folder: Path) -> int:
    rng = random.Random(options.seed)
    postgres = servers.Postgres(folder / "postgres", small_disk=servers.USER is not None)
    try:
        postgres.start()
        database = servers.Proxy(postgres.socket)
        await database.start()
        settings = stage.choose_settings(folder, stage.database_url(database.port), options.workers)
        settings = settings.model_copy(update=SETTINGS)
        await asyncio.to_thread(migrate.up, postgres.url, stage.service_url(postgres.url))
        secret = await stage.create_caller(settings)
        accounts = await stage.open_accounts(settings, rules=dividing.varied, dollars=True)
        async with _run_service(settings, folder) as (process, names, clock):
            clients = servers.Proxy(settings.grpc_port), servers.Proxy(settings.http_port)
            for proxy in clients:
                await proxy.start()
            world = faults.World(postgres, database, clients, process, names, clock, rng)
            target, credentials = f"127.0.0.1:{clients[0].port}", (stage.CALLER, secret)
            watcher = Watcher(target, secret, random.Random(options.seed))
            async with AsyncClient(target, AsyncServiceCredentials(*credentials)) as client:
                drawing = random.Random(f"{options.seed} schedules")
                planner = Planner(client, accounts, scheduling.sell(postgres.url), drawing)
                receiver = Receiver(client, random.Random(f"{options.seed} webhooks"))
                divider = Divider(client, accounts, random.Random(f"{options.seed} sub-accounts"))
                beside = Beside(watcher, planner, receiver, divider)
                operations, injected, slowest = await _torture(
                    options, world, settings, secret, accounts, beside
                )
                anomalies = await receiver.find_anomalies(quick=options.quick)
        receiver.close()
        anomalies += watcher.find_anomalies(postgres.url)
        anomalies += divider.find_anomalies(postgres.url)
        anomalies += planner.find_anomalies(watcher.seen, quick=options.quick)
        anomalies += list(checker.find_anomalies(operations, checker.read_journal(postgres.url)))
        anomalies += await stage.verify(postgres.url)
        anomalies += await stage.find_unproved(postgres.url, rng)
    finally:
        postgres.close()
    _report(options, operations, injected, slowest, anomalies)
    print(f"{len(watcher.seen)} events over {watcher.restarts + 1} lives of their reader")
    print(f"sub-accounts were set {divider.acts} times")
    print(f"webhooks: {len(receiver.accepted)} events heard, {receiver.repeats} repeats")
    print(", ".join(f"{way} {times}" for way, times in receiver.ways.most_common()))
    for kind, need in faults.find_missing(world).items():
        print(f"not injected: {kind}, which needs {need}")
    return 1 if anomalies else 0


@contextlib.asynccontextmanager
async def _run_service(
    settings: Settings, folder: Path
) -> AsyncIterator[tuple[subprocess.Popen[bytes], Path | None, Path | None]]:
    """Runs the service; its process, and the files that set its host names and a worker's clock.

    The worker with that clock runs beside those of the supervisor, as if on another host.
    """
    names = folder / "hosts" if servers.NSS_WRAPPER.exists() else None
    clock = folder / "clock" if servers.FAKETIME.exists() else None
    environment = {}
    if names:
        names.write_text(f"127.0.0.1 {DATABASE_HOST}\n")
        environment = {
            "LD_PRELOAD": str(servers.NSS_WRAPPER),
            "NSS_WRAPPER_HOSTS": str(names),
        }
        url = make_conninfo(settings.database_url.get_secret_value(), host=DATABASE_HOST)
        settings = settings.model_copy(update={"database_url": SecretStr(url)})
    stack = contextlib.ExitStack()
    try:
        log = folder / "service.log"
        process = stack.enter_context(stage.program(settings, log, environment=environment))
        if clock:
            clock.write_text("+0")
            with_clock = environment | {
                "LD_PRELOAD": f"{servers.FAKETIME} {environment.get('LD_PRELOAD', '')}",
                "FAKETIME_TIMESTAMP_FILE": str(clock),
                "FAKETIME_NO_CACHE": "1",
                # As on a host whose wall clock is set: its monotonic clock goes on.
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
            stack.enter_context(stage.program(settings, log, "worker", with_clock))
        yield process, names, clock
    finally:
        # In a thread, for the proxies must go on while the service finishes its requests.
        await asyncio.to_thread(stack.close)


async def _torture(
    options: argparse.Namespace,
    world: faults.World,
    settings: Settings,
    secret: str,
    accounts: list[str],
    beside: Beside,
) -> tuple[list[Operation], Counter[str], dict[str, float]]:
    """Runs clients and faults side by side."""
    target = f"127.0.0.1:{settings.grpc_port}"
    await stage.wait_until_serving(target)
    token = await asyncio.to_thread(stage.access_token, target, secret)
    dollars = stage.dollar_accounts(world.postgres.url)
    await beside.receiver.start()
    stop = asyncio.Event()
    running = [
        history.Client(
            _transport(world, number, token),
            accounts,
            random.Random(f"{options.seed} {number}"),
            dollars,
            follow_ups=True,
            batches=True,
        )
        for number in range(options.clients)
    ]
    tasks = [asyncio.create_task(client.run(stop)) for client in running]
    tasks.append(asyncio.create_task(beside.divider.run(stop)))
    watching = asyncio.create_task(beside.watcher.run())
    await beside.planner.make(options.minutes * 60)
    injected: Counter[str] = Counter()
    slowest: dict[str, float] = {}
    end = time.monotonic() + options.minutes * 60
    chosen_kinds = [kind.strip() for kind in options.faults.split(",") if kind.strip()]
    while time.monotonic() < end:
        for kind in chosen_kinds or faults.draw_schedule(world):
            if time.monotonic() >= end:
                break
            await asyncio.sleep(world.rng.uniform(0.5, 2))
            await faults.KINDS[kind](world)
            injected[kind] += 1
            began = time.monotonic()
            await stage.wait_until_serving(target)
            slowest[kind] = max(slowest.get(kind, 0), time.monotonic() - began)
            if broken := [task for task in (*tasks, watching) if task.done()]:
                broken[0].result()
    stop.set()
    await asyncio.gather(*tasks)
    await beside.planner.settle(quick=options.quick)
    await beside.watcher.catch_up(world.postgres.url)
    await beside.receiver.settle(quick=options.quick)
    watching.cancel()
    operations = [operation for client in running for operation in client.operations]
    return operations + beside.planner.operations(), injected, slowest


def _transport(world: faults.World, number: int, token: str) -> Transport:
    """A third of the clients speak JSON, and a third send transfers on a stream."""
    grpc_proxy, http_proxy = world.clients
    if number % 3 == 0:
        return OverHttp(f"http://127.0.0.1:{http_proxy.port}", token)
    kind = OverStream if number % 3 == 1 else OverGrpc
    return kind(f"127.0.0.1:{grpc_proxy.port}", token)


def _report(
    options: argparse.Namespace,
    operations: list[Operation],
    injected: Counter[str],
    slowest: dict[str, float],
    anomalies: list[str],
) -> None:
    print(f"\n{'fault':<24}{'times':>6}{'serving again after at most':>30}")
    for kind, times in sorted(injected.items()):
        print(f"{kind:<24}{times:>6}{slowest[kind]:>28.1f} s")
    print(f"\n{history.outcomes(operations, (*history.METHODS, scheduling.KIND))}")
    for anomaly in anomalies[:50]:
        print(f"ANOMALY  {anomaly}")
    run = f"seed {options.seed}, {options.minutes:g} minutes"
    print(f"\n{run}: {len(operations)} operations, {len(anomalies)} anomalies")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--faults", default="", help=", ".join(faults.KINDS))
    parser.add_argument(
        "--quick", action="store_true", help="wait for no lease of a dead worker, no late attempt"
    )
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    stage.run("torture", functools.partial(main, chosen))
