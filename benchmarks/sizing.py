"""What a transfer takes of each resource: processors, disk, log, flushes, memory, connections.

Usage: python -m benchmarks sizing [--seconds 30] [--workers 2] [--in-flight 1,16,256]
           [--write FILE]

Transfers between 10,000 accounts, one a call. With --write, every figure that `balance-service
sizing --figures FILE` reckons with is measured and written instead, which takes some twelve times
as long.
"""

import argparse
import datetime
import os
import time
from collections.abc import Sequence
from pathlib import Path

from balance_service.operations import figures
from benchmarks import generator, machine, measured, stack
from benchmarks.taken import Taken, look


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
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    told = machine.look().told()
    print(told, flush=True)
    with stack.running(options.workers) as running:
        job = ("spread", running.target, running.token, running.accounts, running.service)
        generator.run(generator.Job(*job, 3, 64, 0))
        if options.write:
            command = f"python -m benchmarks sizing --seconds {options.seconds:g} --write"
            today = datetime.datetime.now(datetime.UTC).date()
            source = figures.Source(command, told, today)
            found = measured.measure(running, options.seconds, source)
            figures.write(options.write, found)
            for name in figures.NAMES:
                print(f"{found.get(name).value:>14,.5g}  {name}")
            return
        for level in map(int, options.in_flight.split(",")):
            before = look(running)
            load, _ = generator.run(generator.Job(*job, options.seconds, level, 0))
            # Backends report what they did when they are idle for a second.
            time.sleep(2)
            after = look(running)
            memory = max(running.memory_mib())
            print(f"\n{level} in flight, load average {os.getloadavg()[0]:.1f}")
            print(report(before, after, load.seconds, memory), flush=True)
