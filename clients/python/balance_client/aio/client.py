"""The client for asyncio."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from balance_client._generated.services_aio import (
    AsyncAccountService,
    AsyncApprovalService,
    AsyncAuditService,
    AsyncAuthService,
    AsyncBatchService,
    AsyncDepositService,
    AsyncExchangeService,
    AsyncHoldService,
    AsyncPurchaseService,
    AsyncRateService,
    AsyncReversalService,
    AsyncTransferService,
    AsyncUserService,
    AsyncWithdrawalService,
)
from balance_client.aio.calls import AsyncCaller, AsyncUnary
from balance_client.aio.credentials import AsyncCredentials
from balance_client.aio.seam import open_channel
from balance_client.policy import ChannelOptions, RetryPolicy, channel_options

Request = TypeVar("Request", bound=Message)
Page = TypeVar("Page", bound=Message)
Item = TypeVar("Item")


class AsyncClient:
    """A channel to the balance service, with a typed face for each of its services.

    Args:
        target: Where the service listens, such as `balance:50051`.
        credentials: Who calls; None for public methods only.
        channel_credentials: TLS; None for a plain channel.
        policy: How failed calls are repeated.
        language: Of the messages for people in errors, as in HTTP's `accept-language`, such as
            `ru`; English where it is empty or not spoken.
        options: Channel arguments of gRPC's.
    """

    def __init__(
        self,
        target: str,
        credentials: AsyncCredentials | None = None,
        *,
        channel_credentials: grpc.ChannelCredentials | None = None,
        policy: RetryPolicy | None = None,
        language: str = "",
        options: ChannelOptions = (),
    ) -> None:
        policy = policy or RetryPolicy()
        self._credentials = credentials
        self._channel = open_channel(target, channel_credentials, channel_options(options))
        anybody = AsyncCaller(self._channel, policy, language)
        self.auth = AsyncAuthService(anybody)
        somebody = AsyncCaller(
            self._channel, policy, language, (credentials, self.auth) if credentials else None
        )
        self.users = AsyncUserService(somebody)
        self.accounts = AsyncAccountService(somebody)
        self.deposits = AsyncDepositService(somebody)
        self.withdrawals = AsyncWithdrawalService(somebody)
        self.purchases = AsyncPurchaseService(somebody)
        self.transfers = AsyncTransferService(somebody)
        self.batches = AsyncBatchService(somebody)
        self.holds = AsyncHoldService(somebody)
        self.reversals = AsyncReversalService(somebody)
        self.exchanges = AsyncExchangeService(somebody)
        self.rates = AsyncRateService(somebody)
        self.approvals = AsyncApprovalService(somebody)
        self.audits = AsyncAuditService(somebody)

    async def close(self) -> None:
        """Closes the channel, when the answer to a refresh token under way has come."""
        if self._credentials:
            await self._credentials.finish()
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def async_each(
    method: AsyncUnary[Request, Page],
    request: Request,
    items: Callable[[Page], Iterable[Item]],
) -> AsyncIterator[Item]:
    """Every item of a list, page by page.

    Args:
        method: A list method, such as `client.accounts.ListEntries`.
        request: Its request; its page_token is where the list starts, and its skip is how many
            items are left out there.
        items: Takes the items out of an answer.
    """
    page_request: Any = type(request)()
    page_request.CopyFrom(request)
    while True:
        page: Any = await method(page_request)
        for item in items(page):
            yield item
        if not page.next_page_token:
            return
        page_request.page_token = page.next_page_token
        # Both are for the first page: each of the others would skip and count again.
        page_request.ClearField("skip")
        page_request.ClearField("count_total")
