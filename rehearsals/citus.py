"""A Citus cluster loses its servers under load; nothing may be lost, done in part or done twice.

Usage: python -m rehearsals.citus [--minutes 5] [--seed N] [--workers 2] [--clients 24]
           [--ways WAY,WAY]

A coordinator and two workers with a distributed ledger, and the real program on them. Clients send
each request under its id until they know its outcome, one follows all events, another asks what
accounts had a moment ago, and servers are killed and started again meanwhile. Schedules come due,
and events are sent to an endpoint of webhooks that fails at random. What was left prepared must be
resolved by Citus itself. At the end all rows are copied to a server of its own, where the checker,
`verify` and the others hold them to what was seen. Exits with status 1 if anything is wrong.
TEST_POSTGRES_BIN names the programs of a Postgres that has Citus.
"""

import argparse
import asyncio
import functools
import random
import secrets
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from balance_client import AsyncClient, AsyncServiceCredentials
from balance_service.database import migrate
from rehearsals import checker, history, receiving, scheduling, shards, stage
from rehearsals.moments import Moments
from rehearsals.operation import Operation
from rehearsals.receiving import Receiver
from rehearsals.scheduling import Planner
from rehearsals.servers import Postgres, Proxy
from rehearsals.transports import OverGrpc, OverStream
from rehearsals.watcher import Watcher
from tests import cluster as clusters

SETTINGS = {"checkpoint_seconds": 2, **scheduling.SETTINGS, **receiving.SETTINGS}
# How long clients work between one loss and the next.
WORKING_SECONDS = 3.0
# What is prepared after so long was left by a loss, and is not just on its way.
LEFT_SECONDS = 1.0
RESOLVED_SECONDS_MAX = MOVING_SECONDS_MAX = 60
# Of one that names all that its client heard.
ANOMALY_CHARACTERS_MAX = 1000


class Beside(NamedTuple):
    """What goes on beside the clients.

    Args:
        watcher: Follows all events.
        moments: Asks what accounts had a moment ago.
        planner: Has schedules come due.
        receiver: Is sent some events.
    """

    watcher: Watcher
    moments: Moments
    planner: Planner
    receiver: Receiver


@dataclass
class Course:
    """What came of losing servers.

    Args:
        lost: How often each way was gone.
        left: How many parts each left prepared.
        resolved_seconds: How long the last of these stayed so, at most.
        moving_seconds: How long, at most, the next movement took to be acknowledged.
        anomalies: What must not be.
    """

    lost: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    resolved_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    moving_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    anomalies: list[str] = field(default_factory=list)


async def main(options: argparse.Namespace, folder: Path) -> int:
    cluster = shards.Cluster(folder)
    try:
        await asyncio.to_thread(cluster.start)
        coordinator = Proxy(cluster.coordinator.socket)
        await coordinator.start()
        url = stage.database_url(coordinator.port)
        settings = stage.choose_settings(folder, url, options.workers).model_copy(update=SETTINGS)
        secret = await stage.create_caller(settings)
        accounts = await stage.open_accounts(settings, rules=stage.varied, dollars=True)
        dollars = stage.dollar_accounts(cluster.coordinator.url)
        cluster.delay_commits()
        with stage.program(settings, folder / "service.log"):
            target = f"127.0.0.1:{settings.grpc_port}"
            await stage.wait_until_serving(target)
            token = await asyncio.to_thread(stage.access_token, target, secret)
            clients = _make_clients(options, target, token, accounts, dollars)
            async with AsyncClient(target, AsyncServiceCredentials(stage.CALLER, secret)) as client:
                beside = Beside(
                    Watcher(target, secret, random.Random(options.seed)),
                    Moments(client),
                    Planner(
                        client,
                        accounts,
                        scheduling.sell(cluster.coordinator.url),
                        random.Random(f"{options.seed} schedules"),
                    ),
                    Receiver(client, random.Random(f"{options.seed} webhooks")),
                )
                course = await _lose_servers(options, cluster, target, clients, beside)
                course.anomalies += await beside.receiver.find_anomalies(quick=False)
        beside.receiver.close()
        operations = [operation for client in clients for operation in client.operations]
        operations += beside.planner.operations()
        anomalies = course.anomalies
        drawing = random.Random(f"{options.seed} receipts")
        anomalies += await _find_anomalies(folder, cluster, operations, beside, drawing)
    finally:
        # In a thread, for the proxy must go on while the servers end.
        await asyncio.to_thread(cluster.stop)
    _report(operations, course, beside)
    print(f"seed {options.seed}: {len(operations)} operations, {len(anomalies)} anomalies")
    return 1 if anomalies else 0


def _make_clients(
    options: argparse.Namespace,
    target: str,
    token: str,
    accounts: list[str],
    dollars: dict[str, str],
) -> list[history.Client]:
    """Clients of which every second sends transfers on a stream."""
    return [
        history.Client(
            (OverGrpc, OverStream)[number % 2](target, token),
            accounts,
            random.Random(f"{options.seed} {number}"),
            dollars,
            follow_ups=True,
            batches=True,
        )
        for number in range(options.clients)
    ]


