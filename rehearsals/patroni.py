"""A cluster that Patroni keeps loses its leader in every way; nothing acknowledged is lost.

Usage: python -m rehearsals.patroni [--rounds 1] [--seed N] [--workers 2] [--clients 24]
           [--ways WAY,WAY]

Three servers of Postgres with Patroni, in strict synchronous mode, and one etcd; the real program
with all three in its URL and target_session_attrs=read-write; clients that record what they saw. A
round loses the leader in every way once. The time without commits is told beside the cluster's own:
until a new leader took a commit that was sent to it directly. At the end the checker holds the
history to the last leader. Needs `patroni` and `etcd` on the path, or PATRONI to name the first.
"""

import argparse
import asyncio
import contextlib
import functools
import itertools
import random
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from balance_service.database import migrate
from rehearsals import checker, history, stage
from rehearsals.cluster import Cluster, Node, commits, find_missing
from rehearsals.operation import Operation

SECONDS_MAX = 120
# How long clients work between one loss and the next.
WORKING_SECONDS = 3.0


@dataclass
class World:
    """What is lost, and who looks on.

    Args:
        cluster: The servers.
        clients: Who moves money meanwhile.
        anomalies: What was acknowledged that must not be.
    """

    cluster: Cluster
    clients: list[history.Client]
    anomalies: list[str]


@dataclass(frozen=True)
class Gap:
    """A time without commits.

    Args:
        way: How the leader was lost.
        seconds: From the last acknowledgement by the old leader to the first by the new one.
        beyond_seconds: How much later that was than the first commit that the new leader took
            directly.
    """

    way: str
    seconds: float
    beyond_seconds: float


async def host_lost(world: World, leader: Node) -> Gap:
    """Kill -9 of Postgres and Patroni, and every connection reset."""
    leader.service.refusing = True
    leader.service.cut()
    leader.vanish()
    gap = await _wait_for_commits(world, "host lost", leader)
    leader.service.refusing = False
    leader.start()
    return gap


async def postgres_killed(world: World, leader: Node) -> Gap:
    """Kill -9 of Postgres alone, which Patroni starts again or replaces."""
    leader.send_postgres(signal.SIGKILL)
    return await _wait_for_commits(world, "postgres killed", None)


async def frozen(world: World, leader: Node) -> Gap:
    """Postgres and Patroni stand still, and go on when another server has taken over."""
    leader.send(signal.SIGSTOP)
    gap = await _wait_for_commits(world, "frozen", leader)
    leader.send(signal.SIGCONT)
    await _expect_nothing(world, leader)
    return gap


async def cut_off(world: World, leader: Node) -> Gap:
    """The leader loses etcd and the other servers; the service still reaches it."""
    leader.cut_off()
    expecting = asyncio.create_task(_expect_nothing(world, leader))
    gap = await _wait_for_commits(world, "cut off", leader)
    await expecting
    leader.join()
    return gap


async def switched_over(world: World, leader: Node) -> Gap:
    """The leader hands over to its standby, as for maintenance."""
    ask = asyncio.create_task(asyncio.to_thread(leader.ask, "/switchover", {"leader": leader.name}))
    gap = await _wait_for_commits(world, "switched over", leader)
    await ask
    return gap


WAYS: dict[str, Callable[[World, Node], Awaitable[Gap]]] = {
    "switched over": switched_over,
    "postgres killed": postgres_killed,
    "host lost": host_lost,
    "frozen": frozen,
    "cut off": cut_off,
}


