"""How much one account takes, with and without sub-accounts, when every commit waits for a while.

Two processes commit transfers from many accounts to one, as workers do; Postgres delays each flush,
as a standby would. `python -m benchmarks hot --help` has the options.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import psycopg

from balance_service.database import embedded, migrate
from balance_service.database import pool as pools
from balance_service.domain import ids
from balance_service.domain.commands import Origin, Settle, Transfer
from balance_service.domain.days import Calendar
from balance_service.domain.limits import Limits
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Request
from balance_service.ledger.commit import Committer
from balance_service.ledger.store import PostgresStore
from balance_service.ledger.turns import QueuedRequest
from balance_service.repositories import accounts, outbox, sub_accounts

WORKERS = 2
IN_FLIGHT = 4
TICK_SECONDS = 0.25


async def open_all(url: str, payers: int) -> list[UUID]:
    """The account that is paid, and accounts with money."""
    async with pools.create(url, 2) as pool:
        async with pools.transaction(pool) as conn:
            opened = [
                (await accounts.open_account(conn, ids.new_id(), "RUB"))[0]
                for _ in range(payers + 1)
            ]
        settlements = [
            Settle(Origin(principal="service:b"), Kind.DEPOSIT, each, Money(10**9, "RUB"))
            for each in opened[1:]
        ]
        await commit(Committer(PostgresStore(pool), Limits()), settlements)
    return opened


async def commit(committer: Committer, commands: Sequence[Settle | Transfer]) -> None:
    """Carries out some commands in one commit."""
    loop = asyncio.get_running_loop()
    asked = [QueuedRequest(Request((each,)), loop.create_future()) for each in commands]
    await committer.commit(asked)


async def pay(url: str, account: UUID, payers: Sequence[UUID], size: int, seconds: float) -> int:
    """Commits transfers to an account, some commits at a time; how many in the time."""
    async with pools.create(url, IN_FLIGHT) as pool:
        committer = Committer(PostgresStore(pool), Limits())
        end, paid = time.perf_counter() + seconds, 0

        async def go_on(mine: Sequence[UUID]) -> None:
            nonlocal paid
            while time.perf_counter() < end:
                transfers = [
                    Transfer(Origin(principal="service:b"), payer, account, Money(1, "RUB"))
                    for payer in (mine[number % len(mine)] for number in range(size))
                ]
                await commit(committer, transfers)
                paid += size

        await asyncio.gather(*(go_on(payers[lane::IN_FLIGHT]) for lane in range(IN_FLIGHT)))
    return paid


def work(task: tuple[str, UUID, Sequence[UUID], int, float]) -> int:
    """One worker."""
    return asyncio.run(pay(*task))


async def number(url: str, seconds: float) -> None:
    """Numbers receipts and events meanwhile, as maintenance does."""
    end = time.perf_counter() + seconds
    async with pools.create(url, 1) as pool:
        while time.perf_counter() < end:
            async with pool.connection() as conn:
                waiting = await sub_accounts.find_waiting(conn)
            for account_id in waiting:
                async with pools.transaction(pool) as conn:
                    if await sub_accounts.lock_if_free(conn, account_id):
                        await sub_accounts.number(conn, account_id, Calendar())
            async with pools.transaction(pool) as conn:
                await outbox.number(conn)
            await asyncio.sleep(TICK_SECONDS)


async def split(url: str, account: UUID, count: int) -> None:
    """Gives the account so many sub-accounts."""
    async with pools.create(url, 1) as pool, pools.transaction(pool) as conn:
        await sub_accounts.lock_account(conn, account, Calendar())
        await sub_accounts.set_count(conn, account, count)


def measure(url: str, opened: Sequence[UUID], size: int, seconds: float) -> float:
    """Transfers a second to the first account."""
    account, *payers = opened
    tasks = [(url, account, payers[at::WORKERS], size, seconds) for at in range(WORKERS)]
    with multiprocessing.get_context("spawn").Pool(WORKERS + 1) as processes:
        paid = processes.map_async(work, tasks)
        asyncio.run(number(url, seconds))
        return sum(paid.get()) / seconds


def main(arguments: Sequence[str]) -> None:
    """Measures each size of commit and delay with each number of sub-accounts, in turns."""
    parser = argparse.ArgumentParser(prog="benchmarks hot", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--delays", type=int, nargs="+", default=[0, 10], help="milliseconds")
    parser.add_argument("--sub-accounts", type=int, nargs="+", default=[0, 8])
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, embedded.running(Path(folder) / "pg") as url:
        migrate.up(url)
        opened = asyncio.run(open_all(url, 64))
        print("delay ms  transfers a commit  sub-accounts  transfers a second")
        for delay in asked.delays:
            with psycopg.connect(url, autocommit=True) as conn:
                # Without siblings to wait for, every flush is delayed.
                conn.execute("ALTER SYSTEM SET commit_siblings = 0")
                conn.execute(f"ALTER SYSTEM SET commit_delay = {delay * 1000}".encode())
                conn.execute("SELECT pg_reload_conf()")
            for size in asked.sizes:
                for count in asked.sub_accounts:
                    asyncio.run(split(url, opened[0], count))
                    rate = measure(url, opened, size, asked.seconds)
                    print(f"{delay:8}  {size:18}  {count:12}  {rate:18,.0f}", flush=True)
