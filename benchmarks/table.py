"""What the service does behind each door, beside what plain SQL does on the same Postgres, in one
run.

Usage: python -m benchmarks [WORKLOAD ...] [--doors grpcio,envoy] [--seconds 3] [--rounds 3]
           [--workers N] [--in-flight 1,64,256,512] [--accounts 20000] [--history 0] [--json FILE]

Starts its own embedded Postgres (fsync and synchronous_commit on) and, for each door, the real
program. Each round runs every workload behind one door and the other and, right after it, its
baseline; figures are the rounds' medians. A ratio compares movements with the baseline's
transactions at the in-flight count at which each is best, or reads with the same RPC behind gRPC's
own server. `plain` is one transaction a transfer with the same rows written, and neither RPC, token
nor idempotency; `function` is the same in one round trip.
"""

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import baselines, growth, machine, report, stack
from benchmarks.rows import Row, measure, median
from benchmarks.workloads import GRPC_AIO, WORKLOADS

HALF_PEAK = "spread"
HALF_PEAK_ROUNDS = 3

Plain = dict[tuple[str, int], list[baselines.Rate]]


def run(
    stacks: Sequence[stack.Stack], names: list[str], levels: list[int], options: Any
) -> dict[str, Any]:
    """All rounds."""
    rows: dict[tuple[str, str, int], list[Row]] = {}
    plain: Plain = {}
    ratios: dict[tuple[str, str], list[float]] = {}
    for number in range(options.rounds):
        for name in names:
            best: dict[str, float] = {}
            for in_flight in levels:
                for running in answering(stacks, name):
                    row = measure(running, name, in_flight, options.seconds)
                    rows.setdefault((name, running.door, in_flight), []).append(row)
                    best[running.door] = max(best.get(running.door, 0), row.rate)
                    place = f"{name:<16}{running.door:<8}{in_flight:>5}"
                    print(f"  round {number + 1}  {place}{row.rate:>10,.0f}/s", flush=True)
            held = against(stacks[0], name, levels, options, plain) or best.get("grpcio", 0)
            for door, rate in best.items():
                if held and is_compared(door, name):
                    ratios.setdefault((door, name), []).append(rate / held)
    medians = [median(found) for found in rows.values()]
    return {
        "rows": medians,
        "baselines": {key: found[len(found) // 2] for key, found in plain.items()},
        "ratios": {key: statistics.median(found) for key, found in ratios.items()},
        "alone": alone(medians, plain),
    }


def answering(stacks: Sequence[stack.Stack], name: str) -> list[stack.Stack]:
    """The services whose door answers a workload."""
    return [running for running in stacks if running.door in WORKLOADS[name].doors]


def is_compared(door: str, name: str) -> bool:
    """Whether a workload has a baseline, and is not that itself."""
    baseline = WORKLOADS[name].baseline
    return bool(baseline) and (baseline, door) != (GRPC_AIO, "grpcio")


def against(
    running: stack.Stack, name: str, levels: list[int], options: Any, plain: Plain
) -> float:
    """The best rate of the plain SQL that a workload is held against; 0 if that is none."""
    baseline = WORKLOADS[name].baseline
    if baseline in ("", GRPC_AIO):
        return 0
    best = 0.0
    for clients in sorted({min(level, baselines.CLIENTS_MAX) for level in levels}):
        rate = baselines.run(running.database, baseline, options.seconds, clients, running.folder)
        plain.setdefault((baseline, clients), []).append(rate)
        best = max(best, rate.tps)
    return best


def alone(rows: list[Row], plain: Plain) -> dict[str, float]:
    """By door, how long one transfer at a time takes, beside one of plain SQL at a time."""
    found = plain.get(("plain", 1))
    if not found:
        return {}
    plain_ms = statistics.median(rate.p50_ms for rate in found)
    ours = [row for row in rows if (row.workload, row.in_flight) == (HALF_PEAK, 1)]
    return {row.door: row.p50_ms / plain_ms for row in ours}


def half_peak(
    stacks: Sequence[stack.Stack], results: dict[str, Any], options: Any
) -> list[dict[str, Any]]:
    """Latency of transfers by door and of plain SQL, each at half of its own peak (open loop).

    Of each door, the pair whose ratio is the middle of HALF_PEAK_ROUNDS: a stall of the machine
    fills a queue that an open loop does not let run empty, so that one pair says little.
    """
    plain = max(rate.tps for (name, _), rate in results["baselines"].items() if name == "plain")
    seconds, found = options.seconds * 2, []
    for running in stacks:
        rates = [
            r.rate for r in results["rows"] if (r.workload, r.door) == (HALF_PEAK, running.door)
        ]
        pairs: list[dict[str, Any]] = []
        for _ in range(HALF_PEAK_ROUNDS):
            ours = measure(running, HALF_PEAK, 10_000, seconds, rate=max(rates) / 2)
            theirs = baselines.run(
                running.database, "plain", seconds, baselines.CLIENTS_MAX, running.folder, plain / 2
            )
            pairs.append({"ours": ours, "plain": theirs})
        pairs.sort(key=lambda pair: pair["ours"].p99_ms / pair["plain"].p99_ms)
        found.append(pairs[len(pairs) // 2])
    return found


def others(running: stack.Stack, options: Any) -> dict[str, float]:
    """The other baselines, for orientation."""
    names = ("function-plain", "function-plain-hot", "simple-update")
    return {
        name: baselines.run(
            running.database, name, options.seconds, baselines.CLIENTS_MAX, running.folder
        ).tps
        for name in names
    }


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
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []])
    parser.add_argument("--doors", default="grpcio,envoy")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--in-flight", default="1,64,256,512")
    parser.add_argument("--accounts", type=int, default=stack.USED * 2)
    parser.add_argument("--history", type=int, default=0, help="movements there before")
    parser.add_argument("--json", default="build/bench.json")
    options = parser.parse_args(arguments)
    found = machine.look()
    print(found.told(), flush=True)
    names = options.workloads or list(WORKLOADS)
    levels = [int(level) for level in options.in_flight.split(",")]
    with stack.behind(options.doors.split(","), options.workers, options.accounts) as stacks:
        database = stacks[0].database
        if options.history:
            growth.load(database, options.history)
        baselines.prepare(database)
        for name in names:  # Statements are prepared and caches filled before anything counts.
            for running in answering(stacks, name):
                measure(running, name, 64, 1)
        results = run(stacks, names, levels, options)
        results["others"] = others(stacks[0], options)
        results["half_peak"] = half_peak(stacks, results, options) if HALF_PEAK in names else []
        results["memory_mib"] = {running.door: running.memory_mib() for running in stacks}
        results["machine"] = {**asdict(found), "workers": options.workers}
        results["bytes_a_movement"] = growth.sizes(database)
    print("\n".join(report.write(results)))
    file = Path(options.json)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(plainly(results), indent=1), encoding="utf-8")
    print(f"\n{options.workers} workers on {os.cpu_count()} cores; figures in {file}")
