"""The client for asyncio. Change `balance_client.aio` alone: `make protos` makes `sync` from it."""

from balance_client.aio.client import AsyncClient
from balance_client.aio.credentials import (
    AsyncCredentials,
    AsyncServiceCredentials,
    AsyncUserCredentials,
)
from balance_client.aio.lists import async_each

__all__ = [
    "AsyncClient",
    "AsyncCredentials",
    "AsyncServiceCredentials",
    "AsyncUserCredentials",
    "async_each",
]
