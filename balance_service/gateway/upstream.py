"""What the gateway asks of what answers calls, in its own process or elsewhere."""

from collections.abc import AsyncIterator
from typing import Protocol

from google.protobuf.message import Message

from balance_service.calls.call import Metadata
from balance_service.calls.dispatch import Answer
from balance_service.calls.methods import Method


class Upstream(Protocol):
    """Answers calls: `calls.dispatch.Calls` in a worker, `remote.RemoteUpstream` elsewhere."""

    async def admit(self, method: Method, metadata: Metadata) -> None:
        """Judges the caller by the request's head alone, before its body is read.

        Raises:
            Refused, Refusal: The method needs a token, and there is none or it is not valid.
        """

    async def unary(
        self,
        method: Method,
        request: Message,
        metadata: Metadata,
        timeout_seconds: float | None,
        peer: str = "",
    ) -> Answer:
        """Makes a call that has one answer.

        Args:
            method: The method to call.
            request: A message of the method's input type.
            metadata: The caller's headers that a call takes over.
            timeout_seconds: How long the caller waits; None for as long as it takes.
            peer: The address of the caller's connection.

        Raises:
            Refused: The call was refused, or failed.
        """

    def stream(
        self, method: Method, request: Message, metadata: Metadata
    ) -> AsyncIterator[Message]:
        """Makes a call that answers with a stream of messages; raises as `unary` does."""

    def count_stranger(self, peer: str, forwarded_for: str, purpose: str = "") -> None:
        """Counts a request for a page; raises QuotaExceeded if its network has had too many.

        Args:
            peer: The address of the caller's connection.
            forwarded_for: The header x-forwarded-for.
            purpose: What has a share of its own.
        """

    async def serves(self) -> bool:
        """Whether calls are answered now, for the health check."""
