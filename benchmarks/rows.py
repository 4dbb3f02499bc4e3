"""One load on one service, and what it was answered: a row of the table."""

import statistics
from dataclasses import dataclass

from benchmarks import generator, stack
from benchmarks.workloads import WORKLOADS

# A load that takes more of a core than this may be what is slow, and not the service.
LOAD_BUSY_MAX = 0.9


@dataclass
class Row:
    """What one load was answered.

    Args:
        door: What answered the service's ports.
        rate: Movements, or reads, a second.
        refused: Calls refused or lost.
        load_busy: The share of a core that the load took.
        cpu: Processor milliseconds a movement, by process.
    """

    door: str
    workload: str
    in_flight: int
    rate: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    refused: int
    load_busy: float
    cpu: dict[str, float]


def measure(
    running: stack.Stack, name: str, in_flight: int, seconds: float, rate: float = 0
) -> Row:
    """One load, from a process of its own.

    Args:
        running: The service.
        name: The workload.
        in_flight: Calls kept under way; with a rate, at most.
        seconds: How long.
        rate: Calls a second (open loop); 0 for a closed loop.
    """
    workload = WORKLOADS[name]
    target = running.http_target if workload.protocol == "http" else running.target
    before = running.cpu_seconds()
    measured, load_cpu = generator.run(
        generator.Job(
            name, target, running.token, running.accounts, running.service,
            seconds, in_flight, rate,
        )
    )  # fmt: skip
    spent = {k: value - before[k] for k, value in running.cpu_seconds().items()}
    took = sorted(measured.took) or [float("nan")]
    movements = max(len(measured.took) * workload.weight, 1)
    p50, p99, p999 = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99, 0.999))
    return Row(
        running.door,
        name,
        in_flight,
        rate=movements / measured.seconds,
        p50_ms=p50,
        p99_ms=p99,
        p999_ms=p999,
        refused=len(measured.refused),
        load_busy=load_cpu / measured.seconds,
        cpu={k: s / movements * 1000 for k, s in {**spent, "load": load_cpu}.items()},
    )


def median(rows: list[Row]) -> Row:
    """The middle of some rounds, figure by figure."""
    first = rows[0]
    middle = {
        field: statistics.median(getattr(row, field) for row in rows)
        for field in ("rate", "p50_ms", "p99_ms", "p999_ms", "load_busy")
    }
    cpu = {key: statistics.median(row.cpu[key] for row in rows) for key in first.cpu}
    refused = max(row.refused for row in rows)
    return Row(first.door, first.workload, first.in_flight, **middle, refused=refused, cpu=cpu)
