"""A service that tests run against, real or in memory, and who calls it."""

from contextlib import ExitStack
from dataclasses import dataclass, field

from balance_client import v1
from balance_client.aio import AsyncClient, AsyncServiceCredentials, AsyncUserCredentials
from balance_client.sync import Client, Credentials, ServiceCredentials, UserCredentials
from balance_client.values import Amount


class NotInstalled(LookupError):  # noqa: N818 - it is what it says
    """There is no balance service here to start."""


@dataclass(frozen=True)
class User:
    """A user who has signed in.

    Args:
        id: The user's id.
        email: A fresh address; empty in memory.
        account: The id of an account of theirs.
        number: Its public number, for transfers.
        client: Calls as this user, for threads; it is closed with the service.
    """

    id: str
    email: str
    account: str
    number: str
    client: Client
    _target: str = field(repr=False)
    _token: v1.Token = field(repr=False)

    def async_client(self) -> AsyncClient:
        """A client for asyncio, which whoever asked for it closes."""
        return AsyncClient(self._target, AsyncUserCredentials(self._token))


class Service:
    """A service that runs.

    Args:
        grpc: Its address for gRPC, without TLS.
        client_id: Of a sibling service that may do everything.
        client_secret: That service's secret.
    """

    def __init__(self, grpc: str, client_id: str, client_secret: str) -> None:
        self.grpc = grpc
        self.client_id = client_id
        self.client_secret = client_secret
        self._clients = ExitStack()
        self._ours: Client | None = None

    def client(self) -> Client:
        """Calls as the sibling service, for threads; it is closed with the service."""
        if self._ours is None:
            self._ours = self.connect(ServiceCredentials(self.client_id, self.client_secret))
        return self._ours

    def async_client(self) -> AsyncClient:
        """Calls as the sibling service with asyncio; whoever asked for it closes it."""
        return AsyncClient(self.grpc, AsyncServiceCredentials(self.client_id, self.client_secret))

    def connect(self, credentials: Credentials | None = None) -> Client:
        """A client with credentials of yours, for threads; it is closed with the service."""
        return self._clients.enter_context(Client(self.grpc, credentials))

    def user(self, amount: Amount = 1000, currency: str = "RUB") -> User:
        """A fresh user with an account, and money on it.

        Args:
            amount: How much; nothing if it is 0.
            currency: The account's.
        """
        email, token = self._sign_in_somebody()
        client = self.connect(UserCredentials(token))
        account = client.open_account(currency=currency)
        if amount:
            self.client().deposit(account.id, amount, currency)
        return User(account.user, email, account.id, account.number, client, self.grpc, token)

    def close(self) -> None:
        """Closes its clients."""
        self._clients.close()

    def _sign_in_somebody(self) -> tuple[str, v1.Token]:
        """The address of a new user, and the answer to their sign-in."""
        raise NotImplementedError
