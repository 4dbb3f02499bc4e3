"""The client for threads. Change `balance_client.aio` alone: `make protos` makes `sync` from it."""

from balance_client.sync.client import Client, each
from balance_client.sync.credentials import (
    Credentials,
    ServiceCredentials,
    UserCredentials,
)

__all__ = [
    "Client",
    "Credentials",
    "ServiceCredentials",
    "UserCredentials",
    "each",
]
