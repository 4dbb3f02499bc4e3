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
from balance_client.receipts import CheckedReceipt, Proved, ReceiptInvalid, check_receipt
from balance_client.sync import Client, Credentials, ServiceCredentials, UserCredentials, each
from balance_client.values import Amount, Balance, Money, money, to_decimal
from balance_client.webhooks import WebhookInvalid, verify_webhook

__all__ = [
    "Amount",
    "AsyncClient",
    "AsyncCredentials",
    "AsyncServiceCredentials",
    "AsyncUserCredentials",
    "Balance",
    "BalanceError",
    "CheckedReceipt",
    "Client",
    "Credentials",
    "Money",
    "Proved",
    "Reason",
    "ReceiptInvalid",
    "RetryPolicy",
    "ServiceCredentials",
    "UserCredentials",
    "Violation",
    "WebhookInvalid",
    "async_each",
    "check_receipt",
    "each",
    "money",
    "to_decimal",
    "v1",
    "verify_webhook",
]
