"""Failovers by the dozen: what was acknowledged is on the server that takes over.

Usage: python -m rehearsals.failover [--failovers 20] [--seed N] [--workers 2] [--clients 24]

Two Postgres servers, the second a synchronous standby; the real program with both in its URL and
target_session_attrs=read-write; clients that record what they saw. In turns, the primary is killed
and its host cut off, or frozen, and goes on beside its successor; the standby is promoted, and the
old primary comes back as the other's standby. The checker then holds the history to the last
primary.
"""

import argparse
import asyncio
import contextlib
import functools
import random
import secrets
import signal
import statistics
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from balance_service.database import migrate, pool
from balance_service.domain import errors, ids
from balance_service.domain.commands import Origin, Settle
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Request
from rehearsals import checker, history, stage
from rehearsals.operation import Operation
from rehearsals.servers import Postgres, Proxy
from tests.commits import commit

# Enough of the log for a standby that was away.
OPTIONS = ("wal_keep_size=512MB",)
SECONDS_MAX = 60
# How long a primary that was frozen serves beside the one that took its place.
BESIDE_SECONDS = 2.0


@dataclass(frozen=True)
class Gap:
    """A time in which nothing could be done.

    Args:
        way: How the primary was lost.
        seconds: From the loss to the first acknowledgement by the new primary.
        beyond_seconds: Of these, those after its promotion.
    """

    way: str
    seconds: float
    beyond_seconds: float


async def main(options: argparse.Namespace, folder: Path) -> int:
    rng = random.Random(options.seed)
    first = Postgres(folder / "first", OPTIONS)
    made = [first]
    try:
        first.start()
        second = Postgres(folder / "second", OPTIONS, source=first)
        made.append(second)
        second.start()
        proxies = {postgres: Proxy(postgres.socket) for postgres in made}
        for proxy in proxies.values():
            await proxy.start()
        await _replicate(first)
        url = stage.database_url(*[proxy.port for proxy in proxies.values()])
        settings = stage.choose_settings(folder, url, options.workers)
        await asyncio.to_thread(migrate.up, url, stage.service_url(url))
        secret = await stage.create_caller(settings)
        opened = await stage.open_accounts(settings, rules=stage.varied, dollars=True)
        dollars = stage.dollar_accounts(first.url)
        with stage.program(settings, folder / "service.log"):
            target = f"127.0.0.1:{settings.grpc_port}"
            await stage.wait_until_serving(target)
            token = await asyncio.to_thread(stage.access_token, target, secret)
            clients = history.make_clients(
                target,
                token,
                opened,
                options.clients,
                options.seed,
                dollars=dollars,
                follow_ups=True,
            )
            stop = asyncio.Event()
            tasks = [asyncio.create_task(client.run(stop)) for client in clients]
            gaps = []
            for number in range(options.failovers):
                await asyncio.sleep(rng.uniform(1, 3))
                lose = _freeze if number % 2 else _kill
                gaps.append(await lose(first, second, proxies[first], clients))
                await asyncio.to_thread(first.rejoin, second)
                proxies[first].refusing = False
                await _replicate(second)
                first, second = second, first
                if broken := [task for task in tasks if task.done()]:
                    broken[0].result()
            stop.set()
            await asyncio.gather(*tasks)
        operations = [operation for client in clients for operation in client.operations]
        anomalies = list(checker.find_anomalies(operations, checker.read_journal(first.url)))
        anomalies += await stage.verify(first.url)
        anomalies += await _alone(first, second, opened[0])
    finally:
        for postgres in made:
            postgres.close()
    _report(options, operations, gaps, anomalies)
    return 1 if anomalies else 0


async def _kill(
    primary: Postgres, standby: Postgres, proxy: Proxy, clients: list[history.Client]
) -> Gap:
    """Loses the primary with its host, and promotes the standby."""
    lost = asyncio.get_running_loop().time()
    # Fenced first, so that whatever happens to it, the service cannot reach it.
    proxy.refusing = True
    proxy.cut()
    primary.vanish()
    return await _promote(standby, "killed", lost, clients)


