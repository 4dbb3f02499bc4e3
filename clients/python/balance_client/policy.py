"""What both clients decide the same: which calls are safe to repeat, and when."""

import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import grpc
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message

from balance_client._generated.balance.v1 import (
    account_pb2,
    auth_pb2,
    deposit_pb2,
    purchase_pb2,
    transfer_pb2,
    user_pb2,
    withdrawal_pb2,
)
from balance_client.errors import BalanceError

# A token is renewed this long before it expires.
RENEW_BEFORE_SECONDS = 30.0
TOKEN_TIMEOUT_SECONDS = 10.0

ChannelOptions = Sequence[tuple[str, str | int]]

_FILES = (
    account_pb2,
    auth_pb2,
    deposit_pb2,
    purchase_pb2,
    transfer_pb2,
    user_pb2,
    withdrawal_pb2,
)
_READS = {
    f"/{service.full_name}/{method.name}"
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
}
AUTH_PREFIX = "/balance.v1.AuthService/"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How failed calls are repeated.

    Args:
        attempts_max: Attempts in all, the first included.
        backoff_seconds: The longest pause after the first attempt; it doubles with each.
        backoff_seconds_max: The longest pause at all.
        timeout_seconds: For all attempts of a call that is given no timeout.
    """

    attempts_max: int = 5
    backoff_seconds: float = 0.05
    backoff_seconds_max: float = 2.0
    timeout_seconds: float = 30.0


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
        self._repeatable = method in _READS or bool(getattr(request, "request_id", ""))

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
