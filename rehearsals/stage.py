"""The stage for a service: its settings, a caller, accounts, the running program, a last check.

Shared by the rehearsals, the benchmarks and the tests of faults, which all run the real program.
"""

import asyncio
import contextlib
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import grpc
import psycopg
from pydantic import SecretStr

from balance_client import BalanceError, Client, ServiceCredentials, v1
from balance_service.config import Settings
from balance_service.database import pool, roles
from balance_service.domain import ids, merkle
from balance_service.domain.accounts import Account, Status
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from balance_service.repositories import (
    accounts,
    checkpoints,
    leaves,
    sub_accounts,
    verification,
)
from balance_service.server.health import serves

CALLER = "rehearsal"
ACCOUNTS = 12
# How long a service may take to start, or to come back after a fault.
SERVING_SECONDS_MAX = 90
STOPPING_SECONDS_MAX = 60
# Codes that do not tell whether anything was done.
UNKNOWN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
}
# Of how many movements receipts are looked at.
RECEIPTS_CHECKED = 200

Request = TypeVar("Request")
Answer = TypeVar("Answer")


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, each another one."""
    with contextlib.ExitStack() as held:
        listening = [held.enter_context(socket.socket()) for _ in range(count)]
        for port in listening:
            port.bind(("127.0.0.1", 0))
        return [port.getsockname()[1] for port in listening]


def database_url(*ports: int) -> str:
    """The URL of a database behind proxies; of several servers, the one that takes writes."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"


def service_url(owner_url: str) -> str:
    """The same database by the role that the service signs in as, which needs no password here."""
    return roles.service_url(owner_url)


def choose_settings(folder: Path, database: str, workers: int) -> Settings:
    """Settings of a service on ports that are free now.

    Args:
        folder: Where it keeps its files.
        database: The URL of its database, as the superuser.
        workers: How many processes serve.
    """
    grpc_port, http_port = free_ports(2)
    return Settings(
        database_url=service_url(database),
        secret=SecretStr(secrets.token_urlsafe(48)),
        data_dir=str(folder),
        grpc_port=grpc_port,
        http_port=http_port,
        # Several stages may be set at once.
        operators_port=0,
        workers=workers,
        development=True,
        # A token outlives every run, so that no call is lost to its renewal.
        access_token_seconds=86_400,
        # All load comes from one address.
        network_calls_per_second=0,
    )


async def create_caller(settings: Settings, scopes: Iterable[Scope] = tuple(Scope)) -> str:
    """Creates the sibling service that calls, with every scope or some; its secret."""
    return await administration.create_service_principal(settings, CALLER, "", list(scopes))


def access_token(target: str, secret: str) -> str:
    """Signs the caller in; its access token."""
    with Client(target, ServiceCredentials(CALLER, secret)) as client:
        request = v1.CreateTokenRequest(client_id=CALLER, client_secret=secret)
        return client.auth.CreateToken(request).token


def varied(number: int, account: Account) -> Account:
    """An account with the rules of its number: every third may owe, some are limited or frozen."""
    return account._replace(
        limit_minor=0 if number % 3 else 50_000 * (number + 1),
        debit_limit_minor=30_000 if number % 4 == 1 else None,
        daily_limit_minor=1_000_000 if number % 4 == 2 else None,
        status=Status.DEBITS_FROZEN if number == 7 else Status.ACTIVE,
    )


async def open_accounts(
    settings: Settings,
    count: int = ACCOUNTS,
    rules: Callable[[int, Account], Account] = lambda _, account: account,
    *,
    dollars: bool = False,
) -> list[str]:
    """Opens accounts in roubles with nothing on them; their ids.

    Args:
        settings: Of the service whose database they are opened in.
        count: How many.
        rules: Gives each, by its number from 0, the rules and sub-accounts that it is to have.
        dollars: Whether their owners get accounts in dollars, too.
    """
    opened = []
    database = settings.database_url.get_secret_value()
    async with pool.opened(pool.create(database, 2)) as connections:
        for number in range(count):
            async with pool.transaction(connections) as conn:
                owner = ids.new_id()
                account_id, _ = await accounts.open_account(conn, owner, "RUB")
                if dollars:
                    await accounts.open_account(conn, owner, "USD")
                (profile,) = await accounts.get(conn, [account_id])
                ruled = rules(number, profile.account)
                await accounts.set_rules(conn, ruled)
                if ruled.sub_account_count:
                    await sub_accounts.set_count(conn, account_id, ruled.sub_account_count)
                opened.append(str(account_id))
    return opened


