"""The kinds of fault, and the seeded order in which they are injected."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from balance_service.database.roles import STATEMENT_TIMEOUT_MS
from rehearsals import stage
from rehearsals.servers import CONNECTIONS_MAX, Postgres, Proxy


@dataclass
class World:
    """What faults are injected into.

    Args:
        postgres: The server.
        database: Between the service and Postgres.
        clients: Between clients and the service: for gRPC, and for HTTP.
        process: The service's supervisor.
        names: The file that resolves the database's host name for the service; None where names
            cannot be taken away.
        clock: The file that says how far one worker's clock is off; None where it cannot be set.
        rng: Decides times and victims, from the run's seed.
    """

    postgres: Postgres
    database: Proxy
    clients: tuple[Proxy, ...]
    process: subprocess.Popen[bytes]
    names: Path | None
    clock: Path | None
    rng: random.Random


async def worker_killed(world: World) -> None:
    """Kill -9 of one worker."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(world.rng.choice(stage.workers(world.process) or [2**22]), signal.SIGKILL)


async def workers_killed(world: World) -> None:
    """Kill -9 of all workers."""
    for pid in stage.workers(world.process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def worker_stopped(world: World) -> None:
    """One worker is stopped for seconds and then continued."""
    with contextlib.suppress(ProcessLookupError, IndexError):
        pid = world.rng.choice(stage.workers(world.process))
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(world.rng.uniform(1, 4))
        os.kill(pid, signal.SIGCONT)


async def postgres_crashed(world: World) -> None:
    """An immediate shutdown, and recovery from the log."""
    await asyncio.to_thread(world.postgres.stop, "immediate")
    await asyncio.sleep(world.rng.uniform(0, 1))
    await asyncio.to_thread(world.postgres.restart_until_up)


async def postgres_killed(world: World) -> None:
    """Kill -9 of the postmaster."""
    world.postgres.kill()
    await asyncio.sleep(world.rng.uniform(0.2, 1))
    await asyncio.to_thread(world.postgres.restart_until_up)


async def database_cut(world: World) -> None:
    """Every connection to Postgres reset, several times."""
    for _ in range(world.rng.randint(1, 5)):
        world.database.cut()
        await asyncio.sleep(world.rng.uniform(0, 0.3))


async def database_stalled(world: World) -> None:
    """Connections to Postgres stay open, and nothing passes for seconds."""
    await world.database.stall(world.rng.uniform(1, 5))


async def database_answers_lost(world: World) -> None:
    """Postgres executes what it is sent, and its answers are lost."""
    for _ in range(world.rng.randint(2, 5)):
        await world.database.lose_answers(world.rng.uniform(0, 0.2))
        await asyncio.sleep(world.rng.uniform(0, 0.3))


async def client_answers_lost(world: World) -> None:
    """The service executes what it is sent, and its answers to clients are lost."""
    for _ in range(world.rng.randint(1, 4)):
        seconds = world.rng.uniform(0, 0.5)
        await asyncio.gather(*[proxy.lose_answers(seconds) for proxy in world.clients])
        await asyncio.sleep(world.rng.uniform(0, 0.5))


async def database_gone(world: World) -> None:
    """Connections to Postgres are reset, and new ones refused for seconds."""
    world.database.refusing = True
    world.database.cut()
    await asyncio.sleep(world.rng.uniform(1, 4))
    world.database.refusing = False


async def clients_cut(world: World) -> None:
    """Every client's connection reset, several times."""
    for _ in range(world.rng.randint(1, 5)):
        for proxy in world.clients:
            proxy.cut()
        await asyncio.sleep(world.rng.uniform(0, 0.5))


async def clients_stalled(world: World) -> None:
    """Connections of clients stay open, and nothing passes for seconds."""
    seconds = world.rng.uniform(1, 5)
    await asyncio.gather(*[proxy.stall(seconds) for proxy in world.clients])


async def _in_postgres(world: World, statement: str) -> None:
    with contextlib.suppress(psycopg.Error):
        await asyncio.to_thread(world.postgres.execute, statement)


async def statements_cancelled(world: World) -> None:
    """Running statements are cancelled many times, as by a statement timeout."""
    for _ in range(30):
        await _in_postgres(
            world,
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'balance-service %'",
        )
        await asyncio.sleep(0.05)


async def backends_terminated(world: World) -> None:
    """Most connections are ended by an administrator's command."""
    for _ in range(3):
        await _in_postgres(
            world,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'balance-service %' AND random() < 0.7",
        )
        await asyncio.sleep(world.rng.uniform(0, 0.5))


async def accounts_locked(world: World) -> None:
    """Another session locks accounts for longer than the service waits for a lock."""

    def run() -> None:
        with contextlib.suppress(psycopg.Error), psycopg.connect(world.postgres.url) as conn:
            conn.execute("SELECT 1 FROM accounts ORDER BY account_id LIMIT 3 FOR UPDATE")
            conn.execute("SELECT pg_sleep(7)")

    await asyncio.to_thread(run)


async def connections_taken(world: World) -> None:
    """Others take every connection that Postgres allows, while the service's are cut."""

    def take() -> contextlib.ExitStack:
        connections = contextlib.ExitStack()
        for _ in range(CONNECTIONS_MAX):
            with contextlib.suppress(psycopg.Error):
                connections.enter_context(psycopg.connect(world.postgres.url))
        return connections

    world.database.cut()
    with await asyncio.to_thread(take):
        world.database.cut()
        await asyncio.sleep(world.rng.uniform(1, 4))


async def statements_timed_out(world: World) -> None:
    """Postgres's processes are stopped for longer than a statement may take, then continued."""
    stopped = await asyncio.to_thread(world.postgres.backends)
    try:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(STATEMENT_TIMEOUT_MS / 1000 + 1)
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def disk_full(world: World) -> None:
    """Postgres cannot write its log and ends; it starts again once there is room."""
    wal = world.postgres.wal
    assert wal, "available only then"
    ballast = wal / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as full:
        while True:
            full.write(bytes(1 << 16))
    # Postgres first uses up the segments that it has already allocated.
    for _ in range(20):
        await _in_postgres(world, "SELECT pg_switch_wal()")
    await asyncio.sleep(world.rng.uniform(1, 4))
    ballast.unlink()
    await asyncio.to_thread(world.postgres.restart_until_up)


async def clock_set_back(world: World) -> None:
    """One worker's clock is more than an hour behind for seconds, and then right again."""
    assert world.clock, "available only then"
    world.clock.write_text(f"-{world.rng.randint(60, 90)}m")
    await asyncio.sleep(world.rng.uniform(2, 5))
    world.clock.write_text("+0")


async def name_gone(world: World) -> None:
    """The name of Postgres's host cannot be resolved while connections to it are cut."""
    assert world.names, "available only then"
    resolved = world.names.read_text()
    world.names.write_text("127.0.0.1 elsewhere.torture\n")
    world.database.cut()
    await asyncio.sleep(world.rng.uniform(1, 5))
    world.names.write_text(resolved)


Fault = Callable[[World], Awaitable[None]]

KINDS: dict[str, Fault] = {
    fault.__name__.replace("_", " "): fault
    for fault in (
        worker_killed,
        workers_killed,
        worker_stopped,
        postgres_crashed,
        postgres_killed,
        database_cut,
        database_stalled,
        database_answers_lost,
        database_gone,
        clients_cut,
        client_answers_lost,
        clients_stalled,
        statements_cancelled,
        backends_terminated,
        accounts_locked,
        connections_taken,
        statements_timed_out,
        disk_full,
        clock_set_back,
        name_gone,
    )
}


def find_missing(world: World) -> dict[str, str]:
    """Finds the kinds that this machine cannot inject, and what each needs."""
    needs = {
        "disk full": (world.postgres.wal, "a small file system, which root may mount"),
        "clock set back": (world.clock, "libfaketime"),
        "name gone": (world.names, "libnss-wrapper"),
    }
    return {kind: need for kind, (means, need) in needs.items() if means is None}


def draw_schedule(world: World) -> list[str]:
    """Draws an order in which every kind comes once."""
    names = [kind for kind in KINDS if kind not in find_missing(world)]
    world.rng.shuffle(names)
    return names
