"""The client for threads."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, Self, TypeVar

import grpc
from google.protobuf.message import Message

from balance_client import errors, v1
from balance_client._generated.balance.v1 import (
    account_pb2_grpc,
    auth_pb2_grpc,
    deposit_pb2_grpc,
    purchase_pb2_grpc,
    transfer_pb2_grpc,
    user_pb2_grpc,
    withdrawal_pb2_grpc,
)
from balance_client.policy import (
    AUTH_PREFIX,
    TOKEN_TIMEOUT_SECONDS,
    Attempts,
    ChannelOptions,
    RetryPolicy,
    channel_options,
    needs_renewal,
    with_request_id,
)

Request = TypeVar("Request", bound=Message)
Page = TypeVar("Page")
Item = TypeVar("Item")


class Credentials(Protocol):
    """Gets and renews access tokens."""

    def renew(self, auth: auth_pb2_grpc.AuthServiceStub) -> v1.Token:
        """A fresh access token."""


class ServiceCredentials:
    """A sibling service's client id and secret."""

    def __init__(self, client_id: str, client_secret: str) -> None:
        self._request = v1.CreateTokenRequest(client_id=client_id, client_secret=client_secret)

    def renew(self, auth: auth_pb2_grpc.AuthServiceStub) -> v1.Token:
        return auth.CreateToken(self._request, timeout=TOKEN_TIMEOUT_SECONDS)


class UserCredentials:
    """The tokens of a user's sign-in.

    Args:
        token: What CreateToken answered, or the last that was kept.
        keep: Called with each new token; a refresh token works once, so whoever stores it must
            store the new one.
    """

    def __init__(self, token: v1.Token, keep: Callable[[v1.Token], None] | None = None) -> None:
        self._token = token
        self._keep = keep

    def renew(self, auth: auth_pb2_grpc.AuthServiceStub) -> v1.Token:
        if needs_renewal(self._token):
            request = v1.RefreshTokenRequest(refresh_token=self._token.refresh_token)
            self._token = auth.RefreshToken(request, timeout=TOKEN_TIMEOUT_SECONDS)
            if self._keep:
                self._keep(self._token)
        return self._token


class _Details(grpc.ClientCallDetails):
    """Call details with our metadata and what is left of the call's time."""

    def __init__(
        self, details: grpc.ClientCallDetails, timeout: float | None, token: str | None
    ) -> None:
        self.method = details.method
        self.timeout = timeout
        extra = (("authorization", f"Bearer {token}"),) if token else ()
        self.metadata = (*(details.metadata or ()), *extra)
        self.credentials = details.credentials
        self.wait_for_ready = details.wait_for_ready
        self.compression = details.compression


class _Interceptor(grpc.UnaryUnaryClientInterceptor):
    """Request ids, tokens, retries and typed errors, for every call."""

    def __init__(self, token: Callable[[], str | None], policy: RetryPolicy) -> None:
        self._token = token
        self._policy = policy

    def intercept_unary_unary(
        self,
        continuation: Callable[..., Any],
        client_call_details: grpc.ClientCallDetails,
        request: Any,  # noqa: ANN401 - of any method
    ) -> Any:  # noqa: ANN401
        method = client_call_details.method
        request = with_request_id(request)
        attempts = Attempts(self._policy, method, request, client_call_details.timeout)
        while True:
            token = None if method.startswith(AUTH_PREFIX) else self._token()
            details = _Details(client_call_details, attempts.remaining_seconds, token)
            call = continuation(details, request)
            if call.code() == grpc.StatusCode.OK:
                return call
            error = errors.from_call(call.code(), call.details(), call.trailing_metadata())
            pause = attempts.pause_seconds(error)
            if pause is None:
                raise error
            time.sleep(pause)


class _StreamInterceptor(grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Tokens and typed errors for streams, which are not retried: their caller knows from where."""

    def __init__(self, token: Callable[[], str | None]) -> None:
        self._token = token

    def intercept_unary_stream(
        self,
        continuation: Callable[..., Any],
        client_call_details: grpc.ClientCallDetails,
        request: Any,  # noqa: ANN401 - of any method
    ) -> Any:  # noqa: ANN401
        details = _Details(client_call_details, client_call_details.timeout, self._token())
        return _Stream(continuation(details, request))

    def intercept_stream_stream(
        self,
        continuation: Callable[..., Any],
        client_call_details: grpc.ClientCallDetails,
        request_iterator: Any,  # noqa: ANN401 - of any method
    ) -> Any:  # noqa: ANN401
        return self.intercept_unary_stream(continuation, client_call_details, request_iterator)


class _Stream:
    """The messages of a stream, until it ends or is cancelled."""

    def __init__(self, call: Any) -> None:  # noqa: ANN401 - of any method
        self._call = call

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        try:
            message: Message = next(self._call)
        except grpc.RpcError:
            raise errors.from_call(
                self._call.code(), self._call.details(), self._call.trailing_metadata()
            ) from None
        return message

    def cancel(self) -> None:
        """Ends the stream from this side."""
        self._call.cancel()


class Client:
    """A channel to the balance service, with a typed stub for each of its services.

    Args:
        target: Where the service listens, such as `balance:50051`.
        credentials: Who calls; None for public methods only.
        channel_credentials: TLS; None for a plain channel.
        policy: How failed calls are repeated.
        options: Channel arguments of gRPC's.
    """

    def __init__(
        self,
        target: str,
        credentials: Credentials | None = None,
        *,
        channel_credentials: grpc.ChannelCredentials | None = None,
        policy: RetryPolicy | None = None,
        options: ChannelOptions = (),
    ) -> None:
        arguments = channel_options(options)
        self._credentials = credentials
        self._lock = threading.Lock()
        self._known: v1.Token | None = None
        self._channel = (
            grpc.secure_channel(target, channel_credentials, arguments)
            if channel_credentials
            else grpc.insecure_channel(target, arguments)
        )
        channel = grpc.intercept_channel(
            self._channel,
            _Interceptor(self._token, policy or RetryPolicy()),
            _StreamInterceptor(self._token),
        )
        self.auth = auth_pb2_grpc.AuthServiceStub(channel)
        self.users = user_pb2_grpc.UserServiceStub(channel)
        self.accounts = account_pb2_grpc.AccountServiceStub(channel)
        self.deposits = deposit_pb2_grpc.DepositServiceStub(channel)
        self.withdrawals = withdrawal_pb2_grpc.WithdrawalServiceStub(channel)
        self.purchases = purchase_pb2_grpc.PurchaseServiceStub(channel)
        self.transfers = transfer_pb2_grpc.TransferServiceStub(channel)

    def _token(self) -> str | None:
        if self._credentials is None:
            return None
        with self._lock:
            known = self._known
            if known is None or needs_renewal(known):
                known = self._known = self._credentials.renew(self.auth)
            return known.token

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def each(
    method: Callable[[Request], Page], request: Request, items: Callable[[Page], Iterable[Item]]
) -> Iterator[Item]:
    """Every item of a list, page by page.

    Args:
        method: A list method, such as `client.accounts.ListEntries`.
        request: Its request; its page_token is where the list starts.
        items: Takes the items out of an answer.
    """
    page_request: Any = type(request)()
    page_request.CopyFrom(request)
    while True:
        page: Any = method(page_request)
        yield from items(page)
        if not page.next_page_token:
            return
        page_request.page_token = page.next_page_token
