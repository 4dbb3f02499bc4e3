"""What both clients decide the same: which calls are safe to repeat, and when."""

import json
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from uuid import UUID

import grpc
from google.protobuf.message import Message

from balance_client._generated.balance.v1 import auth_pb2
from balance_client.errors import BalanceError

# A token is renewed this long before it expires.
RENEW_BEFORE_SECONDS = 30.0
TOKEN_TIMEOUT_SECONDS = 10.0

ChannelOptions = Sequence[tuple[str, str | int]]

# What clients in any language follow. The retry policy is followed here by the clients, which know
# more of a failure than its status, and the rest by gRPC.
_PUBLISHED = json.loads(resources.files(__package__).joinpath("service_config.json").read_text())
(_CALLS,) = _PUBLISHED["methodConfig"]
_RETRY = _CALLS["retryPolicy"]
_REPEATABLE = {f"/{name['service']}/{name['method']}" for name in _CALLS["name"]}
AUTH_PREFIX = "/balance.v1.AuthService/"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How failed calls are repeated; as the published service config says, unless told otherwise.

    Args:
        attempts_max: Attempts in all, the first included.
        backoff_seconds: The longest pause after the first attempt; it doubles with each.
        backoff_seconds_max: The longest pause at all.
        timeout_seconds: For all attempts of a call that is given no timeout.
    """

    attempts_max: int = _RETRY["maxAttempts"]
    backoff_seconds: float = float(_RETRY["initialBackoff"].removesuffix("s"))
    backoff_seconds_max: float = float(_RETRY["maxBackoff"].removesuffix("s"))
    timeout_seconds: float = float(_CALLS["timeout"].removesuffix("s"))


class Attempts:
    """The attempts of one call.

    Args:
        policy: How often and how fast.
        method: The full method name.
        request: The request, which is repeated as it is.
        timeout_seconds: For all attempts; None takes the policy's.
    """

    def __init__(
        self, policy: RetryPolicy, method: str, request: Message, timeout_seconds: float | None
    ) -> None:
        self._policy = policy
        self._deadline = time.monotonic() + (timeout_seconds or policy.timeout_seconds)
        self._made = 0
        # With a request id, the service carries the call out once however often it is sent.
        self._repeatable = method in _REPEATABLE and getattr(request, "request_id", None) != ""

    @property
    def remaining_seconds(self) -> float:
        """What is left of the call's time."""
        return max(self._deadline - time.monotonic(), 0.001)

    def pause_seconds(self, error: BalanceError) -> float | None:
        """How long to wait before the next attempt; None if there should be none."""
        self._made += 1
        passing = (
            error.code() == grpc.StatusCode.UNAVAILABLE
            # Without a hint it is a limit of the caller's own, such as a message's size.
            or (error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and error.reason == "OVERLOADED")
            # gRPC's core ends calls that an overloaded server has not read, with no details.
            or (error.code() == grpc.StatusCode.CANCELLED and not error.reason)
        )
        if not passing or not self._repeatable or self._made >= self._policy.attempts_max:
            return None
        longest = min(
            self._policy.backoff_seconds * 2 ** (self._made - 1), self._policy.backoff_seconds_max
        )
        # Full jitter: callers refused together do not come back together.
        pause = random.uniform(0, longest)  # noqa: S311
        pause = max(pause, error.retry_after_seconds or 0.0)
        return pause if pause < self.remaining_seconds else None


def channel_options(options: ChannelOptions) -> ChannelOptions:
    """A caller's own channel arguments after ours.

    Every address of the target takes its turn, and calls wait for a connection within their time.
    """
    calls = {key: _CALLS[key] for key in ("name", "waitForReady")}
    config = json.dumps(_PUBLISHED | {"methodConfig": [calls]})
    return [
        ("grpc.service_config", config),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        *options,
    ]


def needs_renewal(token: auth_pb2.Token) -> bool:
    """Whether a token has expired, or is about to."""
    return token.expire_time.ToSeconds() - time.time() < RENEW_BEFORE_SECONDS


def with_request_id(request: Message) -> Message:
    """The request with a fresh request id, if it takes one and has none; the given one stays."""
    if getattr(request, "request_id", None) != "":
        return request
    filled = type(request)()
    filled.CopyFrom(request)
    setattr(filled, "request_id", str(new_request_id()))  # noqa: B010 - any such message
    return filled


def new_request_id() -> UUID:
    """A UUIDv7 (RFC 9562)."""
    milliseconds = time.time_ns() // 1_000_000
    bits = (milliseconds << 80) | secrets.randbits(80)
    return UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | (0x7 << 76) | (0x2 << 62))
