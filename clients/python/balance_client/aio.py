"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

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

if TYPE_CHECKING:
    # The stubs are one class at run time; only the type checker tells the two kinds apart.
    from balance_client._generated.balance.v1.auth_pb2_grpc import AuthServiceAsyncStub

Request = TypeVar("Request", bound=Message)
Page = TypeVar("Page")
Item = TypeVar("Item")


class AsyncCredentials(Protocol):
    """Gets and renews access tokens."""

    async def renew(self, auth: "AuthServiceAsyncStub") -> v1.Token:
        """A fresh access token."""


class AsyncServiceCredentials:
    """A sibling service's client id and secret."""

    def __init__(self, client_id: str, client_secret: str) -> None:
        self._request = v1.CreateTokenRequest(client_id=client_id, client_secret=client_secret)

    async def renew(self, auth: "AuthServiceAsyncStub") -> v1.Token:
        return await auth.CreateToken(self._request, timeout=TOKEN_TIMEOUT_SECONDS)


class AsyncUserCredentials:
    """The tokens of a user's sign-in.

    Args:
        token: What CreateToken answered, or the last that was kept.
        keep: Called with each new token; a refresh token works once, so whoever stores it must
            store the new one.
    """

    def __init__(self, token: v1.Token, keep: Callable[[v1.Token], None] | None = None) -> None:
        self._token = token
        self._keep = keep

    async def renew(self, auth: "AuthServiceAsyncStub") -> v1.Token:
        if needs_renewal(self._token):
            request = v1.RefreshTokenRequest(refresh_token=self._token.refresh_token)
            self._token = await auth.RefreshToken(request, timeout=TOKEN_TIMEOUT_SECONDS)
            if self._keep:
                self._keep(self._token)
        return self._token


class _Interceptor(grpc.aio.UnaryUnaryClientInterceptor):
    """Request ids, tokens, retries and typed errors, for every call."""

    def __init__(self, token: Callable[[], Awaitable[str | None]], policy: RetryPolicy) -> None:
        self._token = token
        self._policy = policy

    async def intercept_unary_unary(
        self,
        continuation: Callable[..., Awaitable[Any]],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,  # noqa: ANN401 - of any method
    ) -> Any:  # noqa: ANN401
        method: Any = client_call_details.method
        method = method.decode() if isinstance(method, bytes) else method
        request = with_request_id(request)
        attempts = Attempts(self._policy, method, request, client_call_details.timeout)
        while True:
            token = None if method.startswith(AUTH_PREFIX) else await self._token()
            details = _details(client_call_details, attempts.remaining_seconds, token)
            call = await continuation(details, request)
            code = await call.code()
            if code == grpc.StatusCode.OK:
                return call
            trailers = await call.trailing_metadata()
            error = errors.from_call(code, await call.details(), trailers)
            pause = attempts.pause_seconds(error)
            if pause is None:
                raise error
            await asyncio.sleep(pause)


class _StreamInterceptor(grpc.aio.UnaryStreamClientInterceptor):
    """Tokens and typed errors for streams, which are not retried: their caller knows from where."""

    def __init__(self, token: Callable[[], Awaitable[str | None]]) -> None:
        self._token = token

    async def intercept_unary_stream(
        self,
        continuation: Callable[..., Awaitable[Any]],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,  # noqa: ANN401 - of any method
    ) -> Any:  # noqa: ANN401
        token = await self._token()
        details = _details(client_call_details, client_call_details.timeout, token)
        return _messages(await continuation(details, request))


class _DuplexInterceptor(grpc.aio.StreamStreamClientInterceptor):
    """The same for calls with a stream each way, which gRPC wants an object of its own for."""

    def __init__(self, streams: _StreamInterceptor) -> None:
        self._streams = streams

    async def intercept_stream_stream(
        self,
        continuation: Callable[..., Awaitable[Any]],
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: Any,  # noqa: ANN401 - of any method
    ) -> Any:  # noqa: ANN401
        begin = self._streams.intercept_unary_stream
        return await begin(continuation, client_call_details, request_iterator)


async def _messages(call: Any) -> AsyncIterator[Message]:  # noqa: ANN401 - of any method
    try:
        async for message in call:
            yield message
    except grpc.aio.AioRpcError as error:
        message = error.details() or ""
        raise errors.from_call(error.code(), message, error.trailing_metadata()) from None


def _details(
    details: grpc.aio.ClientCallDetails, timeout: float | None, token: str | None
) -> grpc.aio.ClientCallDetails:
    extra = (("authorization", f"Bearer {token}"),) if token else ()
    metadata = grpc.aio.Metadata(*(details.metadata or ()), *extra)
    return grpc.aio.ClientCallDetails(
        details.method, timeout, metadata, details.credentials, details.wait_for_ready
    )


class AsyncClient:
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
        credentials: AsyncCredentials | None = None,
        *,
        channel_credentials: grpc.ChannelCredentials | None = None,
        policy: RetryPolicy | None = None,
        options: ChannelOptions = (),
    ) -> None:
        arguments = channel_options(options)
        self._credentials = credentials
        self._lock = asyncio.Lock()
        self._known: v1.Token | None = None
        streams = _StreamInterceptor(self._token)
        interceptors = [
            _Interceptor(self._token, policy or RetryPolicy()),
            streams,
            _DuplexInterceptor(streams),
        ]
        self._channel = channel = (
            grpc.aio.secure_channel(
                target, channel_credentials, arguments, interceptors=interceptors
            )
            if channel_credentials
            else grpc.aio.insecure_channel(target, arguments, interceptors=interceptors)
        )
        self.auth = auth_pb2_grpc.AuthServiceStub(channel)
        self.users = user_pb2_grpc.UserServiceStub(channel)
        self.accounts = account_pb2_grpc.AccountServiceStub(channel)
        self.deposits = deposit_pb2_grpc.DepositServiceStub(channel)
        self.withdrawals = withdrawal_pb2_grpc.WithdrawalServiceStub(channel)
        self.purchases = purchase_pb2_grpc.PurchaseServiceStub(channel)
        self.transfers = transfer_pb2_grpc.TransferServiceStub(channel)

    async def _token(self) -> str | None:
        if self._credentials is None:
            return None
        async with self._lock:
            known = self._known
            if known is None or needs_renewal(known):
                known = self._known = await self._credentials.renew(self.auth)
            return known.token

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def async_each(
    method: Callable[[Request], Awaitable[Page]],
    request: Request,
    items: Callable[[Page], Iterable[Item]],
) -> AsyncIterator[Item]:
    """Every item of a list, page by page.

    Args:
        method: A list method, such as `client.accounts.ListEntries`.
        request: Its request; its page_token is where the list starts.
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