async def _wait_for_commits(world: World, way: str, lost: Node | None) -> Gap:
    """Waits until the cluster, and the service, commit again.

    Args:
        world: What is lost, and who looks on.
        way: How it is lost, just now.
        lost: The node that must not be the one; None if it may.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    nodes = [node for node in world.cluster.nodes if node is not lost]
    probes = [asyncio.create_task(_first_commit(node)) for node in nodes]
    async with asyncio.timeout(SECONDS_MAX):
        await asyncio.wait(probes, return_when=asyncio.FIRST_COMPLETED)
        back = loop.time()
        for probe in probes:
            probe.cancel()
        while (times := _acknowledged(world.clients, began - 1))[-1] < back:
            await asyncio.sleep(0.02)
    last, first = max(itertools.pairwise(times), key=lambda pair: pair[1] - pair[0])
    return Gap(way, first - last, max(first - back, 0))


async def _first_commit(node: Node) -> None:
    """Returns once a node takes a commit and its standby has it."""
    while True:
        with contextlib.suppress(psycopg.Error):
            if await commits(node):
                return
        await asyncio.sleep(0.05)


def _acknowledged(clients: list[history.Client], since: float) -> list[float]:
    """When movements were acknowledged since then, in order; the first is that time itself."""
    times = (
        operation.returned
        for client in clients
        for operation in client.operations
        if operation.outcome == "ok" and operation.kind != "read"
    )
    return [since, *sorted(time for time in times if time > since)]


async def _expect_nothing(world: World, old: Node) -> None:
    """Notes every commit that an old leader acknowledges, until it refuses them or goes down."""
    async with asyncio.timeout(SECONDS_MAX):
        with contextlib.suppress(psycopg.Error):
            while True:
                if await commits(old):
                    world.anomalies.append(f"{old.name} acknowledged a commit after it was lost")


async def main(options: argparse.Namespace, folder: Path) -> int:
    rng = random.Random(options.seed)
    cluster = Cluster(folder)
    anomalies: list[str] = []
    try:
        await cluster.start()
        settings = stage.choose_settings(folder, cluster.url, options.workers)
        await asyncio.to_thread(migrate.up, cluster.url, stage.service_url(cluster.url))
        secret = await stage.create_caller(settings)
        opened = await stage.open_accounts(settings, rules=stage.varied, dollars=True)
        leader = await cluster.wait_until_healthy()
        dollars = stage.dollar_accounts(leader.url)
        with stage.program(settings, folder / "service.log"):
            target = f"127.0.0.1:{settings.grpc_port}"
            await stage.wait_until_serving(target)
            token = await asyncio.to_thread(stage.access_token, target, secret)
            count, seed = options.clients, options.seed
            clients = history.make_clients(
                target, token, opened, count, seed, dollars=dollars, follow_ups=True
            )
            gaps = await _lose_leaders(options, rng, World(cluster, clients, anomalies))
        leader = await cluster.wait_until_healthy()
        operations = [operation for client in clients for operation in client.operations]
        anomalies += checker.find_anomalies(operations, checker.read_journal(leader.url))
        anomalies += await stage.verify(leader.url)
    finally:
        # In a thread, for the proxies must go on while Patroni hands over.
        await asyncio.to_thread(cluster.stop)
    _report(options, operations, gaps, anomalies)
    return 1 if anomalies else 0


async def _lose_leaders(options: argparse.Namespace, rng: random.Random, world: World) -> list[Gap]:
    """Loses the leader in every way, while clients move money."""
    stop, gaps = asyncio.Event(), []
    tasks = [asyncio.create_task(client.run(stop)) for client in world.clients]
    chosen = [way.strip() for way in options.ways.split(",") if way.strip()] or list(WAYS)
    for _ in range(options.rounds):
        for way in rng.sample(chosen, len(chosen)):
            await asyncio.sleep(WORKING_SECONDS)
            gap = await WAYS[way](world, await world.cluster.wait_until_healthy())
            print(
                f"{gap.way:<18}{gap.seconds:>6.2f} s without commits, of these"
                f" {gap.beyond_seconds:.2f} s beyond the cluster's own",
                flush=True,
            )
            gaps.append(gap)
            if broken := [task for task in tasks if task.done()]:
                broken[0].result()
    await world.cluster.wait_until_healthy()
    stop.set()
    await asyncio.gather(*tasks)
    return gaps


def _report(
    options: argparse.Namespace,
    operations: list[Operation],
    gaps: list[Gap],
    anomalies: list[str],
) -> None:
    acknowledged = sum(o.outcome == "ok" and o.kind != "read" for o in operations)
    print(f"{len(gaps)} leaders lost, {len(operations)} operations, {acknowledged} movements")
    for anomaly in anomalies[:50]:
        print(f"ANOMALY  {anomaly}")
    print(f"seed {options.seed}: {len(anomalies)} anomalies")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--ways", default="", help=", ".join(WAYS))
    given = parser.parse_args()
    if missing := find_missing():
        sys.exit(f"missing: {missing}")
    print(f"seed {given.seed}", flush=True)
    stage.run("patroni", functools.partial(main, given))
