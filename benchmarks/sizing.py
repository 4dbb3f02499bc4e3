"""What a transfer takes of each resource: processors, disk, log, flushes, memory, connections.

Usage: python -m benchmarks sizing [--seconds 30] [--workers 2] [--in-flight 1,16,256]

Transfers between 10,000 accounts, one a call. docs/operating/sizing.md reckons with its figures.
"""

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from benchmarks import generator, machine, stack

_TAKEN = """
SELECT
    (SELECT count(*) FROM movements),
    pg_current_wal_lsn() - '0/0'::pg_lsn,
    (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'),
    (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'balance-service'),
    pg_table_size('movements') + pg_table_size('entries'),
    pg_indexes_size('movements') + pg_indexes_size('entries'),
    pg_database_size(current_database())
"""


@dataclass(frozen=True)
class Taken:
    """What had been taken at some time.

    Args:
        movements: Written so far.
        log_bytes: Of Postgres's log.
        flushes: Of the log, to the disk.
        connections: Of the service.
        heap_bytes: In movements and entries.
        index_bytes: In their indexes.
        database_bytes: In the whole database.
        service_seconds: Of processors, by the service.
        postgres_seconds: By Postgres.
    """

    movements: float
    log_bytes: float
    flushes: float
    connections: float
    heap_bytes: float
    index_bytes: float
    database_bytes: float
    service_seconds: float
    postgres_seconds: float


def look(running: stack.Stack) -> Taken:
    with psycopg.connect(running.database, autocommit=True) as conn:
        row = conn.execute(_TAKEN).fetchone()
    assert row, "a query of one row"
    seconds = running.cpu_seconds()
    counts: list[float] = [*map(int, row), seconds["service"], seconds["postgres"]]
    return Taken(*counts)


def report(before: Taken, after: Taken, seconds: float, memory: float) -> str:
    """What each movement in between took."""
    made = after.movements - before.movements

    def each(name: str) -> float:
        return float(getattr(after, name) - getattr(before, name)) / made

    service, postgres = each("service_seconds") * 1000, each("postgres_seconds") * 1000
    flushes = after.flushes - before.flushes
    return "\n".join(
        [
            f"{made / seconds:>10,.0f} transfers a second, {made:,.0f} in all",
            f"{service:>10.3f} ms of the service's processors: {1000 / service:,.0f} a core",
            f"{postgres:>10.3f} ms of Postgres's: {1000 / postgres:,.0f} a core",
            f"{each('log_bytes'):>10,.0f} bytes of log",
            f"{each('heap_bytes'):>10,.0f} bytes in movements and entries",
            f"{each('index_bytes'):>10,.0f} bytes in their indexes",
            f"{each('database_bytes'):>10,.0f} bytes of the database, with what is reused later",
            f"{flushes / seconds:>10,.0f} flushes a second, {made / flushes:.1f} transfers each",
            f"{after.connections:>10.0f} connections",
            f"{memory:>10.0f} MiB a worker",
        ]
    )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--in-flight", default="1,16,256")
    options = parser.parse_args(arguments)
    print(machine.look().told(), flush=True)
    with stack.running(options.workers) as running:
        job = ("spread", running.target, running.token, running.accounts, running.service)
        generator.run(generator.Job(*job, 3, 64, 0))
        for level in map(int, options.in_flight.split(",")):
            before = look(running)
            measured, _ = generator.run(generator.Job(*job, options.seconds, level, 0))
            # Backends report what they did when they are idle for a second.
            time.sleep(2)
            after = look(running)
            memory = max(running.memory_mib())
            print(f"\n{level} in flight, load average {os.getloadavg()[0]:.1f}")
            print(report(before, after, measured.seconds, memory), flush=True)
