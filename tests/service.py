"""A service under test, and people and programs that call it."""

import asyncio
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from balance_client import (
    AsyncClient,
    AsyncServiceCredentials,
    AsyncUserCredentials,
    BalanceError,
    v1,
)
from balance_service.config import Settings
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from balance_service.server import app
from rehearsals import stage
from tests.http import Http


class Mailbox:
    """Keeps mails instead of sending them."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str, str]] = []

    async def send(self, to: str, subject: str, text: str) -> None:
        self.mails.append((to, subject, text))

    def code(self, email: str) -> str:
        """The last code sent to an address."""
        texts = [text for to, _, text in self.mails if to == email]
        return texts[-1].partition("code is ")[2][:8]


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
        request = v1.GetAccountRequest(account=account)
        return (await self.client.accounts.GetAccount(request)).balance


class MailboxFile(Mailbox):
    """Reads what a service in another process sent from the file where it keeps mails."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def code(self, email: str) -> str:
        pattern = rf"^To: {re.escape(email)}$.*?code is (\d{{8}})"
        codes = re.findall(pattern, self._path.read_text(), re.DOTALL | re.MULTILINE)
        return str(codes[-1])


@dataclass
class Service:
    """A service that runs in the test's event loop, or in a process of its own."""

    target: str
    settings: Settings
    mailbox: Mailbox
    running: app.App | subprocess.Popen[bytes]
    http: Http
    clients: list[AsyncClient] = field(default_factory=list)
    log: Path | None = None

    @property
    def app(self) -> app.App:
        """Its objects, for a test that asks for `within`."""
        assert isinstance(self.running, app.App), "the test has to ask for `within`"
        return self.running

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Its process. A test that needs one skips where the service is within the test's own."""
        if isinstance(self.running, app.App):
            pytest.skip("needs the service in a process of its own")
        return self.running

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
        send = v1.SendConfirmationCodeRequest(email=email)
        sent = await public.auth.SendConfirmationCode(send)
        code = self.mailbox.code(email)
        request = v1.CreateTokenRequest(
            verification_id=sent.verification_id, confirmation_code=code
        )
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
Verified = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Contents:
    """What a database holds: compared before and after what must change nothing."""

    rows: dict[str, list[tuple[object, ...]]]


LEDGER_TABLES = (
    "accounts",
    "account_owners",
    "account_changes",
    "movements",
    "entries",
    "system_entries",
    "purchases",
    "quotes",
    "quote_uses",
    "external_references",
    "caller_references",
    "services",
    "users",
    "idempotency_keys",
)


async def somebody(service: Service, amount: str = "") -> tuple[Person, str]:
    """Somebody new with an account in roubles, and the account's id.

    Args:
        service: The service that they sign in to.
        amount: What lies on the account; nothing if empty.
    """
    person = await service.person()
    account = await person.open()
    if amount:
        await person.deposit(amount, account.id)
    return person, account.id


async def rich(service: Service, amount: str = "1000") -> tuple[Person, str]:
    """Somebody with money, and their account's id."""
    return await somebody(service, amount)


async def rich_admin(service: Service) -> tuple[Person, str]:
    """An admin with 1000 roubles, and their account's id."""
    admin = await service.admin()
    account = await admin.open()
    await admin.deposit("1000", account.id)
    return admin, account.id


async def replayed(call: object) -> bool:
    """Whether a call of the client was given the stored answer of an earlier one."""
    await call  # type: ignore[misc]
    trailers = tuple(await call.trailing_metadata())  # type: ignore[attr-defined]
    return ("idempotency-replayed", "true") in trailers


async def refused(call: Awaitable[object]) -> BalanceError:
    """The error of a call that must be refused."""
    with pytest.raises(BalanceError) as error:
        await call
    return error.value


async def reason(call: Awaitable[object]) -> str:
    """The reason of a call that must be refused."""
    return (await refused(call)).reason


async def start_within(settings: Settings) -> Service:
    """Starts a service in the running event loop."""
    mailbox = Mailbox()
    built = app.build(settings, mailbox)
    await built.start()
    http = Http(f"http://127.0.0.1:{built.door.http_port}" if built.door.http_port else "")
    return Service(f"127.0.0.1:{built.door.port}", settings, mailbox, built, http)


async def start_beside(settings: Settings) -> Service:
    """Starts a worker in a process of its own, behind the door that its settings name."""
    grpc_port, http_port = stage.free_ports(2)
    settings = settings.model_copy(update={"grpc_port": grpc_port, "http_port": http_port})
    # Not within pytest's folder: the path of a socket has room for 108 bytes.
    folder = Path(tempfile.mkdtemp())
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "balance_service", "worker"],
            env=settings.environment() | {"TMPDIR": str(folder)},
            stderr=log,
        )
    async with asyncio.timeout(60):
        while b"worker_started" not in (folder / "log").read_bytes():
            assert process.poll() is None, (folder / "log").read_text()
            await asyncio.sleep(0.05)
    http = Http(settings.http_url if settings.http else "")
    mailbox = MailboxFile(settings.mailbox)
    return Service(settings.grpc_target, settings, mailbox, process, http, log=folder / "log")


async def stop_service(service: Service) -> None:
    """Stops a service and its clients."""
    for client in service.clients:
        await client.close()
    await service.http.client.close()
    if isinstance(service.running, app.App):
        await service.running.stop()
    else:
        service.running.terminate()
        status = await asyncio.to_thread(service.running.wait, 40)
        assert service.log, "where it was started"
        logged = service.log.read_text()
        shutil.rmtree(service.log.parent)
        assert (status, "Exception in callback" in logged) == (0, False), logged


def free_port() -> int:
    """A port that nothing listens on."""
    return stage.free_ports(1)[0]
