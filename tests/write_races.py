"""Calls of gRPC's own stubs whose requests are a stream, told what the service said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc.aio

Answer = TypeVar("Answer")

_WRITE_FAILED = "Internal error from Core"


async def answer_said(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of a call, asked again as often as gRPC hides it.

    grpc.aio puts an error of its own in place of a refusal that comes while a request is being
    written (grpc/grpc#36066).
    """
    while True:
        try:
            return await ask()
        except grpc.aio.AioRpcError as error:
            if (error.code(), error.details()) != (grpc.StatusCode.INTERNAL, _WRITE_FAILED):
                raise
