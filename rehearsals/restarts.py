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
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf.message import Message

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
# A service of the client, a method of it, and a request; each is sent the answer to the one before.
Step: TypeAlias = tuple[str, str, Message]
Story: TypeAlias = Generator[Step, Any, None]


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
        await asyncio.to_thread(migrate.up, postgres.url, stage.service_url(postgres.url))
        chosen = stage.choose_settings(folder, postgres.url, WORKERS).model_copy(
            update={"access_token_seconds": TOKEN_SECONDS}
        )
        ports = stage.choose_settings(folder, "", 1)
        other = chosen.model_copy(
            update={"grpc_port": ports.grpc_port, "http_port": ports.http_port}
        )
        secret = await stage.create_caller(chosen)
        accounts = await stage.open_accounts(chosen, rules=stage.varied, dollars=True)
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
                asyncio.to_thread(
                    _call_by_thread, blocking, accounts, random.Random(-number - 1), ended, stop
                )
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
        story, answer = _story(accounts, rng), None
        with _counted(ended) as count:
            while step := _tell(story, answer):
                service, method, request = step
                answer = await getattr(getattr(client, service), method)(request)
                count()


def _call_by_thread(
    client: Client,
    accounts: list[str],
    rng: random.Random,
    ended: Counter[str],
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        story, answer = _story(accounts, rng), None
        with _counted(ended) as count:
            while step := _tell(story, answer):
                service, method, request = step
                answer = getattr(getattr(client, service), method)(request)
                count()


def _tell(story: Story, answer: object) -> Step | None:
    """The next step, made of the answer to the last; None at the end."""
    try:
        return story.send(answer)
    except StopIteration:
        return None


def _story(accounts: list[str], rng: random.Random) -> Story:
    """Calls that follow from each other."""
    sender, receiver = rng.sample(accounts, 2)
    amount = f"{rng.randint(1, 300)}.00"
    some = rng.choice(["", "0.50"])
    kinds = {"read": 3, "deposit": 3, "transfer": 8, "hold": 2, "exchange": 2}
    match rng.choices(list(kinds), list(kinds.values()))[0]:
        case "read":
            yield "accounts", "GetAccount", v1.GetAccountRequest(account=sender)
        case "deposit":
            pay_in = v1.CreateDepositRequest(account=sender, amount=amount)
            yield "deposits", "CreateDeposit", pay_in
        case "transfer":
            send = v1.CreateTransferRequest(from_account=sender, to_account=receiver, amount=amount)
            sent = yield "transfers", "CreateTransfer", send
            if rng.random() < 0.3:
                back = v1.ReverseTransferRequest(transfer=sent.id, amount=some, reason="Back")
                yield "transfers", "ReverseTransfer", back
        case "hold":
            place = v1.CreateHoldRequest(account=sender, to_account=receiver, amount=amount)
            hold = (yield "holds", "CreateHold", place).id
            if rng.random() < 0.7:
                capture = v1.CaptureHoldRequest(hold=hold, amount=some, keep_rest=True)
                yield "holds", "CaptureHold", capture
            yield "holds", "VoidHold", v1.VoidHoldRequest(hold=hold)
        case _:
            terms = v1.CreateQuoteRequest(
                from_currency="RUB", to_currency="USD", from_amount=amount, from_account=sender
            )
            quote = (yield "exchanges", "CreateQuote", terms).id
            exchange = v1.CreateExchangeRequest(quote=quote)
            made = yield "exchanges", "CreateExchange", exchange
            undo = v1.ReverseExchangeRequest(exchange=made.id, amount=some, reason="Back")
            yield "exchanges", "ReverseExchange", undo


_counting = threading.Lock()


@contextlib.contextmanager
def _counted(ended: Counter[str]) -> Iterator[Callable[[], None]]:
    """Counts how calls end: what it gives is called after each that succeeds."""

    def count(end: str = "OK") -> None:
        with _counting:
            ended[end] += 1

    try:
        yield count
    except BalanceError as error:
        count(error.reason or error.code().name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--restarts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--threads", type=int, default=4)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    stage.run("restarts", functools.partial(main, arguments))
