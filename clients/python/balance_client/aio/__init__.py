"""The client for asyncio. Change `balance_client.aio` alone: `make protos` makes `sync` from it."""

from balance_client.aio.client import AsyncClient, async_each
from balance_client.aio.credentials import (
    AsyncCredentials,
    AsyncServiceCredentials,
    AsyncUserCredentials,
)

__all__ = [
    "AsyncClient",
    "AsyncCredentials",
    "AsyncServiceCredentials",
    "AsyncUserCredentials",
    "async_each",
]