def dollar_accounts(database: str) -> dict[str, str]:
    """The accounts in dollars of owners who have one, by their accounts in roubles.

    Args:
        database: The URL of the database that they were opened in.
    """
    query = "SELECT owner_id::text, account_id::text FROM accounts WHERE currency = %s"
    with psycopg.connect(database) as conn:
        rubles: dict[str, str] = dict(conn.execute(query, ("RUB",)).fetchall())
        dollars: dict[str, str] = dict(conn.execute(query, ("USD",)).fetchall())
    return {account: dollars[owner] for owner, account in rubles.items() if owner in dollars}


@contextlib.contextmanager
def program(
    settings: Settings,
    log: Path | None = None,
    command: str = "serve",
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the service as its operator does, and stops it at the end.

    Args:
        settings: What it runs with.
        log: The file that its log is added to; None for the terminal.
        command: `serve`, or `worker` for one without a supervisor.
        environment: Variables besides its settings.
    """
    words = [sys.executable, "-m", "balance_service", command]
    with running(words, settings.environment() | dict(environment or {}), log) as process:
        yield process


@contextlib.contextmanager
def running(
    words: Sequence[str],
    environment: Mapping[str, str],
    log: Path | None = None,
    folder: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program, and tells it to stop at the end.

    Args:
        words: What it is started by.
        environment: All its variables.
        log: The file that its log is added to; None for the terminal.
        folder: Where it runs; None for here.
    """
    with log.open("ab") if log else contextlib.nullcontext() as stderr:
        process = subprocess.Popen(words, cwd=folder, env=dict(environment), stderr=stderr)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOPPING_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()


def children(pid: int) -> list[int]:
    """The processes that a process started and that run."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def workers(process: subprocess.Popen[bytes]) -> list[int]:
    """The process ids of a program's workers."""
    return children(process.pid)


async def wait_until_serving(target: str) -> None:
    """Returns once the service says that it serves.

    Raises:
        TimeoutError: It did not come, or did not come back by itself.
    """
    async with asyncio.timeout(SERVING_SECONDS_MAX):
        while not await serves(target):
            await asyncio.sleep(0.1)


async def insist(call: Callable[[Request], Awaitable[Answer]], request: Request) -> Answer:
    """Makes a call again until it is known what came of it; one that may be made twice.

    Raises:
        BalanceError: It was refused, or nothing is known after SERVING_SECONDS_MAX.
    """
    end = time.monotonic() + SERVING_SECONDS_MAX
    while True:
        try:
            return await call(request)
        except BalanceError as error:
            # INTERNAL without a reason is a broken stream.
            broken = error.code() is grpc.StatusCode.INTERNAL and not error.reason
            if not (broken or error.code() in UNKNOWN) or time.monotonic() > end:
                raise
        await asyncio.sleep(0.5)


async def verify(database: str) -> list[str]:
    """The faults that the service's own check finds in a ledger.

    Args:
        database: The URL of its database, as the superuser.
    """
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as conn:
        report = await verification.verify(conn)
    return [
        f"verify: {check}: {fault}" for check, faults in report.faults.items() for fault in faults
    ]


async def find_unproved(database: str, rng: random.Random) -> list[str]:
    """Movements without a receipt that leads to a checkpoint, among some that are covered.

    Args:
        database: The URL of its database, as the superuser.
        rng: Chooses them.
    """
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as conn:
        await conn.execute("SET TimeZone TO UTC")
        cursor = await conn.execute("SELECT movement_id FROM covered_movements")
        covered = [movement_id for (movement_id,) in await cursor.fetchall()]
        unproved = [] if covered else ["receipts: no checkpoint covers any movement"]
        for movement_id in rng.sample(covered, min(RECEIPTS_CHECKED, len(covered))):
            proved = await leaves.find(conn, movement_id)
            signed = await checkpoints.find(conn, proved.number) if proved else None
            if proved is None or signed is None:
                unproved.append(f"receipts: {movement_id} has none")
                continue
            path, size = merkle.path(proved.leaves, proved.place), signed.checkpoint.size
            if merkle.climbed(proved.leaf(), proved.place, size, path) != signed.checkpoint.root:
                unproved.append(f"receipts: that of {movement_id} does not lead to its checkpoint")
    return unproved


def run(name: str, main: Callable[[Path], Coroutine[None, None, int]]) -> NoReturn:
    """Runs a rehearsal in a folder that Postgres's user may enter, and exits with its status."""
    with tempfile.TemporaryDirectory(prefix=f"balance-{name}-") as folder:
        Path(folder).chmod(0o755)
        sys.exit(asyncio.run(main(Path(folder))))
