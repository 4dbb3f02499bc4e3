"""A cluster that Patroni keeps loses its leader in every way; nothing acknowledged is lost.

Usage: python -m rehearsals.patroni [--rounds 1] [--seed N] [--workers 2] [--clients 24]
           [--ways WAY,WAY] [--round-trip-ms 0] [--asynchronous]

Three servers of Postgres with Patroni, in strict synchronous mode, and one etcd; the real program
with all three in its URL and target_session_attrs=read-write; clients that record what they saw. A
round loses the leader in every way once. The time without commits is told beside the cluster's own:
until a new leader took a commit that was sent to it directly. Two cuts leave the old leader alive;
told is when it gave up its place by itself. With --round-trip-ms the servers are in zones so far
from each other; with --asynchronous no commit waits for a standby, and what that loses is found.
At the end the checker holds the history to the last leader. Needs `patroni` and `etcd` on the path,
or PATRONI to name the first.
"""

import argparse
import asyncio
import functools
import random
import secrets
import statistics
import sys
from pathlib import Path

from balance_service.database import migrate
from rehearsals import checker, history, stage
from rehearsals.cluster import Cluster, find_missing
from rehearsals.leaders import WAYS, Gap, World
from rehearsals.operation import Operation

# How long clients work between one loss and the next.
WORKING_SECONDS = 3.0
# Of one that names all that its client heard.
ANOMALY_CHARACTERS_MAX = 1000


async def main(options: argparse.Namespace, folder: Path) -> int:
    rng = random.Random(options.seed)
    zones = options.round_trip_ms / 1000
    cluster = Cluster(folder, zones, synchronous=not options.asynchronous)
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
            print(gap.told(), flush=True)
            gaps.append(gap)
            world.judge(gap)
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
    done = [o for o in operations if o.outcome == "ok" and not o.is_read]
    usual = statistics.median(o.returned - o.invoked for o in done) * 1000
    print(f"{len(gaps)} leaders lost, {len(operations)} operations, {len(done)} movements")
    print(f"{usual:.0f} ms a movement (median), {options.round_trip_ms:g} ms between servers")
    lost = sum(anomaly.startswith(checker.LOST) for anomaly in anomalies)
    print(f"{lost} acknowledged movements lost")
    for anomaly in anomalies[:50]:
        print(f"ANOMALY  {anomaly[:ANOMALY_CHARACTERS_MAX]}")
    print(f"seed {options.seed}: {len(anomalies)} anomalies")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--ways", default="", help=", ".join(WAYS))
    parser.add_argument("--round-trip-ms", type=float, default=0)
    parser.add_argument("--asynchronous", action="store_true")
    given = parser.parse_args()
    if missing := find_missing():
        sys.exit(f"missing: {missing}")
    print(f"seed {given.seed}", flush=True)
    stage.run("patroni", functools.partial(main, given))
