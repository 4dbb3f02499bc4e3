"""What the service does, beside what plain SQL does on the same Postgres, in one run.

Usage: python -m benchmarks [WORKLOAD ...] [--seconds 3] [--rounds 3] [--workers N]
           [--in-flight 1,64,512] [--accounts 20000] [--history 0] [--json FILE]

Starts its own embedded Postgres (fsync and synchronous_commit on) and the real program. Each round
runs every workload and, right after it, its baseline; figures are the rounds' medians. A ratio
compares movements with the baseline's transactions, or reads with the trivial RPC, at the in-flight
count at which each is best. `plain` is one transaction a transfer with the same rows written, and
neither RPC, token nor idempotency; `function` is the same in one round trip.
"""

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import baselines, generator, growth, machine, stack
from benchmarks.workloads import WORKLOADS, workload

HALF_PEAK = "spread"


@dataclass
class Row:
    """What one load was answered.

    Args:
        rate: Movements, or reads, a second.
        refused: Calls refused or lost.
        cpu: Processor milliseconds a movement, by process.
    """

    workload: str
    in_flight: int
    rate: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    refused: int
    cpu: dict[str, float]


def measure(
    running: stack.Stack, name: str, in_flight: int, seconds: float, rate: float = 0
) -> Row:
    """One load, from a process of its own."""
    before = running.cpu_seconds()
    measured, load_cpu = generator.run(
        generator.Job(
            name, running.target, running.token, running.accounts, running.service,
            seconds, in_flight, rate,
        )
    )  # fmt: skip
    spent = {k: value - before[k] for k, value in running.cpu_seconds().items()}
    took = sorted(measured.took) or [float("nan")]
    movements = max(len(measured.took) * workload(name).weight, 1)
    p50, p99, p999 = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99, 0.999))
    return Row(
        name,
        in_flight,
        rate=movements / measured.seconds,
        p50_ms=p50,
        p99_ms=p99,
        p999_ms=p999,
        refused=len(measured.refused),
        cpu={k: s / movements * 1000 for k, s in {**spent, "load": load_cpu}.items()},
    )


def median(rows: list[Row]) -> Row:
    """The middle of some rounds, figure by figure."""
    first = rows[0]
    middle = {
        field: statistics.median(getattr(row, field) for row in rows)
        for field in ("rate", "p50_ms", "p99_ms", "p999_ms")
    }
    cpu = {key: statistics.median(row.cpu[key] for row in rows) for key in first.cpu}
    refused = max(row.refused for row in rows)
    return Row(first.workload, first.in_flight, **middle, refused=refused, cpu=cpu)


