"""Transfers on a Citus cluster beside one server, by turns, on the same cores and settings.

Usage: python -m benchmarks cluster [--seconds 10] [--rounds 3] [--workers 1] [--in-flight 1,16,64]

Transfers between 10,000 accounts, one a call, as of `sizing`. Both sides have the same programs
(TEST_POSTGRES_BIN), with fsync on. Processor time is told by server: what a coordinator takes for a
transfer bounds the cluster, whatever there are of workers.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from balance_service.database import migrate
from benchmarks import machine, rows, stack
from rehearsals import shards, stage
from rehearsals.servers import Postgres

OPTIONS = ("shared_buffers=256MB", "max_wal_size=4GB", "checkpoint_timeout=15min")
WORKLOAD = "spread"
PLAIN = "one server"
CLUSTER = "cluster"
COORDINATOR = "coordinator"


@dataclass
class Side(stack.Stack):
    """A service on one server or on several.

    Args:
        servers: By name.
    """

    servers: Mapping[str, Postgres] = field(default_factory=dict)

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time so far: of the service and of each server."""
        taken = {name: stack.family_seconds(server.pid()) for name, server in self.servers.items()}
        return {"service": stack.family_seconds(self.program.pid), **taken}


@contextlib.contextmanager
def running(workers: int) -> Iterator[list[Side]]:
    """Both sides, which wait for load; they are stopped at the end."""
    with contextlib.ExitStack() as started:
        name = started.enter_context(tempfile.TemporaryDirectory(prefix="balance-bench-"))
        folder = Path(name)
        folder.chmod(0o755)
        cluster = shards.Cluster(folder, OPTIONS)
        started.callback(cluster.stop)
        cluster.start()
        plain = Postgres(folder / "plain", (*OPTIONS, "max_connections=200"))
        started.callback(plain.close)
        plain.start()
        migrate.up(plain.url, stage.service_url(plain.url))
        several = {COORDINATOR: cluster.coordinator} | {
            f"worker {number}": worker for number, worker in enumerate(cluster.workers, 1)
        }
        sides = {PLAIN: {PLAIN: plain}, CLUSTER: several}
        yield [
            started.enter_context(_serving(name, servers, folder / name, workers))
            for name, servers in sides.items()
        ]


@contextlib.contextmanager
def _serving(
    name: str, servers: Mapping[str, Postgres], folder: Path, workers: int
) -> Iterator[Side]:
    url = next(iter(servers.values())).url
    used = stack.open_accounts(url, stack.USED * 2)
    folder.mkdir()
    settings = stage.choose_settings(folder, url, workers)
    settings = settings.model_copy(update={"log_level": "warning"})
    secret = asyncio.run(stage.create_caller(settings))
    with stage.program(settings) as program:
        target = f"127.0.0.1:{settings.grpc_port}"
        asyncio.run(stage.wait_until_serving(target))
        token = stage.access_token(target, secret)
        http_target = f"127.0.0.1:{settings.http_port}"
        yield Side(
            name, target, http_target, url, token, used, "", program, folder, servers=servers
        )


def report(measured: Sequence[rows.Row]) -> Iterator[str]:
    """The rows as a table of Markdown, and what follows for a cluster."""
    yield (
        "| | in flight | transfers a second | p50 | service | one server, or coordinator | workers "
        "| all of Postgres | beside one server |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    plain = {row.in_flight: row.cpu[PLAIN] for row in measured if row.door == PLAIN}
    for row in measured:
        first = row.cpu[PLAIN if row.door == PLAIN else COORDINATOR]
        workers = sum(each for name, each in row.cpu.items() if name.startswith("worker"))
        yield (
            f"| {row.door} | {row.in_flight} | {row.rate:,.0f} | {row.p50_ms:.1f} ms "
            f"| {row.cpu['service']:.2f} ms | {first:.2f} ms | {workers:.2f} ms "
            f"| {first + workers:.2f} ms | {(first + workers) / plain[row.in_flight]:.1f} |"
        )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1, help="of each service")
    parser.add_argument("--in-flight", default="1,16,64")
    options = parser.parse_args(arguments)
    if missing := shards.find_missing():
        sys.exit(f"missing: {missing}")
    print(machine.look().told(), flush=True)
    levels = [int(level) for level in options.in_flight.split(",")]
    with running(options.workers) as sides:
        for side in sides:  # Statements are prepared and caches filled before anything counts.
            rows.measure(side, WORKLOAD, 64, 3)
        found: dict[tuple[int, str], list[rows.Row]] = {}
        for _ in range(options.rounds):
            for level in levels:
                for side in sides:
                    row = rows.measure(side, WORKLOAD, level, options.seconds)
                    found.setdefault((level, side.door), []).append(row)
                    print(f"{side.door:<12}{level:>4}{row.rate:>8,.0f}  {row.cpu}", flush=True)
    print(f"load average at the end {os.getloadavg()[0]:.1f}\n")
    print("\n".join(report([rows.median(of_one) for of_one in found.values()])))