async def _freeze(
    primary: Postgres, standby: Postgres, proxy: Proxy, clients: list[history.Client]
) -> Gap:
    """Freezes the primary, promotes the standby, and has the primary go on for a while."""
    lost = asyncio.get_running_loop().time()
    primary.send(signal.SIGSTOP)
    gap = await _promote(standby, "frozen", lost, clients)
    primary.send(signal.SIGCONT)
    await asyncio.sleep(BESIDE_SECONDS)
    proxy.refusing = True
    proxy.cut()
    primary.vanish()
    return gap


async def _promote(standby: Postgres, way: str, lost: float, clients: list[history.Client]) -> Gap:
    """Promotes the standby, and waits for the first movement that it acknowledges."""
    await asyncio.to_thread(standby.promote)
    promoted = asyncio.get_running_loop().time()
    async with asyncio.timeout(SECONDS_MAX):
        while not (done := _first_done(clients, promoted)):
            await asyncio.sleep(0.02)
    return Gap(way, done - lost, done - promoted)


def _first_done(clients: list[history.Client], since: float) -> float | None:
    """When the first movement since then was acknowledged."""
    ended = [
        operation.returned
        for client in clients
        for operation in client.operations[-2:]
        if operation.returned > since and operation.outcome == "ok" and not operation.is_read
    ]
    return min(ended, default=None)


async def _replicate(primary: Postgres) -> None:
    """Has commits wait for the standby from now on."""
    states = "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'"
    async with asyncio.timeout(SECONDS_MAX):
        while not await asyncio.to_thread(primary.execute, states):
            await asyncio.sleep(0.05)
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        while await asyncio.to_thread(primary.execute, states) != [("sync",)]:
            await asyncio.sleep(0.05)


async def _alone(primary: Postgres, standby: Postgres, account: str) -> list[str]:
    """A primary that lost its standby, or came back without one, acknowledges nothing.

    Also not when the wait for the standby is ended, as by a timeout, with a COMMIT that succeeded.
    """
    standby.stop()
    stop = asyncio.Event()

    async def give_up_waiting() -> None:
        while not stop.is_set():
            await asyncio.to_thread(
                primary.execute,
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
            )
            await asyncio.sleep(0.05)

    cancelling = asyncio.create_task(give_up_waiting())
    origin = Origin(principal=f"service:{stage.CALLER}", request_id=ids.new_id())
    command = Settle(origin, Kind.DEPOSIT, UUID(account), Money(1, "RUB"))
    try:
        async with pool.opened(pool.create(primary.url, 2)) as connections:
            with contextlib.suppress(errors.Unavailable):
                outcomes = await commit(connections, Request((command,)))
                return [f"acknowledged without a standby: {outcomes}"]
    finally:
        stop.set()
        await cancelling
        # Its own shutdown must not wait for the standby.
        primary.execute("ALTER SYSTEM RESET synchronous_standby_names")
        primary.execute("SELECT pg_reload_conf()")
    return []


def _report(
    options: argparse.Namespace,
    operations: list[Operation],
    gaps: list[Gap],
    anomalies: list[str],
) -> None:
    acknowledged = sum(o.outcome == "ok" and not o.is_read for o in operations)
    print(f"{len(gaps)} failovers, {len(operations)} operations, {acknowledged} movements")
    for way in dict.fromkeys(gap.way for gap in gaps):
        seconds = [gap.seconds for gap in gaps if gap.way == way]
        beyond = [gap.beyond_seconds for gap in gaps if gap.way == way]
        print(
            f"{way}: {min(seconds):.1f} to {max(seconds):.1f} s without commits, of these"
            f" {min(beyond):.2f} to {max(beyond):.2f} s beyond the promotion,"
            f" median {statistics.median(beyond):.2f} s"
        )
    for anomaly in anomalies[:50]:
        print(f"ANOMALY  {anomaly}")
    print(f"seed {options.seed}: {len(anomalies)} anomalies")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--failovers", type=int, default=20)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=24)
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    stage.run("failover", functools.partial(main, chosen))
