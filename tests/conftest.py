"""Fixtures for every level: a database a test, factories, and a running service."""

import asyncio
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psycopg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from pydantic import SecretStr

from balance_client import (
    AsyncClient,
    AsyncServiceCredentials,
    AsyncUserCredentials,
    BalanceError,
    v1,
)
from balance_service.config import Settings
from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain.principals import Scope
from balance_service.repositories import verification
from balance_service.server import administration, app
from tests import postgres
from tests.http import Http

# Which door the end-to-end tests go through; `envoy` takes those that need no hooks.
DOOR: Literal["grpcio", "envoy"] = "envoy" if os.environ.get("TEST_DOOR") == "envoy" else "grpcio"

settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("default")


def pytest_configure(config: pytest.Config) -> None:
    """Starts the one server in the process that starts the others."""
    for name in [name for name in os.environ if name.startswith("BALANCE_")]:
        del os.environ[name]
    if not hasattr(config, "workerinput"):
        config.stash[_SERVER] = _Server()


def pytest_configure_node(node: object) -> None:
    """Tells each xdist worker where the server is."""
    server = node.config.stash[_SERVER]  # type: ignore[attr-defined]
    node.workerinput["postgres_url"] = server.url()  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SERVER in config.stash:
        config.stash[_SERVER].stop()


class _Server:
    """Postgres, started when it is first asked for."""

    def __init__(self) -> None:
        self._context: object = None
        self._url = ""

    def url(self) -> str:
        if not self._url:
            folder = Path(tempfile.mkdtemp(prefix="balance-tests-")) / "postgres"
            self._context = postgres.server(folder)
            self._url = self._context.__enter__()
        return self._url

    def stop(self) -> None:
        if self._url:
            self._context.__exit__(None, None, None)  # type: ignore[attr-defined]


_SERVER = pytest.StashKey[_Server]()


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """The superuser's URL of the server."""
    workerinput: dict[str, str] | None = getattr(request.config, "workerinput", None)
    return workerinput["postgres_url"] if workerinput else request.config.stash[_SERVER].url()


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    with postgres.database(server_url, f"test_{secrets.token_hex(8)}") as url:
        yield url


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """Connections as the service makes them."""
    async with pools.create(database_url, 8) as connections:
        yield connections


@pytest.fixture
def service_settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a service on the test's database."""
    return Settings(
        database_url=database_url,
        secret=SecretStr("only-for-tests-and-long-enough-0123456789"),
        data_dir=str(tmp_path),
        grpc_port=0,
        http_port=0,
        development=True,
        user_deposits=True,
        door=DOOR,
    )


class Mailbox:
    """Keeps mails instead of sending them."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str, str]] = []

    async def send(self, to: str, subject: str, text: str) -> None:
        self.mails.append((to, subject, text))

    def code(self, email: str) -> str:
        """The last code sent to an address."""
        texts = [text for to, _, text in self.mails if to == email]
        return texts[-1].partition("code is ")[2][:6]


@dataclass
class Person:
    """A signed-in user with a client of their own."""

    email: str
    user_id: str
    token: v1.Token
    client: AsyncClient
    http: Http

    async def open(self, currency: str = "RUB") -> v1.Account:
        return await self.client.accounts.CreateAccount(v1.CreateAccountRequest(currency=currency))

    async def deposit(self, amount: str, account: str = "", currency: str = "RUB") -> v1.Deposit:
        return await self.client.deposits.CreateDeposit(
            v1.CreateDepositRequest(account=account, amount=amount, currency=currency)
        )

    async def balance(self, account: str) -> str:
        found = await self.client.accounts.GetAccount(v1.GetAccountRequest(account=account))
        return found.balance


class KeptMailbox(Mailbox):
    """What a service in another process sent, from the file where it keeps mails."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def code(self, email: str) -> str:
        pattern = rf"^To: {re.escape(email)}$.*?code is (\d{{6}})"
        found = re.findall(pattern, self._path.read_text(), re.DOTALL | re.MULTILINE)
        return str(found[-1])


