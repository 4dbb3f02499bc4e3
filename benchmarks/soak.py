"""A worker's memory under full load for minutes: flat, or a leak.

Usage: python -m benchmarks soak [--minutes 10] [--workers 2] [--in-flight 256]
"""

import argparse
import time
from collections.abc import Sequence

from benchmarks import generator, stack

SAMPLE_SECONDS = 30


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--in-flight", type=int, default=256)
    options = parser.parse_args(arguments)
    with stack.running(options.workers) as running:
        job = ("spread", running.target, running.token, running.accounts, running.service)
        began = time.monotonic()
        while (passed := time.monotonic() - began) < options.minutes * 60:
            measured, _ = generator.run(generator.Job(*job, SAMPLE_SECONDS, options.in_flight, 0))
            rate = len(measured.took) / measured.seconds
            memory = "  ".join(f"{size:.0f}" for size in running.memory_mib())
            print(
                f"{passed:>5.0f} s  {rate:>7,.0f} transfers/s  workers' MiB: {memory}", flush=True
            )
