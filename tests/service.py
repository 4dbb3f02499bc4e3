"""A service under test, and people and programs that call it."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

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
        request = v1.GetAccountRequest(account=account)
        return (await self.client.accounts.GetAccount(request)).balance


@dataclass
class Service:
    """A service running in the test's event loop."""

    target: str
    settings: Settings
    mailbox: Mailbox
    app: app.App
    http: Http
    clients: list[AsyncClient] = field(default_factory=list)

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
Verified = Callable[[], Awaitable[object]]


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


def free_port() -> int:
    """A port that nothing listens on."""
    return stage.free_ports(1)[0]
