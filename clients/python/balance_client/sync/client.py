"""The client for threads."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from balance_client._generated.services_sync import (
    AccountService,
    ApprovalService,
    AuditService,
    AuthService,
    BatchService,
    DepositService,
    ExchangeService,
    HoldService,
    PurchaseService,
    RateService,
    ReversalService,
    TransferService,
    UserService,
    WithdrawalService,
)
from balance_client.policy import ChannelOptions, RetryPolicy, channel_options
from balance_client.sync.calls import Caller, Unary
from balance_client.sync.credentials import Credentials
from balance_client.sync.seam import open_channel

Request = TypeVar("Request", bound=Message)
Page = TypeVar("Page", bound=Message)
Item = TypeVar("Item")


class Client:
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
        credentials: Credentials | None = None,
        *,
        channel_credentials: grpc.ChannelCredentials | None = None,
        policy: RetryPolicy | None = None,
        language: str = "",
        options: ChannelOptions = (),
    ) -> None:
        policy = policy or RetryPolicy()
        self._credentials = credentials
        self._channel = open_channel(target, channel_credentials, channel_options(options))
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
        self.reversals = ReversalService(somebody)
        self.exchanges = ExchangeService(somebody)
        self.rates = RateService(somebody)
        self.approvals = ApprovalService(somebody)
        self.audits = AuditService(somebody)

    def close(self) -> None:
        """Closes the channel, when the answer to a refresh token under way has come."""
        if self._credentials:
            self._credentials.finish()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def each(
    method: Unary[Request, Page],
    request: Request,
    items: Callable[[Page], Iterable[Item]],
) -> Iterator[Item]:
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
        page: Any = method(page_request)
        for item in items(page):
            yield item
        if not page.next_page_token:
            return
        page_request.page_token = page.next_page_token
        # Both are for the first page: each of the others would skip and count again.
        page_request.ClearField("skip")
        page_request.ClearField("count_total")