async def _lose_servers(
    options: argparse.Namespace,
    cluster: shards.Cluster,
    target: str,
    clients: Sequence[history.Client],
    beside: Beside,
) -> Course:
    """Loses servers in every way, by turns, while clients move money and others look on."""
    world, course = shards.World(cluster, random.Random(options.seed)), Course()
    chosen = [way.strip() for way in options.ways.split(",") if way.strip()] or list(shards.WAYS)
    stop = asyncio.Event()
    await beside.receiver.start()
    moving = [asyncio.create_task(client.run(stop)) for client in clients]
    looking = [asyncio.create_task(each.run()) for each in (beside.watcher, beside.moments)]
    await beside.planner.make(options.minutes * 60)
    end = time.monotonic() + options.minutes * 60
    while time.monotonic() < end:
        for way in world.rng.sample(chosen, len(chosen)):
            if time.monotonic() >= end and course.lost:
                break
            await asyncio.sleep(world.rng.uniform(0.3, 1) * WORKING_SECONDS)
            await shards.WAYS[way](world)
            course.lost[way] += 1
            await asyncio.gather(
                _wait_until_resolved(cluster, way, course), _wait_until_moving(clients, way, course)
            )
            await stage.wait_until_serving(target)
            if broken := [task for task in (*moving, *looking) if task.done()]:
                broken[0].result()
    stop.set()
    await asyncio.gather(*moving)
    await beside.planner.settle(quick=False)
    await beside.watcher.catch_up(cluster.coordinator.url)
    await beside.receiver.settle(quick=False)
    for task in looking:
        task.cancel()
    await asyncio.gather(*looking, return_exceptions=True)
    return course


async def _wait_until_resolved(cluster: shards.Cluster, way: str, course: Course) -> None:
    """Waits until nothing is prepared any more of what a loss left so."""
    began = time.monotonic()
    left = await asyncio.to_thread(cluster.prepared)
    await asyncio.sleep(LEFT_SECONDS)
    left &= await asyncio.to_thread(cluster.prepared)
    course.left[way] += len(left)
    while left:
        if time.monotonic() - began > RESOLVED_SECONDS_MAX:
            course.anomalies.append(f"{way}: {len(left)} parts stay prepared")
            return
        await asyncio.sleep(0.1)
        left &= await asyncio.to_thread(cluster.prepared)
        seconds = time.monotonic() - began
        course.resolved_seconds[way] = max(course.resolved_seconds[way], seconds)


async def _wait_until_moving(clients: Sequence[history.Client], way: str, course: Course) -> None:
    """Waits until a movement is acknowledged that was asked for once all servers ran again."""
    began = asyncio.get_running_loop().time()
    while not any(
        operation.outcome == "ok" and operation.kind != "read" and operation.invoked > began
        for client in clients
        for operation in client.operations[-10:]
    ):
        if asyncio.get_running_loop().time() - began > MOVING_SECONDS_MAX:
            course.anomalies.append(f"{way}: nothing moves for {MOVING_SECONDS_MAX} s")
            return
        await asyncio.sleep(0.02)
    seconds = asyncio.get_running_loop().time() - began
    course.moving_seconds[way] = max(course.moving_seconds[way], seconds)


async def _find_anomalies(
    folder: Path,
    cluster: shards.Cluster,
    operations: list[Operation],
    beside: Beside,
    rng: random.Random,
) -> list[str]:
    """Copies all rows to one server, whose snapshot and joins the others need."""
    copy = Postgres(folder / "copy")
    try:
        await asyncio.to_thread(copy.start)
        await asyncio.to_thread(migrate.up, copy.url, stage.service_url(copy.url))
        await asyncio.to_thread(clusters.copy, cluster.coordinator.url, copy.url)
        anomalies = list(checker.find_anomalies(operations, checker.read_journal(copy.url)))
        anomalies += beside.watcher.find_anomalies(copy.url)
        anomalies += beside.moments.find_anomalies(copy.url)
        anomalies += beside.planner.find_anomalies(beside.watcher.seen, quick=False)
        anomalies += await stage.verify(copy.url)
        anomalies += await stage.find_unproved(copy.url, rng)
    finally:
        copy.close()
    return anomalies


def _report(operations: list[Operation], course: Course, beside: Beside) -> None:
    print(f"\n{'lost':<32}{'times':>6}{'moving again':>14}{'left prepared':>15}{'resolved':>10}")
    for way, times in sorted(course.lost.items()):
        moving, resolved = course.moving_seconds[way], course.resolved_seconds[way]
        print(f"{way:<32}{times:>6}{moving:>12.1f} s{course.left[way]:>15}{resolved:>8.1f} s")
    print(f"\n{history.outcomes(operations, (*history.METHODS, scheduling.KIND))}")
    lost = sum(anomaly.startswith(checker.LOST) for anomaly in course.anomalies)
    print(f"{lost} acknowledged movements lost")
    watcher, receiver = beside.watcher, beside.receiver
    print(f"{len(watcher.seen)} events over {watcher.restarts + 1} lives of their reader")
    print(f"{len(beside.moments.answers)} answers about all accounts' past")
    print(f"webhooks: {len(receiver.accepted)} events heard, {receiver.repeats} repeats")
    for anomaly in course.anomalies[:50]:
        print(f"ANOMALY  {anomaly[:ANOMALY_CHARACTERS_MAX]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--ways", default="", help=", ".join(shards.WAYS))
    given = parser.parse_args()
    if missing := shards.find_missing():
        sys.exit(f"missing: {missing}")
    print(f"seed {given.seed}", flush=True)
    stage.run("citus", functools.partial(main, given))
