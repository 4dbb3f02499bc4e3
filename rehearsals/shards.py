"""A Citus cluster on this machine, and the ways to lose its servers."""

import asyncio
import random
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from balance_service.database import cluster, migrate
from rehearsals import stage
from rehearsals.servers import BIN, Postgres

# Few, because each costs every statement its time; more than one on each worker.
SHARDS = 4
SERVERS = ("coordinator", "worker1", "worker2")
# What a server that was lost left prepared is found soon.
RECOVERY_SECONDS = 5
OPTIONS = (
    "shared_preload_libraries=citus",
    "max_connections=200",
    "max_prepared_transactions=200",
    "shared_buffers=64MB",
    f"citus.recover_2pc_interval={RECOVERY_SECONDS}s",
    "citus.enable_statistics_collection=off",
)
# So that losses come between a part that is prepared and the commit of the whole.
DELAY_MS = 50
# How long a prepared part is waited for.
PATIENCE_SECONDS = 10
_PREPARED = "SELECT gid FROM pg_prepared_xacts"
# Of Citus on other servers: the coordinator is told only that its connections are gone.
_END_CONNECTIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name LIKE 'citus_internal%' AND random() < 0.7"
)


def find_missing() -> str:
    """What is missing for a cluster; empty if nothing is."""
    program = BIN / "pg_config"
    if program.exists():
        told = subprocess.run([program, "--sharedir"], check=False, capture_output=True, text=True)
        if (Path(told.stdout.strip()) / "extension/citus.control").exists():
            return ""
    return "a Postgres with Citus, whose programs TEST_POSTGRES_BIN names"


class Cluster:
    """A coordinator and workers, with a distributed ledger.

    Args:
        folder: Where their files are; readable by all.
        options: Settings of the servers besides those that all have.
    """

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        self.coordinator, *self.workers = [
            # libpq takes the folder of a server's socket for a host, and so does Citus.
            Postgres(where, (*OPTIONS, f"citus.local_hostname='{where}'", *options))
            for where in (folder / name for name in SERVERS)
        ]

    @property
    def servers(self) -> list[Postgres]:
        return [self.coordinator, *self.workers]

    def start(self) -> None:
        """Starts the servers, and distributes a ledger that has nothing yet."""
        for server in self.servers:
            server.start()
            server.execute("CREATE EXTENSION citus")
        self.coordinator.execute(f"SELECT citus_set_coordinator_host({_place(self.coordinator)})")
        for worker in self.workers:
            self.coordinator.execute(f"SELECT citus_add_node({_place(worker)})")
        migrate.up(self.coordinator.url, stage.service_url(self.coordinator.url))
        with migrate.connected(self.coordinator.url) as conn:
            cluster.distribute(conn, SHARDS)

    def delay_commits(self) -> None:
        """Has the coordinator commit only some time after the workers have prepared their parts."""
        for setting in (f"commit_delay = {DELAY_MS * 1000}", "commit_siblings = 0"):
            self.coordinator.execute(f"ALTER SYSTEM SET {setting}")
        self.coordinator.execute("SELECT pg_reload_conf()")

    def stop(self) -> None:
        """Stops all that was started."""
        for server in self.servers:
            server.close()

    def prepared(self) -> set[str]:
        """What is prepared on any server, and neither committed nor rolled back."""
        return {gid for server in self.servers for (gid,) in server.execute(_PREPARED)}


def _place(server: Postgres) -> str:
    """Where Citus finds a server."""
    return f"'{server.socket.parent}', 5432"


@dataclass
class World:
    """What is lost.

    Args:
        cluster: The servers.
        rng: Decides which, and for how long.
    """

    cluster: Cluster
    rng: random.Random

    def worker(self) -> Postgres:
        """One of the workers."""
        return self.rng.choice(self.cluster.workers)

    def coordinator(self) -> Postgres:
        return self.cluster.coordinator

    async def pause(self) -> None:
        """For as long as what is lost is away."""
        await asyncio.sleep(self.rng.uniform(0.2, 2))


async def killed(world: World, server: Postgres) -> None:
    """Kill -9 of the postmaster; the others end by themselves."""
    server.kill()
    await world.pause()
    await asyncio.to_thread(server.restart_until_up)


async def lost(world: World, *servers: Postgres) -> None:
    """Kill -9 of all processes at one moment, as when a host is gone."""
    for server in servers:
        # One that is stopped starts no process that would be overlooked.
        server.send(signal.SIGSTOP)
    for server in servers:
        server.vanish()
    await world.pause()
    for server in servers:
        await asyncio.to_thread(server.start)


async def lost_within_commit(world: World, server: Postgres, worker: Postgres) -> None:
    """The same once a worker has a part prepared, if one is met."""
    end = time.monotonic() + PATIENCE_SECONDS
    with psycopg.connect(worker.url, autocommit=True) as conn:
        while time.monotonic() < end and not conn.execute(_PREPARED).fetchone():
            # The loop's other tasks are those that commit.
            await asyncio.sleep(0)
    await lost(world, server)


async def frozen(world: World, server: Postgres) -> None:
    """All processes stand still, and go on."""
    server.send(signal.SIGSTOP)
    await world.pause()
    server.send(signal.SIGCONT)


async def connections_ended(world: World, server: Postgres) -> None:
    """Most of the coordinator's connections are ended, several times."""
    for _ in range(world.rng.randint(2, 5)):
        await asyncio.to_thread(server.execute, _END_CONNECTIONS)
        await asyncio.sleep(world.rng.uniform(0, 0.3))


Way = Callable[[World], Awaitable[None]]

WAYS: dict[str, Way] = {
    "worker killed": lambda world: killed(world, world.worker()),
    "worker lost": lambda world: lost(world, world.worker()),
    "worker lost within commit": lambda world: lost_within_commit(world, *[world.worker()] * 2),
    "worker frozen": lambda world: frozen(world, world.worker()),
    "worker's connections ended": lambda world: connections_ended(world, world.worker()),
    "coordinator killed": lambda world: killed(world, world.coordinator()),
    "coordinator lost": lambda world: lost(world, world.coordinator()),
    "coordinator lost within commit": lambda world: lost_within_commit(
        world, world.coordinator(), world.worker()
    ),
    "all lost": lambda world: lost(world, *world.cluster.servers),
}
