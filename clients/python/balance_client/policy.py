"""What both clients decide the same: which calls are safe to repeat, and when."""

import json
import random
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TypeVar
from uuid import UUID

import grpc
from google.protobuf.message import Message

from balance_client.errors import BalanceError

ChannelOptions = Sequence[tuple[str, str | int]]
Metadata = Iterable[tuple[str, str | bytes]]
_Request = TypeVar("_Request", bound=Message)

# What clients in any language follow. The retry policy is followed here by the clients, which know
# more of a failure than its status, and the rest by gRPC.
_PUBLISHED = json.loads(resources.files(__package__).joinpath("service_config.json").read_text())
(_CALLS,) = _PUBLISHED["methodConfig"]
_RETRY = _CALLS["retryPolicy"]
_REPEATABLE = {f"/{name['service']}/{name['method']}" for name in _CALLS["name"]}


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
        timeout_seconds: For all attempts; None takes the policy's.
        repeatable: Whether the service carries the call out once however often it is sent.
    """

    def __init__(
        self, policy: RetryPolicy, timeout_seconds: float | None, *, repeatable: bool
    ) -> None:
        if timeout_seconds is None:
            timeout_seconds = policy.timeout_seconds
        self._policy = policy
        self._deadline = time.monotonic() + timeout_seconds
        self._made = 0
        self._repeatable = repeatable

    @property
    def remaining_seconds(self) -> float:
        """What is left of the call's time."""
        return max(self._deadline - time.monotonic(), 0.0)

    def pause_seconds(self, error: BalanceError) -> float | None:
        """How long to wait before the next attempt; None if there should be none."""
        self._made += 1
        if not self._may_repeat(error):
            return None
        # The exponent is bounded, for a token is asked for as long as there is time.
        longest = min(
            self._policy.backoff_seconds * 2 ** min(self._made - 1, 30),
            self._policy.backoff_seconds_max,
        )
        # Full jitter: callers refused together do not come back together.
        pause = random.uniform(0, longest)  # noqa: S311
        pause = max(pause, error.retry_after_seconds or 0.0)
        return pause if pause < self.remaining_seconds else None

    def _may_repeat(self, error: BalanceError) -> bool:
        return self._repeatable and self._made < self._policy.attempts_max and passes(error)


class Renewals(Attempts):
    """A call's attempts to get an access token, which end with its time alone.

    Args:
        policy: How fast.
        timeout_seconds: For all attempts.
    """

    def __init__(self, policy: RetryPolicy, timeout_seconds: float) -> None:
        super().__init__(policy, timeout_seconds, repeatable=True)

    def _may_repeat(self, error: BalanceError) -> bool:
        return passes(error) or error.code() == grpc.StatusCode.DEADLINE_EXCEEDED


# With how long to wait.
_LIMITED = {"OVERLOADED", "QUOTA_EXCEEDED"}


def passes(error: BalanceError) -> bool:
    """Whether a failure passes: the same call may succeed in a moment."""
    return (
        error.code() == grpc.StatusCode.UNAVAILABLE
        # Without a hint it is a limit of the caller's own, such as a message's size.
        or (error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and error.reason in _LIMITED)
        # gRPC's core ends calls that an overloaded server has not read, with no details.
        or (error.code() == grpc.StatusCode.CANCELLED and not error.reason)
        # A stream that was reset on the way; the service gives a reason with its own failures.
        or (error.code() == grpc.StatusCode.INTERNAL and not error.reason)
    )


def repeatable(method: str, request: Message) -> bool:
    """Whether a call may be sent again: it changes nothing, or its request carries an id."""
    return method in _REPEATABLE and getattr(request, "request_id", None) != ""


def channel_options(options: ChannelOptions) -> ChannelOptions:
    """A caller's own channel arguments after ours: every address of the target takes its turn."""
    config = json.dumps({"loadBalancingConfig": _PUBLISHED["loadBalancingConfig"]})
    return [
        ("grpc.service_config", config),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        *options,
    ]


def with_request_id(request: _Request) -> _Request:
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
