"""What HTTP costs: requests a second through the gateway beside the same RPC over gRPC, in one run.

Usage: python -m benchmarks http [--seconds 4] [--rounds 3] [--workers 1] [--in-flight 64]

HTTP is loaded by wrk (Debian's package of that name), gRPC by prepared frames; each from one
thread.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import generator, stack

RPCS = {"balance": "GetAccount", "deposits": "CreateDeposit"}


def http_rate(running: stack.Stack, name: str, options: Any) -> float:
    """Requests a second through the gateway, all of them answered with 2xx."""
    account = running.accounts[0]
    arguments = ["-t1", f"-c{options.in_flight}", f"-d{options.seconds:.0f}s"]
    arguments += ["-H", f"authorization: Bearer {running.token}"]
    url = f"{running.url}/api/v1/accounts/{account}"
    if name == "deposits":
        script = Path(running.folder) / "deposit.lua"
        script.write_text(
            'wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
            f"""wrk.body = '{{"account": "{account}", "amount": "0.01"}}'\n""",
            encoding="utf-8",
        )
        arguments += ["-s", str(script)]
        url = f"{running.url}/api/v1/actions"
    done = subprocess.run(["wrk", *arguments, url], capture_output=True, text=True, check=True)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if not found or "Non-2xx" in done.stdout:
        raise SystemExit(done.stdout)
    return float(found[1])


def grpc_rate(running: stack.Stack, name: str, options: Any) -> float:
    """Calls a second of the same RPC."""
    one = [running.accounts[0]]
    job = (name, running.target, running.token, one, running.service)
    measured, _ = generator.run(generator.Job(*job, options.seconds, options.in_flight, 0))
    return len(measured.took) / measured.seconds


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--in-flight", type=int, default=64)
    options = parser.parse_args(arguments)
    if not shutil.which("wrk"):
        sys.exit("wrk is not here: apt-get install wrk")
    rates: dict[tuple[str, str], list[float]] = {}
    with stack.running(options.workers) as running:
        for _ in range(options.rounds):
            for name in RPCS:
                rates.setdefault((name, "http"), []).append(http_rate(running, name, options))
                rates.setdefault((name, "grpc"), []).append(grpc_rate(running, name, options))
    print(f"{'':<16}{'gRPC a second':>15}{'HTTP a second':>15}{'cost of HTTP':>14}")
    for name, rpc in RPCS.items():
        grpc, http = (statistics.median(rates[name, way]) for way in ("grpc", "http"))
        print(f"{rpc:<16}{grpc:>15,.0f}{http:>15,.0f}{grpc / http:>12.2f} x")
