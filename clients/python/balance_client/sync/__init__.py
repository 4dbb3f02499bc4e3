"""The client for threads. Change `balance_client.aio` alone: `make protos` makes `sync` from it."""

from balance_client.sync.client import Client
from balance_client.sync.credentials import (
    Credentials,
    ServiceCredentials,
    UserCredentials,
)
from balance_client.sync.lists import each

__all__ = [
    "Client",
    "Credentials",
    "ServiceCredentials",
    "UserCredentials",
    "each",
]
