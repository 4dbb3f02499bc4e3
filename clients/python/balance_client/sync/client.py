"""The client for threads."""

from collections.abc import Sequence
from typing import Self

import grpc

from balance_client._generated.services_sync import (
    AccountService,
    ApprovalService,
    AuditService,
    AuthService,
    BatchService,
    DepositService,
    ExchangeService,
    HoldService,
    LedgerService,
    MovementService,
    ProofService,
    PurchaseService,
    RateService,
    ReportService,
    ReversalService,
    ScheduleService,
    StatementService,
    TransferService,
    UserService,
    WebhookService,
    WithdrawalService,
)
from balance_client.policy import ChannelOptions, RetryPolicy, channel_options
from balance_client.sync.calls import Caller
from balance_client.sync.credentials import Credentials
from balance_client.sync.events import Events
from balance_client.sync.seam import Interceptor, open_channel
from balance_client.sync.shortcuts import Shortcuts


class Client(Shortcuts):
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
        interceptors: Of gRPC's for threads, the first outermost. They see every attempt of a call,
            with its request id and its token.
    """

    def __init__(
        self,
        target: str,
        credentials: Credentials | None = None,
        *,
        channel_credentials: grpc.ChannelCredentials | None = None,
        policy: RetryPolicy | None = None,
        language: str = "",
        options: ChannelOptions = (),
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        policy = policy or RetryPolicy()
        self._credentials = credentials
        self._channel = open_channel(
            target, channel_credentials, channel_options(options), interceptors
        )
        anybody = Caller(self._channel, policy, language)
        self.auth = AuthService(anybody)
        somebody = Caller(
            self._channel, policy, language, (credentials, self.auth) if credentials else None
        )
        self.users = UserService(somebody)
        self.accounts = AccountService(somebody)
        self.deposits = DepositService(somebody)
        self.withdrawals = WithdrawalService(somebody)
        self.purchases = PurchaseService(somebody)
        self.transfers = TransferService(somebody)
        self.batches = BatchService(somebody)
        self.holds = HoldService(somebody)
        self.movements = MovementService(somebody)
        self.reversals = ReversalService(somebody)
        self.statements = StatementService(somebody)
        self.proofs = ProofService(somebody)
        self.schedules = ScheduleService(somebody)
        self.reports = ReportService(somebody)
        self.exchanges = ExchangeService(somebody)
        self.rates = RateService(somebody)
        self.approvals = ApprovalService(somebody)
        self.events = Events(somebody)
        self.audits = AuditService(somebody)
        self.ledgers = LedgerService(somebody)
        self.webhooks = WebhookService(somebody)

    def close(self) -> None:
        """Closes the channel, when the answer to a refresh token under way has come."""
        if self._credentials:
            self._credentials.finish()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
