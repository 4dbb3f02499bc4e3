"""Typed client of the balance service, for threads and for asyncio."""

from balance_client import v1
from balance_client._generated.reason import Reason
from balance_client.aio import (
    AsyncClient,
    AsyncCredentials,
    AsyncServiceCredentials,
    AsyncUserCredentials,
    async_each,
)
from balance_client.errors import BalanceError, Violation
from balance_client.policy import RetryPolicy
from balance_client.sync import Client, Credentials, ServiceCredentials, UserCredentials, each

__all__ = [
    "AsyncClient",
    "AsyncCredentials",
    "AsyncServiceCredentials",
    "AsyncUserCredentials",
    "BalanceError",
    "Client",
    "Credentials",
    "Reason",
    "RetryPolicy",
    "ServiceCredentials",
    "UserCredentials",
    "Violation",
    "async_each",
    "each",
    "v1",
]
