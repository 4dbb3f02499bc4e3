"""The client for asyncio."""

from collections.abc import Sequence
from typing import Self

import grpc

from balance_client._generated.services_aio import (
    AsyncAccountService,
    AsyncApprovalService,
    AsyncAuditService,
    AsyncAuthService,
    AsyncBatchService,
    AsyncDepositService,
    AsyncExchangeService,
    AsyncHoldService,
    AsyncLedgerService,
    AsyncMovementService,
    AsyncProofService,
    AsyncPurchaseService,
    AsyncRateService,
    AsyncReportService,
    AsyncReversalService,
    AsyncScheduleService,
    AsyncStatementService,
    AsyncTransferService,
    AsyncUserService,
    AsyncWebhookService,
    AsyncWithdrawalService,
)
from balance_client.aio.calls import AsyncCaller
from balance_client.aio.credentials import AsyncCredentials
from balance_client.aio.events import AsyncEvents
from balance_client.aio.seam import AsyncInterceptor, open_channel
from balance_client.aio.shortcuts import AsyncShortcuts
from balance_client.policy import ChannelOptions, RetryPolicy, channel_options


class AsyncClient(AsyncShortcuts):
    """A channel to the balance service, with a typed face for each of its services, and a method of
    its own for each of what is called most.

    Args:
        target: Where the service listens, such as `balance:50051`.
        credentials: Who calls; None for public methods only.
        channel_credentials: TLS; None for a plain channel.
        policy: How failed calls are repeated.
        language: Of the messages for people in errors, as in HTTP's `accept-language`, such as
            `ru`; English where it is empty or not spoken.
        options: Channel arguments of gRPC's.
        interceptors: Of gRPC's for asyncio, the first outermost. They see every attempt of a call,
            with its request id and its token.
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
        interceptors: Sequence[AsyncInterceptor] = (),
    ) -> None:
        policy = policy or RetryPolicy()
        self._credentials = credentials
        self._channel = open_channel(
            target, channel_credentials, channel_options(options), interceptors
        )
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
        self.movements = AsyncMovementService(somebody)
        self.reversals = AsyncReversalService(somebody)
        self.statements = AsyncStatementService(somebody)
        self.proofs = AsyncProofService(somebody)
        self.schedules = AsyncScheduleService(somebody)
        self.reports = AsyncReportService(somebody)
        self.exchanges = AsyncExchangeService(somebody)
        self.rates = AsyncRateService(somebody)
        self.approvals = AsyncApprovalService(somebody)
        self.events = AsyncEvents(somebody)
        self.audits = AsyncAuditService(somebody)
        self.ledgers = AsyncLedgerService(somebody)
        self.webhooks = AsyncWebhookService(somebody)

    async def close(self) -> None:
        """Closes the channel, when the answer to a refresh token under way has come."""
        if self._credentials:
            await self._credentials.finish()
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
