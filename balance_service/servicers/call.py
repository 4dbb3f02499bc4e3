"""The call that is being answered: who makes it, and what it hears besides the answer."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc

from balance_service.domain import errors
from balance_service.domain.principals import Principal

# Quoted: the class is generic in its stubs alone.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(slots=True)
class Call:
    """One RPC, from its metadata.

    Args:
        method: Its full name, such as `/balance.v1.AccountService/GetAccount`.
        correlation_id: Names the call in logs and errors: the caller's `x-request-id` or our own.
        language: `en` or `ru`, by `accept-language`.
        timeout_seconds: How long its caller waits; None for ever.
        caller: Whose token it carries, if any.
        trailers: Metadata sent after the answer.
        trace_id: Of the caller's `traceparent`, for the log.
        sent_before: Whether gRPC sends it again by itself, following a service config.
    """

    method: str
    correlation_id: str
    language: str
    timeout_seconds: float | None
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


current: ContextVar[Call] = ContextVar("current")

# Everything else needs a token.
PUBLIC_METHODS = {
    "/balance.v1.AuthService/SendConfirmationCode",
    "/balance.v1.AuthService/CreateToken",
    "/balance.v1.AuthService/RefreshToken",
    "/balance.v1.AuthService/RevokeToken",
    "/balance.v1.AuthService/GetJwks",
    "/balance.v1.PurchaseService/ListServices",
    "/balance.v1.PurchaseService/GetService",
}
