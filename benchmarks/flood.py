"""What a flood of calls without a token, or with forged ones, does to somebody who has one.

The flood comes from another address, as fast as it is answered, for as long as somebody calls at a
steady rate. It stands for another machine, and shares this one: so it runs only when nothing else
wants to (SCHED_IDLE).

Usage: python -m benchmarks flood [--seconds 60] [--in-flight 512] [CALL ...]
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from balance_service.config import Settings
from benchmarks import generator, http2, stack
from benchmarks.workloads import FLOODS

# Somebody's calls a second: four reads of a balance for each transfer.
RATE = 50
BAR = 3.0
SOMEBODY, ATTACKER = "127.0.0.1", "127.0.0.2"
# Calls with a token that is signed by nobody.
FORGED = "ForgedToken"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("calls", nargs="*", help="such as ListServices; all by default")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--in-flight", type=int, default=512)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    limit = Settings.model_fields["network_calls_per_second"].default
    with (
        stack.running(options.workers, {"network_calls_per_second": limit}) as running,
        ThreadPoolExecutor() as pool,
    ):
        _somebody(running, 2)
        quiet = _p99_ms(_somebody(running, options.seconds))
        print(f"{'nothing':<24}p99 {quiet:>7.1f} ms", flush=True)
        for name in options.calls or [*FLOODS, FORGED]:
            flooding = pool.submit(_flood, running, name, options)
            somebody = _somebody(running, options.seconds)
            flood = flooding.result()
            p99, answers = _p99_ms(somebody), len(flood.took) + len(flood.refused)
            print(
                f"{name:<24}p99 {p99:>7.1f} ms {p99 / quiet:>6.2f} x (bar {BAR:g}); flood:"
                f" {answers / flood.seconds:>7,.0f}/s, {len(flood.refused) / answers:.0%} refused;"
                f" somebody was refused {len(somebody.refused)} of"
                f" {len(somebody.took) + len(somebody.refused)}",
                flush=True,
            )


def _somebody(running: stack.Stack, seconds: float) -> http2.Measured:
    job = ("mixed", running.target, running.token, running.accounts, running.service)
    measured, _ = generator.run(generator.Job(*job, seconds, 1000, RATE, source=SOMEBODY))
    return measured


def _flood(running: stack.Stack, name: str, options: argparse.Namespace) -> http2.Measured:
    workload, token = (name, "") if name != FORGED else ("balance", f"{running.token[:-8]}AAAAAAAA")
    job = (workload, running.target, token, running.accounts, running.service)
    flood = generator.Job(
        *job, options.seconds, options.in_flight, 0, source=ATTACKER, is_elsewhere=True
    )
    measured, _ = generator.run(flood)
    return measured


def _p99_ms(measured: http2.Measured) -> float:
    took = sorted(measured.took)
    return took[int(len(took) * 0.99)] * 1000
