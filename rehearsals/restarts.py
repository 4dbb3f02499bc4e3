"""Rolling restarts under load: no call fails that follows the published retry policy.

Usage: python -m rehearsals.restarts [--restarts 50] [--seed N] [--clients 24] [--threads 4]

Two instances of the program on one Postgres, as two hosts behind one name, and clients of the
Python library, for asyncio and for threads, that know both addresses. Their access tokens live half
a minute, so that they come due in the middle of it. One instance after the other is told to stop
and started anew, or one of its workers is; every call's end is recorded. Status 1 if any failed.
"""

import argparse
import asyncio
import contextlib
import functools
import os
import random
import secrets
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from balance_client import (
    AsyncClient,
    AsyncServiceCredentials,
    BalanceError,
    Client,
    ServiceCredentials,
    v1,
)
from balance_service.config import Settings
from balance_service.database import migrate
from rehearsals import stage
from rehearsals.history import REFUSALS
from rehearsals.servers import Postgres

WORKERS = 2
TOKEN_SECONDS = 30


class Instance:
    """One host's program, which is restarted.

    Args:
        settings: What it runs with.
        log: Where it logs to.
    """

    def __init__(self, settings: Settings, log: Path) -> None:
        self.target = f"127.0.0.1:{settings.grpc_port}"
        self._settings, self._log = settings, log
        self._running = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._process = self._running.enter_context(stage.program(self._settings, self._log))
        await stage.wait_until_serving(self.target)

    async def stop(self) -> None:
        await asyncio.to_thread(self._running.close)

    async def restart_worker(self, rng: random.Random) -> None:
        """Has one worker leave; its supervisor starts another."""
        assert self._process, "started"
        before = stage.workers(self._process)
        os.kill(rng.choice(before), signal.SIGTERM)
        async with asyncio.timeout(stage.SERVING_SECONDS_MAX):
            while True:
                now = stage.workers(self._process)
                if now != before and len(now) == WORKERS:
                    break
                await asyncio.sleep(0.1)
        await stage.wait_until_serving(self.target)


async def main(options: argparse.Namespace, folder: Path) -> int:
    rng = random.Random(options.seed)
    postgres = Postgres(folder / "postgres")
    try:
        postgres.start()
        await asyncio.to_thread(migrate.up, postgres.url)
        chosen = stage.choose_settings(folder, postgres.url, WORKERS).model_copy(
            update={"access_token_seconds": TOKEN_SECONDS}
        )
        ports = stage.choose_settings(folder, "", 1)
        other = chosen.model_copy(
            update={"grpc_port": ports.grpc_port, "http_port": ports.http_port}
        )
        secret = await stage.create_caller(chosen)
        accounts = await stage.open_accounts(chosen, rules=stage.varied)
        instances = [Instance(s, folder / f"{s.grpc_port}.log") for s in (chosen, other)]
        for instance in instances:
            await instance.start()
        ended = await _restart(options, rng, instances, secret, accounts)
        for instance in instances:
            await instance.stop()
        anomalies = await stage.verify(postgres.url)
    finally:
        postgres.close()
    failed = sum(count for end, count in ended.items() if end not in ("OK", *REFUSALS))
    print(f"{options.restarts} restarts under load; calls by their end:")
    for end, count in ended.most_common():
        print(f"  {end:<24}{count:>8}")
    for fault in anomalies:
        print(f"ANOMALY  {fault}")
    print(f"seed {options.seed}: {failed} failed calls, {len(anomalies)} anomalies")
    return 1 if failed or anomalies else 0


async def _restart(
    options: argparse.Namespace,
    rng: random.Random,
    instances: list[Instance],
    secret: str,
    accounts: list[str],
) -> Counter[str]:
    """Restarts one thing after another; how the calls of meanwhile ended."""
    ended: Counter[str] = Counter()
    stop = threading.Event()
    target = "ipv4:" + ",".join(instance.target for instance in instances)
    credentials = AsyncServiceCredentials(stage.CALLER, secret)
    blocking = Client(target, ServiceCredentials(stage.CALLER, secret))
    async with AsyncClient(target, credentials) as client:
        calling = [
            asyncio.create_task(
                asyncio.to_thread(_call_by_thread, blocking, accounts, number, ended, stop)
            )
            for number in range(options.threads)
        ] + [
            asyncio.create_task(_call(client, accounts, random.Random(number), ended, stop))
            for number in range(options.clients)
        ]
        for number in range(options.restarts):
            instance = instances[number % len(instances)]
            if number % 5 == 4:
                await instance.restart_worker(rng)
            else:
                await instance.stop()
                await instance.start()
            await asyncio.sleep(rng.uniform(0, 0.5))
        stop.set()
        await asyncio.gather(*calling)
    await asyncio.to_thread(blocking.close)
    return ended


async def _call(
    client: AsyncClient,
    accounts: list[str],
    rng: random.Random,
    ended: Counter[str],
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        transfer, read = _requests(accounts, rng)
        with _counted(ended):
            if rng.random() < 0.2:
                await client.accounts.GetAccount(read)
            else:
                await client.transfers.CreateTransfer(transfer)


def _call_by_thread(
    client: Client, accounts: list[str], number: int, ended: Counter[str], stop: threading.Event
) -> None:
    rng = random.Random(-number - 1)
    while not stop.is_set():
        transfer, read = _requests(accounts, rng)
        with _counted(ended):
            if rng.random() < 0.2:
                client.accounts.GetAccount(read)
            else:
                client.transfers.CreateTransfer(transfer)


def _requests(
    accounts: list[str], rng: random.Random
) -> tuple[v1.CreateTransferRequest, v1.GetAccountRequest]:
    sender, receiver = rng.sample(accounts, 2)
    transfer = v1.CreateTransferRequest(
        from_account=sender, to_account=receiver, amount=f"{rng.randint(1, 300)}.00"
    )
    return transfer, v1.GetAccountRequest(account=sender)


_counting = threading.Lock()


@contextlib.contextmanager
def _counted(ended: Counter[str]) -> Iterator[None]:
    """Counts how a call ends."""
    end = "OK"
    try:
        yield
    except BalanceError as error:
        end = error.reason or error.code().name
    with _counting:
        ended[end] += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--restarts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--threads", type=int, default=4)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    stage.run("restarts", functools.partial(main, arguments))
