"""A call, whichever door it came in by: who makes it, until when, in which language, and what it
is told besides the answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from balance_service.calls import languages
from balance_service.domain import errors, ids
from balance_service.domain.principals import Principal

Metadata: TypeAlias = Sequence[tuple[str, str]]

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
# W3C Trace Context, version 00: the trace's id is the second part.
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


@dataclass(slots=True)
class Call:
    """One RPC, from its metadata.

    Args:
        method: Its full name, such as `/balance.v1.AccountService/GetAccount`.
        correlation_id: Names the call in logs and errors: the caller's `x-request-id` or our own.
        language: `en` or `ru`, by `accept-language`.
        timeout_seconds: How long its caller waits; None for ever.
        tokens: The bearer tokens it carries, of which there should be one.
        caller: Whom the token stands for, once it is verified.
        trailers: Metadata sent after the answer.
        trace_id: Of the caller's `traceparent`, for the log.
        sent_before: Whether gRPC sends it again by itself, following a service config.
    """

    method: str
    correlation_id: str
    language: str = languages.DEFAULT
    timeout_seconds: float | None = None
    tokens: Sequence[str] = field(default=(), repr=False)
    caller: Principal | None = None
    trailers: dict[str, str] = field(default_factory=dict)
    trace_id: str = ""
    sent_before: bool = False

    @property
    def principal(self) -> Principal:
        """Who calls.

        Raises:
            TokenMissing: The call carries no token.
        """
        if self.caller is None:
            raise errors.TokenMissing
        return self.caller

    def mark_replayed(self) -> None:
        """Tells the caller that the answer is one given before."""
        self.trailers["idempotency-replayed"] = "true"

    def mark_existing(self) -> None:
        """Tells the caller that what was to be created was there already."""
        self.trailers["resource-existed"] = "true"


def from_metadata(method: str, metadata: Metadata, timeout_seconds: float | None) -> Call:
    """The call that metadata tell of."""
    call = Call(method, "", timeout_seconds=timeout_seconds)
    sent_id = ""
    for key, value in metadata:
        if key == "authorization":
            scheme, _, rest = value.partition(" ")
            # What is no bearer token is refused as one that is not valid.
            call.tokens = (*call.tokens, rest.strip() if scheme.lower() == "bearer" else "?")
        elif key == "x-request-id":
            sent_id = value
        elif key == "accept-language":
            call.language = languages.preferred(value)
        elif key == "grpc-previous-rpc-attempts":
            call.sent_before = True
        elif key == "traceparent" and (trace := _TRACEPARENT.fullmatch(value)):
            call.trace_id = trace[1]
    call.correlation_id = correlation_id(sent_id)
    return call


def correlation_id(sent: str) -> str:
    """What names a call in logs and errors: what its caller sent, if it is well formed, or new."""
    return sent if _CORRELATION_ID.fullmatch(sent) else ids.new_id().hex
