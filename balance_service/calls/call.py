"""A call: who makes it, until when, in which language, and what they hear besides the answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from balance_service.calls import languages
from balance_service.calls.access import Condition, is_decided
from balance_service.domain import errors, ids
from balance_service.domain.audit import Actor
from balance_service.domain.client_certificates import ClientCertificate
from balance_service.domain.networks import Network, caller_network
from balance_service.domain.principals import Principal

if TYPE_CHECKING:
    from balance_service.telemetry.opentelemetry import Span

Metadata: TypeAlias = Sequence[tuple[str, str]]

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
# Where a server in front joined two headers `authorization` (RFC 9110, 5.3).
_JOINED = re.compile(r",\s*(?=bearer )", re.IGNORECASE)
# W3C Trace Context, version 00: the trace's id is the second part.
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


class ConditionForgotten(Exception):  # noqa: N818 - a fault of ours
    """A call would be answered without a look at the condition that its caller is let in on."""


@dataclass(slots=True)
class Call:
    """One RPC.

    Args:
        method: Its full name, such as `/balance.v1.AccountService/GetAccount`.
        correlation_id: Names the call in logs and errors: the caller's `x-request-id` or our own.
        language: `en` or `ru`, by `accept-language`.
        timeout_seconds: How long its caller waits; None for ever.
        tokens: The bearer tokens it carries, of which there should be one.
        caller: Whom the token stands for, once it is verified; None before that, and for a caller
            without a token.
        trailers: Metadata sent after the answer.
        trace_id: The trace that it belongs to, for the log; empty for none.
        traceparent: What the caller says of that trace, if it is well formed.
        span: Its own part of the trace, where calls are traced.
        sent_before: Whether a gRPC client sends it again by itself, following a service config.
        peer: The address of the connection that it came by; empty where it has none.
        forwarded_for: What x-forwarded-for says, which may be the caller's own word.
        condition: On what the caller is let in, by the table of access.
        proven: Whether that was checked.
        certificate: The certificate that the caller showed, if any.
        proxies: Networks of the proxies in front, whose word for a caller's address is believed.
        max_staleness: What it says of how old its answer may be; None for nothing.
        at_least: What it says of what its answer must show; None for nothing.
    """

    method: str
    correlation_id: str
    language: str = languages.DEFAULT
    timeout_seconds: float | None = None
    tokens: Sequence[str] = field(default=(), repr=False)
    caller: Principal | None = None
    trailers: dict[str, str] = field(default_factory=dict)
    trace_id: str = ""
    traceparent: str = ""
    span: "Span | None" = field(default=None, repr=False)
    sent_before: bool = False
    peer: str = ""
    forwarded_for: str = ""
    condition: Condition = Condition.NEVER
    proven: bool = False
    certificate: ClientCertificate | None = None
    proxies: Sequence[Network] = field(default=(), repr=False)
    max_staleness: str | None = None
    at_least: str | None = None

    @property
    def network(self) -> str:
        """Where it comes from."""
        return caller_network(self.peer, self.forwarded_for, self.proxies)

    @property
    def actor(self) -> Actor:
        """Who calls and from where, for the audit log."""
        name, session = "", None
        if self.caller:
            name, session = self.caller.name, self.caller.session_id
        return Actor(name, session, self.network, self.correlation_id)

    @property
    def principal(self) -> Principal:
        """Who calls.

        Raises:
            TokenMissing: The call carries no token.
        """
        if self.caller is None:
            raise errors.TokenMissing
        return self.caller

    @property
    def unconditional(self) -> bool:
        """Whether the caller is let in whatever the call is about."""
        return self.condition is Condition.ALWAYS

    def admit(self, condition: Condition) -> None:
        """Lets the caller in on a condition, which is to be checked unless the call alone meets it.

        Args:
            condition: As the table of access has it.
        """
        self.condition, self.proven = condition, is_decided(condition)

    def prove(self, condition: Condition) -> None:
        """Says that a condition was checked; one that is not the call's own proves nothing."""
        if condition is self.condition:
            self.proven = True

    def check_proven(self) -> None:
        """Raises ConditionForgotten unless the call's condition was checked."""
        if not self.proven:
            raise ConditionForgotten(f"{self.method}: not checked: {self.condition.value}")

    def mark_replayed(self) -> None:
        """Tells the caller that the answer is one given before."""
        self.trailers["idempotency-replayed"] = "true"

    def mark_existing(self) -> None:
        """Tells the caller that what was to be created was there already."""
        self.trailers["resource-existed"] = "true"


def from_metadata(
    method: str,
    metadata: Metadata,
    timeout_seconds: float | None,
    peer: str = "",
    proxies: Sequence[Network] = (),
) -> Call:
    """Reads a call from its metadata; what is malformed there is left out, but for tokens.

    Args:
        method: Its full name.
        metadata: Names are in lower case, as in gRPC.
        timeout_seconds: How long its caller waits; None for ever.
        peer: The address of the connection that it came by.
        proxies: Networks of the proxies in front.
    """
    call = Call(method, "", timeout_seconds=timeout_seconds, peer=peer, proxies=proxies)
    sent_id = ""
    for key, value in metadata:
        if key == "authorization":
            call.tokens = (*call.tokens, *map(_token, _JOINED.split(value)))
        elif key == "x-request-id":
            sent_id = value
        elif key == "accept-language":
            call.language = languages.choose(value)
        elif key == "x-forwarded-for":
            call.forwarded_for = f"{call.forwarded_for},{value}" if call.forwarded_for else value
        elif key == "grpc-previous-rpc-attempts":
            call.sent_before = True
        elif key == "balance-max-staleness":
            call.max_staleness = value if call.max_staleness is None else "given twice"
        elif key == "balance-at-least":
            call.at_least = value if call.at_least is None else f"{call.at_least},{value}"
        elif key == "traceparent" and (trace := _TRACEPARENT.fullmatch(value)):
            call.trace_id, call.traceparent = trace[1], value
    call.correlation_id = correlation_id(sent_id)
    return call


def _token(credentials: str) -> str:
    """The bearer token of an `authorization`."""
    scheme, _, token = credentials.strip().partition(" ")
    # Another scheme is refused as a bearer token that is not valid, and not overlooked.
    return token.strip() if scheme.lower() == "bearer" else "?"


def correlation_id(sent: str) -> str:
    """The name of a call in logs and errors: as sent, if that is well formed, or a new one."""
    return sent if _CORRELATION_ID.fullmatch(sent) else ids.new_hex()
