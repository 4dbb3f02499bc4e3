"""Typed client of the balance service, for threads and for asyncio."""

from balance_client import v1
from balance_client.aio import (
    AsyncClient,
    AsyncServiceCredentials,
    AsyncUserCredentials,
    async_each,
)
from balance_client.errors import BalanceError, Violation
from balance_client.policy import RetryPolicy
from balance_client.sync import Client, ServiceCredentials, UserCredentials, each

__all__ = [
    "AsyncClient",
    "AsyncServiceCredentials",
    "AsyncUserCredentials",
    "BalanceError",
    "Client",
    "RetryPolicy",
    "ServiceCredentials",
    "UserCredentials",
    "Violation",
    "async_each",
    "each",
    "v1",
]
