"""Calls: request ids, tokens, retries and typed errors."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import grpc
from google.protobuf.message import Message

from balance_client import errors, log
from balance_client._generated.reason import Reason
from balance_client.policy import Attempts, Metadata, RetryPolicy, repeatable, with_request_id
from balance_client.sync.credentials import Credentials
from balance_client.sync.requests import Requests
from balance_client.sync.seam import (
    Trailers,
    answer,
    begin,
    hides_status,
    iterate,
    send,
    sleep,
)

if TYPE_CHECKING:
    from balance_client._generated.services_sync import AuthService

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

_REFUSED_TOKEN = {Reason.TOKEN_INVALID, Reason.TOKEN_EXPIRED}


@dataclass(frozen=True, slots=True)
class Caller:
    """What the calls of a client share.

    Args:
        channel: Where they go.
        policy: How they are repeated.
        language: As in HTTP's `accept-language`; empty for none.
        credentials: Who calls, and whom they ask for tokens; None for public methods only.
    """

    channel: Any
    policy: RetryPolicy
    language: str
    credentials: "tuple[Credentials, AuthService] | None" = None

    def unary(
        self, method: str, request: type[Request], response: type[Response]
    ) -> "Unary[Request, Response]":
        """A method with one request and one answer."""
        stub = self.channel.unary_unary(method, *_codecs(request, response))
        return Unary(self, method, stub)

    def server_stream(
        self, method: str, request: type[Request], response: type[Response]
    ) -> "ServerStream[Request, Response]":
        """A method with one request and a stream of answers."""
        return ServerStream(self, self.channel.unary_stream(method, *_codecs(request, response)))

    def duplex_stream(
        self, method: str, request: type[Request], response: type[Response]
    ) -> "DuplexStream[Request, Response]":
        """A method with a stream of requests and a stream of answers."""
        return DuplexStream(self, self.channel.stream_stream(method, *_codecs(request, response)))


def _codecs(request: type[Message], response: type[Message]) -> tuple[Any, Any]:
    return request.SerializeToString, response.FromString


class _Entry:
    """How one call gets in: its metadata, with a token that is renewed once if it is refused."""

    def __init__(self, caller: Caller, metadata: Metadata | None) -> None:
        given = tuple(metadata or ())
        names = {name.lower() for name, _ in given}
        if caller.language and "accept-language" not in names:
            given = (*given, ("accept-language", caller.language))
        self._given = given
        self._policy = caller.policy
        # A caller's own token is the caller's affair.
        self._credentials = None if "authorization" in names else caller.credentials
        self._token = ""
        self._renewed = False

    def metadata(self, attempts: Attempts) -> tuple[tuple[str, str | bytes], ...]:
        """The metadata to send now."""
        if self._credentials is None:
            return self._given
        credentials, auth = self._credentials
        left = attempts.remaining_seconds
        self._token = credentials.token(auth, self._policy, left)
        return (*self._given, ("authorization", f"Bearer {self._token}"))

    def renews(self, error: errors.BalanceError) -> bool:
        """Whether a failed call is worth another attempt with another token."""
        refused = (
            error.code() == grpc.StatusCode.UNAUTHENTICATED and error.reason in _REFUSED_TOKEN
        ) or hides_status(error)
        if self._credentials is None or self._renewed or not refused:
            return False
        self._renewed = True
        self._credentials[0].refused(self._token)
        return True


class Unary(Generic[Request, Response]):
    """A method with one request and one answer."""

    def __init__(self, caller: Caller, method: str, stub: Any) -> None:  # noqa: ANN401
        self._caller = caller
        self._method = method
        self._stub = stub

    def __call__(
        self, request: Request, *, timeout: float | None = None, metadata: Metadata | None = None
    ) -> Response:
        """Calls the method.

        Args:
            request: Gets a fresh `request_id` if it takes one and has none.
            timeout: Seconds for all attempts and for getting a token; None takes the policy's.
            metadata: Sent besides the client's own.

        Raises:
            BalanceError: The call was refused, or failed.
        """
        return answer(partial(self._send, request, timeout, metadata))

    def with_trailers(
        self, request: Request, *, timeout: float | None = None, metadata: Metadata | None = None
    ) -> tuple[Response, Trailers]:
        """Calls the method; its answer, and what the service said besides, in trailing metadata."""
        return self._send(request, timeout, metadata)

    def _send(
        self, request: Request, timeout: float | None, metadata: Metadata | None
    ) -> tuple[Response, Trailers]:
        request = with_request_id(request)
        again = repeatable(self._method, request)
        attempts = Attempts(self._caller.policy, timeout, repeatable=again)
        entry = _Entry(self._caller, metadata)
        while True:
            given = entry.metadata(attempts)
            left = attempts.remaining_seconds
            attempt = log.Attempt(self._method, request)
            try:
                # A connection is waited for: the time is limited, and nothing is sent without one.
                answered = send(
                    self._stub, request, timeout=left, metadata=given, wait_for_ready=True
                )
            except grpc.RpcError as failure:
                error = errors.from_failure(failure)
            else:
                attempt.succeeded()
                return answered
            attempt.failed(error)
            if entry.renews(error):
                continue
            pause = attempts.pause_seconds(error)
            if pause is None:
                raise error
            log.tell_pause(self._method, pause)
            sleep(pause)


class Stream(Generic[Response]):
    """The answers of a stream, until it ends or is cancelled.

    It is not repeated, for its caller alone knows from where; but if the service refuses its token
    before the first answer, it is begun again with another.
    """

    def __init__(
        self,
        entry: _Entry,
        attempts: Attempts,
        timeout: float | None,
        begin_call: Callable[..., Any],
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        self._entry = entry
        self._attempts = attempts
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._begin_call = begin_call
        self._tell_answered = answered
        self._answered = False
        self._call: Any = None
        self._opening: Any = begin(self._open)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Response:
        while True:
            if self._call is None:
                self._call = self._opening
            try:
                message: Response = next(iter(self._call))
            except grpc.RpcError as failure:
                error = errors.from_failure(failure)
            else:
                if not self._answered:
                    self._answered = True
                    self._tell_answered()
                return message
            if self._answered or not self._entry.renews(error):
                raise error
            self._call = None
            self._opening = begin(self._open)

    def cancel(self) -> None:
        """Ends the stream from this side."""
        ending = self._opening if self._call is None else self._call
        ending.cancel()

    def _open(self) -> Any:  # noqa: ANN401 - a call of gRPC's
        metadata = self._entry.metadata(self._attempts)
        left = None if self._deadline is None else max(self._deadline - time.monotonic(), 0.0)
        return self._begin_call(timeout=left, metadata=metadata)


class ServerStream(Generic[Request, Response]):
    """A method with one request and a stream of answers."""

    def __init__(self, caller: Caller, stub: Any) -> None:  # noqa: ANN401
        self._caller = caller
        self._stub = stub

    def __call__(
        self, request: Request, *, timeout: float | None = None, metadata: Metadata | None = None
    ) -> Stream[Response]:
        """Begins a stream.

        Args:
            request: What is asked.
            timeout: Seconds that it may last; None for no limit.
            metadata: Sent besides the client's own.
        """
        attempts = Attempts(self._caller.policy, timeout, repeatable=False)
        entry = _Entry(self._caller, metadata)
        return Stream(entry, attempts, timeout, partial(self._stub, request))


class DuplexStream(Generic[Request, Response]):
    """A method with a stream of requests and a stream of answers."""

    def __init__(self, caller: Caller, stub: Any) -> None:  # noqa: ANN401
        self._caller = caller
        self._stub = stub

    def __call__(
        self,
        requests: Iterable[Request],
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
    ) -> Stream[Response]:
        """Begins a stream.

        Args:
            requests: What is asked, as it comes.
            timeout: Seconds that it may last; None for no limit.
            metadata: Sent besides the client's own.
        """
        asked = Requests(iterate(requests))
        return self._begin(asked, timeout, metadata, asked.settle)

    def resumed(
        self,
        requests: Iterable[Request],
        *,
        metadata: Metadata | None = None,
    ) -> "ResumedStream[Request, Response]":
        """Begins a stream that goes on after a break, until all requests have their outcomes.

        Args:
            requests: What is asked, as it comes; each gets a fresh `request_id` if it has none.
            metadata: Sent besides the client's own.
        """
        asked = Requests(iterate(requests), with_request_id)

        def begin_stream() -> Stream[Response]:
            return self._begin(asked, None, metadata)

        return ResumedStream(begin_stream, asked, self._caller.policy)

    def _begin(
        self,
        asked: Requests[Request],
        timeout: float | None,
        metadata: Metadata | None,
        answered: Callable[[], None] = lambda: None,
    ) -> Stream[Response]:
        attempts = Attempts(self._caller.policy, timeout, repeatable=False)
        entry = _Entry(self._caller, metadata)

        def begin_call(**options: Any) -> Any:  # noqa: ANN401 - of gRPC's
            return self._stub(asked.from_the_first(), **options)

        return Stream(entry, attempts, timeout, begin_call, answered)


class ResumedStream(Generic[Request, Response]):
    """Requests with their outcomes, in order, over as many streams as it takes.

    When a stream breaks, what has no outcome is sent again on another, with its ids; so each is
    carried out once. It ends with an error that does not pass, or after as many breaks without an
    outcome between them as the policy has attempts.
    """

    def __init__(
        self,
        begin_stream: Callable[[], Stream[Response]],
        asked: Requests[Request],
        policy: RetryPolicy,
    ) -> None:
        self._begin_stream = begin_stream
        self._asked = asked
        self._policy = policy
        self._stream = begin_stream()
        # Since the last outcome; None before the first break after it.
        self._attempts: Attempts | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Request, Response]:
        while True:
            try:
                outcome = next(self._stream)
            except errors.BalanceError as error:
                pause = self._pause_seconds(error)
                if pause is None:
                    raise
            else:
                self._attempts = None
                return self._asked.answered(), outcome
            sleep(pause)
            self._stream = self._begin_stream()

    def cancel(self) -> None:
        """Ends the stream from this side."""
        self._stream.cancel()

    def _pause_seconds(self, error: errors.BalanceError) -> float | None:
        # A token ends during a stream; the next one begins with another.
        if self._attempts is None and error.reason in _REFUSED_TOKEN:
            self._attempts = Attempts(self._policy, None, repeatable=True)
            return 0.0
        self._attempts = self._attempts or Attempts(self._policy, None, repeatable=True)
        return self._attempts.pause_seconds(error)
