"""What the table says of its results: rates, processor time, and each bar met or not."""

from collections.abc import Iterator
from typing import Any

from benchmarks import baselines
from benchmarks.rows import LOAD_BUSY_MAX, Row
from benchmarks.workloads import WORKLOADS

# Of one transfer alone, its time beside that of plain SQL; of half the peak, the same of the p99.
ALONE_BAR = 2.0
HALF_PEAK_BAR = 2.0


def write(results: dict[str, Any]) -> Iterator[str]:
    """The lines of everything."""
    yield from _write_rows(results["rows"])
    for (name, clients), rate in results["baselines"].items():
        times = "".join(f"{ms:>9.2f}" for ms in (rate.p50_ms, rate.p99_ms, rate.p999_ms))
        yield f"{name:<16}{'':<8}{clients:>9}{rate.tps:>11,.0f}{times}"
    for name, tps in results["others"].items():
        yield f"{name:<16}{'':<8}{baselines.CLIENTS_MAX:>9}{tps:>11,.0f}"
    yield from _write_ratios(results)
    yield "\nbytes on disk a movement"
    for name, size in results["bytes_a_movement"].items():
        yield f"{name:<40}{size:>8.0f}"


def _write_rows(rows: list[Row]) -> Iterator[str]:
    head = f"{'workload':<16}{'door':<8}{'in flight':>9}{'a second':>11}{'p50 ms':>9}{'p99 ms':>9}"
    yield f"\n{head}{'p99.9':>9}{'refused':>9}{'load':>6}   cpu ms each: service, postgres, load"
    for row in rows:
        cpu = "  ".join(f"{row.cpu[key]:.3f}" for key in ("service", "postgres", "load"))
        limit = "   the load is the limit" if row.load_busy > LOAD_BUSY_MAX else ""
        yield (
            f"{row.workload:<16}{row.door:<8}{row.in_flight:>9}{row.rate:>11,.0f}{row.p50_ms:>9.2f}"
            f"{row.p99_ms:>9.2f}{row.p999_ms:>9.2f}{row.refused:>9}{row.load_busy:>6.0%}   {cpu}"
            f"{limit}"
        )


def _write_ratios(results: dict[str, Any]) -> Iterator[str]:
    yield "\nbest rate / best rate of the baseline, medians of the rounds"
    for (door, name), ratio in results["ratios"].items():
        workload = WORKLOADS[name]
        told = _bar(workload.bar, met=ratio >= workload.bar, door=door)
        yield f"{name:<16}{door:<8}{ratio:>9.2f} x {workload.baseline}{told}"
    for door, ratio in results["alone"].items():
        told = _bar(ALONE_BAR, met=ratio <= ALONE_BAR, door=door)
        yield f"{'one alone, p50':<16}{door:<8}{ratio:>9.2f} x plain{told}"
    for half in results["half_peak"]:
        ours, plain = half["ours"], half["plain"]
        ratio = ours.p99_ms / plain.p99_ms
        told = _bar(HALF_PEAK_BAR, met=ratio <= HALF_PEAK_BAR, door=ours.door)
        yield (
            f"{'half peak, p99':<16}{ours.door:<8}{ratio:>9.2f} x plain ({ours.p99_ms:.2f} ms at "
            f"{ours.rate:,.0f}/s, {plain.p99_ms:.2f} ms at {plain.tps:,.0f}/s){told}"
        )


def _bar(bar: float, *, met: bool, door: str) -> str:
    """Bars are for the Envoy door, which is the faster one."""
    return f"   bar {bar}: {'met' if met else 'NOT met'}" if bar and door == "envoy" else ""
