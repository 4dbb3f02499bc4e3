"""The Envoy door: what Envoy hands to Python, shared out between gRPC and HTTP."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable
from typing import Any

import structlog
from grpc_health.v1 import health
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from balance_service.calls.dispatch import Calls
from balance_service.config import Settings
from balance_service.server import grpc_server
from balance_service.server.envoy import process
from balance_service.server.gateway import http_application
from balance_service.server.wire import heads
from balance_service.server.wire.application import Grpc
from balance_service.server.wire.methods import Registered, of_calls

# How often a request is asked whether its caller is still there, which pyvoy does not tell.
ASKED_AFTER_SECONDS, ASKED_AFTER_SECONDS_MAX = 0.1, 1.0

_log = structlog.get_logger()


class EnvoyDoor:
    """Answers what Envoy passes on: an ASGI application, the same on both ports.

    Args:
        settings: With the ports that Envoy listens on.
        calls: What answers.
        checks: The health service.
    """

    def __init__(self, settings: Settings, calls: Calls, checks: health.aio.HealthServicer) -> None:
        self.port = settings.grpc_port
        self.http_port = settings.http_port if settings.http else None
        self._drain_seconds = settings.drain_seconds
        self._paths = of_calls(calls)
        registered = Registered()
        grpc_server.add_library_services(calls, checks, registered)
        self._grpc = Grpc(
            lambda path: self._paths.get(path) or registered.find(path),
            grpc_server.MESSAGE_BYTES_MAX,
        )
        # What is gRPC's own is refused as such where no HTTP is to be answered.
        self._site: ASGIApp = self._grpc
        if settings.http:
            # Origins are Envoy's business here.
            self._site = http_application(
                settings.model_copy(update={"http_cors_origins": ""}), calls
            )
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._under_way += 1
        try:
            heard: Receive = _Heard(receive)
            if scope["path"] in self._paths or heads.is_grpc(scope["headers"]):
                await self._grpc(scope, heard, lambda event: uncancelled(send(event)))
            else:
                await self._site(scope, heard, _Told(send, bodiless=scope["method"] == "HEAD"))
        finally:
            self._under_way -= 1

    async def start(self) -> None:
        """Envoy listens once the application has started."""

    async def stop(self) -> None:
        """Has connections take no more calls, then closes the ports; waits for what is under way.

        The drain is bounded: what is still under way after its time is broken off.
        """
        ending = time.monotonic() + self._drain_seconds
        try:
            await process.order("/drain_listeners?graceful&skip_exit")
        except (OSError, TimeoutError) as error:
            _log.error("drain_failed", cause=type(error).__name__)
        await asyncio.sleep(min(process.DRAIN_SECONDS, self._drain_seconds))
        while self._under_way and time.monotonic() < ending:  # noqa: ASYNC110 - as good as an event
            await asyncio.sleep(0.02)


async def uncancelled(awaited: Awaitable[Any]) -> Any:  # noqa: ANN401 - whatever it brings
    """Waits; a cancellation ends the waiting alone.

    pyvoy completes each of its futures, also a cancelled one, which would be an error in the log.
    """
    return await (asyncio.shield(awaited) if asyncio.isfuture(awaited) else awaited)


class _Heard:
    """`receive` as ASGI has it: after the request, it waits until the caller has gone.

    pyvoy's returns at once then, with nothing in it.
    """

    __slots__ = ("_ended", "_receive")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False

    async def __call__(self) -> Message:
        part = await uncancelled(self._receive())
        if self._ended:
            pause = ASKED_AFTER_SECONDS
            while part["type"] != "http.disconnect":
                await asyncio.sleep(pause)
                pause = min(pause * 2, ASKED_AFTER_SECONDS_MAX)
                part = await uncancelled(self._receive())
        self._ended = not part.get("more_body", False)
        message: Message = part
        return message


class _Told:
    """`send` as HTTP's side has it: a HEAD has no body, and nobody minds a caller's going."""

    __slots__ = ("_bodiless", "_send")

    def __init__(self, send: Send, *, bodiless: bool) -> None:
        self._send = send
        self._bodiless = bodiless

    async def __call__(self, event: Any) -> None:  # noqa: ANN401 - ASGI's messages are dicts
        if self._bodiless and event["type"] == "http.response.body":
            event = {**event, "body": b""}
        # As uvicorn; pyvoy's own error has no name outside of it.
        with contextlib.suppress(Exception):
            await uncancelled(self._send(event))
