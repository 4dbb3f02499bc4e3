"""Has what callers ask of gRPC's own services count as any call of those who are not signed in."""

from typing import Any
from urllib.parse import unquote

import grpc

from balance_service.calls import refusals
from balance_service.calls.dispatch import Calls
from balance_service.domain import errors

_FORWARDED_FOR = "x-forwarded-for"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def read_peer(peer: str) -> str:
    """The caller's address, of what gRPC writes as ipv4:127.0.0.1:80 or ipv6:%5B::1%5D:80."""
    _, _, address = unquote(peer).partition(":")
    return address.rpartition(":")[0].strip("[]")


async def count(calls: Calls, context: Any, purpose: str = "") -> None:  # noqa: ANN401 - of two kinds
    """Counts a call of a library's service; ends it if its network has had too many.

    Args:
        calls: Count it.
        context: A `grpc.aio.ServicerContext`, or what takes its place behind Envoy.
        purpose: As `Calls.count_stranger` has it.
    """
    hops = [value for name, value in context.invocation_metadata() or () if name == _FORWARDED_FOR]
    try:
        calls.count_stranger(read_peer(context.peer()), ",".join(map(str, hops)), purpose)
    except errors.QuotaExceeded as refusal:
        status = refusals.status(refusal)
        trailers = ((refusals.DETAILS_KEY, status.SerializeToString()),)
        await context.abort(_CODES[status.code], status.message, trailers)