@dataclass
class Service:
    """A service running in the test's event loop, or, behind the Envoy door, beside it."""

    target: str
    settings: Settings
    mailbox: Mailbox
    inner: app.App | subprocess.Popen[bytes]
    http: Http
    clients: list[AsyncClient] = field(default_factory=list)
    log: Path | None = None

    @property
    def app(self) -> app.App:
        """Its objects; a test that needs these skips the Envoy door."""
        if not isinstance(self.inner, app.App):
            pytest.skip("needs the service within the test's own process")
        return self.inner

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Its process; a test that needs one skips gRPC's own door."""
        if isinstance(self.inner, app.App):
            pytest.skip("needs the service in a process of its own")
        return self.inner

    def client(
        self, credentials: AsyncUserCredentials | AsyncServiceCredentials | None = None
    ) -> AsyncClient:
        """A client, closed with the test."""
        client = AsyncClient(self.target, credentials)
        self.clients.append(client)
        return client

    async def person(self, email: str = "") -> Person:
        """Somebody new, signed in."""
        email = email or f"{secrets.token_hex(6)}@example.com"
        public = self.client()
        await public.auth.SendConfirmationCode(v1.SendConfirmationCodeRequest(email=email))
        code = self.mailbox.code(email)
        request = v1.CreateTokenRequest(email=email, confirmation_code=code)
        token = await public.auth.CreateToken(request)
        client = self.client(AsyncUserCredentials(token))
        me = await client.users.GetMe(v1.GetMeRequest())
        return Person(email, me.id, token, client, self.http.signed_in(token.token))

    async def admin(self) -> Person:
        """An admin, signed in."""
        email = f"{secrets.token_hex(6)}@admin.example.com"
        await administration.create_admin(self.settings, email)
        return await self.person(email)

    async def sibling(self, *scopes: Scope) -> AsyncClient:
        """A sibling service's client."""
        client_id = f"s-{secrets.token_hex(6)}"
        secret = await administration.create_service_principal(self.settings, client_id, "", scopes)
        return self.client(AsyncServiceCredentials(client_id, secret))


StartService = Callable[..., Awaitable[Service]]


@pytest_asyncio.fixture
async def start_service(service_settings: Settings) -> AsyncIterator[StartService]:
    """Starts services; all are stopped at the end."""
    started: list[Service] = []

    async def start(**changes: object) -> Service:
        settings_ = service_settings.model_copy(update=changes)
        make = beside if DOOR == "envoy" else _within
        started.append(await make(settings_))
        return started[-1]

    yield start
    for service in started:
        await stopped(service)


async def stopped(service: Service) -> None:
    """Stops a service and what speaks to it."""
    for client in service.clients:
        await client.close()
    await service.http.client.close()
    if isinstance(service.inner, app.App):
        await service.inner.stop()
    else:
        service.inner.terminate()
        status = await asyncio.to_thread(service.inner.wait, 40)
        said = service.log.read_text() if service.log else ""
        assert (status, "Exception in callback" in said) == (0, False), said


async def _within(settings_: Settings) -> Service:
    mailbox = Mailbox()
    built = app.build(settings_, mailbox)
    await built.start()
    http = Http(f"http://127.0.0.1:{built.door.http_port}" if built.door.http_port else "")
    return Service(f"127.0.0.1:{built.door.port}", settings_, mailbox, built, http)


async def beside(settings_: Settings) -> Service:
    """A service in a process of its own, behind the door that its settings name."""
    chosen = settings_.model_copy(update={"grpc_port": free_port(), "http_port": free_port()})
    folder = Path(tempfile.mkdtemp(dir=chosen.data_dir))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "balance_service", "worker"],
            env=chosen.environment() | {"TMPDIR": str(folder)},
            stderr=log,
        )
    async with asyncio.timeout(60):
        while b"worker_started" not in (folder / "log").read_bytes():
            assert process.poll() is None, (folder / "log").read_text()
            await asyncio.sleep(0.05)
    scheme = "https" if chosen.tls_certificate else "http"
    http = Http(f"{scheme}://127.0.0.1:{chosen.http_port}" if chosen.http else "")
    mailbox = KeptMailbox(app.mailbox(chosen))
    target = f"127.0.0.1:{chosen.grpc_port}"
    return Service(target, chosen, mailbox, process, http, log=folder / "log")


@pytest.fixture
def within() -> None:
    """Of a test that changes the service's own code as it runs."""
    if DOOR == "envoy":
        pytest.skip("needs the service within the test's own process")


@pytest_asyncio.fixture
async def service(start_service: StartService) -> Service:
    """A running service."""
    return await start_service()


@dataclass(frozen=True)
class Contents:
    """What a database holds: compared before and after what must change nothing."""

    rows: dict[str, list[tuple[object, ...]]]


LEDGER_TABLES = (
    "accounts",
    "account_owners",
    "movements",
    "entries",
    "system_entries",
    "purchases",
    "external_references",
    "services",
    "users",
    "idempotency_keys",
)


@pytest.fixture
def contents(database_url: str) -> Callable[[], Contents]:
    """Reads everything that a refused request must leave alone."""

    def read() -> Contents:
        with psycopg.connect(database_url, autocommit=True) as conn:
            return Contents(
                {
                    table: sorted(
                        conn.execute(f"SELECT * FROM {table}".encode()).fetchall(), key=repr
                    )
                    for table in LEDGER_TABLES
                }
            )

    return read


@pytest.fixture
def verified(pool: Pool) -> Callable[[], Awaitable[verification.Report]]:
    """Recomputes the ledger and insists that it is clean."""

    async def check() -> verification.Report:
        async with pool.connection() as conn:
            await conn.execute("RESET ROLE")
            report = await verification.verify(conn)
        assert report.clean, report
        return report

    return check


async def refused(call: Awaitable[object]) -> BalanceError:
    """The error of a call that must be refused."""
    with pytest.raises(BalanceError) as error:
        await call
    return error.value


async def reason(call: Awaitable[object]) -> str:
    """The reason of a call that must be refused."""
    return (await refused(call)).reason


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