def run(running: stack.Stack, names: list[str], levels: list[int], options: Any) -> dict[str, Any]:
    """All rounds."""
    rows: dict[tuple[str, int], list[Row]] = {}
    plain: dict[tuple[str, int], list[baselines.Rate]] = {}
    ratios: dict[str, list[float]] = {}
    for number in range(options.rounds):
        for name in names:
            best = 0.0
            for in_flight in levels:
                row = measure(running, name, in_flight, options.seconds)
                rows.setdefault((name, in_flight), []).append(row)
                best = max(best, row.rate)
                print(
                    f"  round {number + 1}  {name:<15}{in_flight:>5}{row.rate:>10,.0f}/s",
                    flush=True,
                )
            ratios.setdefault(name, []).append(
                best / against(running, name, levels, options, plain)
            )
    return {
        "rows": [median(found) for found in rows.values()],
        "baselines": {key: found[len(found) // 2] for key, found in plain.items()},
        "ratios": {name: statistics.median(found) for name, found in ratios.items()},
    }


def against(
    running: stack.Stack,
    name: str,
    levels: list[int],
    options: Any,
    plain: dict[tuple[str, int], list[baselines.Rate]],
) -> float:
    """The best rate of what a workload is held against, in the same round."""
    baseline = WORKLOADS[name].baseline
    if not baseline:
        return measure(running, "trivial", max(levels), options.seconds).rate
    best = 0.0
    for clients in {min(level, baselines.CLIENTS_MAX) for level in levels}:
        rate = baselines.run(running.database, baseline, options.seconds, clients, running.folder)
        plain.setdefault((baseline, clients), []).append(rate)
        best = max(best, rate.tps)
    return best


def half_peak(running: stack.Stack, results: dict[str, Any], options: Any) -> dict[str, Any]:
    """Latency of unary transfers and of plain SQL, each at half of its own peak (open loop)."""
    peak = max(row.rate for row in results["rows"] if row.workload == HALF_PEAK)
    plain = max(rate.tps for (name, _), rate in results["baselines"].items() if name == "plain")
    seconds = options.seconds * 2
    ours = measure(running, HALF_PEAK, 10_000, seconds, rate=peak / 2)
    theirs = baselines.run(
        running.database, "plain", seconds, baselines.CLIENTS_MAX, running.folder, plain / 2
    )
    return {"ours": ours, "plain": theirs, "p99_ratio": ours.p99_ms / theirs.p99_ms}


def others(running: stack.Stack, options: Any) -> dict[str, float]:
    """The other baselines, for orientation."""
    names = ("function-plain", "function-plain-hot", "simple-update")
    return {
        name: baselines.run(
            running.database, name, options.seconds, baselines.CLIENTS_MAX, running.folder
        ).tps
        for name in names
    }


def report(results: dict[str, Any]) -> None:
    """The table."""
    head = f"{'workload':<16}{'in flight':>9}{'a second':>11}{'p50 ms':>9}{'p99 ms':>9}{'p99.9':>9}"
    print(f"\n{head}{'refused':>9}   cpu ms each: service, postgres, load")
    for row in results["rows"]:
        cpu = "  ".join(f"{row.cpu[key]:.3f}" for key in ("service", "postgres", "load"))
        print(
            f"{row.workload:<16}{row.in_flight:>9}{row.rate:>11,.0f}{row.p50_ms:>9.2f}"
            f"{row.p99_ms:>9.2f}{row.p999_ms:>9.2f}{row.refused:>9}   {cpu}"
        )
    for (name, clients), rate in results["baselines"].items():
        print(
            f"{name:<16}{clients:>9}{rate.tps:>11,.0f}{rate.p50_ms:>9.2f}{rate.p99_ms:>9.2f}"
            f"{rate.p999_ms:>9.2f}"
        )
    for name, tps in results["others"].items():
        print(f"{name:<16}{baselines.CLIENTS_MAX:>9}{tps:>11,.0f}")
    print("\nbest rate / best rate of the baseline")
    for name, ratio in results["ratios"].items():
        bar = WORKLOADS[name].bar
        held = WORKLOADS[name].baseline or "trivial RPC"
        told = f"   bar {bar}: {'met' if ratio >= bar else 'NOT met'}" if bar else ""
        print(f"{name:<16}{ratio:>9.2f} x {held}{told}")
    if half := results.get("half_peak"):
        ours, plain = half["ours"], half["plain"]
        print(
            f"\nat half of the peak: p99 {ours.p99_ms:.2f} ms at {ours.rate:,.0f}/s, plain SQL "
            f"{plain.p99_ms:.2f} ms at {plain.tps:,.0f}/s: {half['p99_ratio']:.2f} x   bar 3: "
            f"{'met' if half['p99_ratio'] <= 3 else 'NOT met'}"
        )


def plainly(value: Any) -> Any:
    """Results as JSON's types."""
    if isinstance(value, dict):
        return {
            "/".join(map(str, k)) if isinstance(k, tuple) else k: plainly(v)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [plainly(item) for item in value]
    return asdict(value) if isinstance(value, Row | baselines.Rate) else value


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--in-flight", default="1,64,512")
    parser.add_argument("--accounts", type=int, default=stack.USED * 2)
    parser.add_argument("--history", type=int, default=0, help="movements there before")
    parser.add_argument("--json", default="build/bench.json")
    options = parser.parse_args(arguments)
    found = machine.look()
    print(found.told(), flush=True)
    names = options.workloads or list(WORKLOADS)
    levels = [int(level) for level in options.in_flight.split(",")]
    with stack.running(options.workers, options.accounts) as running:
        if options.history:
            growth.load(running.database, options.history)
        baselines.prepare(running.database)
        for name in names:  # Statements are prepared and caches filled before anything counts.
            measure(running, name, 64, 1)
        results = run(running, names, levels, options)
        results["others"] = others(running, options)
        if HALF_PEAK in names:
            results["half_peak"] = half_peak(running, results, options)
        results["memory_mib"] = running.memory_mib()
        results["machine"] = {**asdict(found), "workers": options.workers}
        results["bytes_a_movement"] = growth.sizes(running.database)
    report(results)
    print("\nbytes on disk a movement")
    for name, size in results["bytes_a_movement"].items():
        print(f"{name:<40}{size:>8.0f}")
    file = Path(options.json)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(plainly(results), indent=1), encoding="utf-8")
    print(f"\n{options.workers} workers on {os.cpu_count()} cores; figures in {file}")
