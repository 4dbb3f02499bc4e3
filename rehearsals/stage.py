"""What every run has: a service's settings, accounts, a caller, and the last look at the ledger."""

import asyncio
import random
import secrets
import socket
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import NoReturn

import psycopg
from pydantic import SecretStr

from balance_client import Client, ServiceCredentials, v1
from balance_service.config import Settings
from balance_service.database import pool
from balance_service.domain import ids
from balance_service.domain.accounts import Status
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from balance_service.repositories import accounts, verification
from balance_service.server.health import serves
from rehearsals import history
from rehearsals.transports import OverGrpc

ACCOUNTS = 12
RECOVERY_SECONDS_MAX = 90


def url(*ports: int) -> str:
    """The URL of a database behind proxies; of several servers, the one that takes writes."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"


def settings(folder: Path, database_url: str, workers: int) -> Settings:
    """Of a service on ports that are free now."""
    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, http_port = free.getsockname()[1], other.getsockname()[1]
    return Settings(
        database_url=database_url,
        secret=SecretStr(secrets.token_urlsafe(48)),
        data_dir=str(folder),
        grpc_port=port,
        http_port=http_port,
        workers=workers,
        development=True,
        access_token_seconds=86_400,
    )


async def secret(chosen: Settings) -> str:
    """Makes a sibling service that may do everything, and tells its secret."""
    return await administration.create_service_principal(chosen, "torture", "", list(Scope))


def token(target: str, client_secret: str) -> str:
    """That sibling's access token."""
    with Client(target, ServiceCredentials("torture", client_secret)) as client:
        request = v1.CreateTokenRequest(client_id="torture", client_secret=client_secret)
        return client.auth.CreateToken(request).token


async def open_accounts(chosen: Settings) -> list[str]:
    """Accounts with nothing on them; a third may go below zero."""
    opened = []
    async with pool.opened(pool.create(chosen.database_url.get_secret_value(), 2)) as connections:
        for number in range(ACCOUNTS):
            async with pool.transaction(connections) as conn:
                account, _ = await accounts.open_account(conn, ids.new_id(), "RUB")
                if number % 3 == 0:
                    limit = 50_000 * (number + 1)
                    await accounts.set_rules(conn, account, Status.ACTIVE, limit)
                opened.append(str(account))
    return opened


def clients(
    target: str, caller: str, accounts: list[str], count: int, seed: object
) -> list[history.Client]:
    """Clients that call over gRPC and record what they see.

    Args:
        target: Where the service, or a proxy, listens.
        caller: Their access token.
        accounts: What they move money between.
        count: How many.
        seed: Decides what they ask for.
    """
    return [
        history.Client(OverGrpc(target, caller), accounts, random.Random(f"{seed} {number}"))
        for number in range(count)
    ]


def run(name: str, main: Callable[[Path], Coroutine[None, None, int]]) -> NoReturn:
    """Runs a rehearsal in a folder that Postgres's user may enter, and exits with its status."""
    with tempfile.TemporaryDirectory(prefix=f"balance-{name}-") as folder:
        Path(folder).chmod(0o755)
        sys.exit(asyncio.run(main(Path(folder))))


async def serving(target: str) -> None:
    """Returns once the service says that it serves: it must come back by itself."""
    async with asyncio.timeout(RECOVERY_SECONDS_MAX):
        while not await serves(target):
            await asyncio.sleep(0.1)


async def verified(database: str) -> list[str]:
    """What the service's own check of its ledger finds."""
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as conn:
        report = await verification.verify(conn)
    return [
        f"verify: {check}: {fault}" for check, found in report.faults.items() for fault in found
    ]
