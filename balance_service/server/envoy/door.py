"""The Envoy door: passes what Envoy hands to Python on to gRPC or to HTTP."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import Any

import structlog
from grpc_health.v1 import health
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from balance_service.calls.dispatch import Calls
from balance_service.calls.strangers import COUNTED
from balance_service.config import Settings
from balance_service.domain import errors, networks, retry_after
from balance_service.gateway.asgi import HEALTH_PATH
from balance_service.gateway.heads import FORWARDED_FOR_LENGTH_MAX
from balance_service.server import grpc_server, http_server
from balance_service.server.admission import Admission
from balance_service.server.envoy import connect, process
from balance_service.server.envoy.prepared import PreparedRefusal
from balance_service.server.wire import heads
from balance_service.server.wire.answers import shield_future, shielded
from balance_service.server.wire.application import Grpc
from balance_service.server.wire.methods import LibraryMethods, map_methods
from balance_service.telemetry import metrics

# How often pyvoy is asked whether a caller is still there; it does not say so by itself.
POLL_SECONDS_MIN, POLL_SECONDS_MAX = 0.1, 1.0

_log = structlog.get_logger()


class EnvoyDoor:
    """Answers what Envoy passes on: an ASGI application, the same on both ports.

    Args:
        settings: Name the ports that Envoy listens on.
        calls: Answers the calls, and names the services.
        health_servicer: Answers whether the service serves.
    """

    def __init__(
        self, settings: Settings, calls: Calls, health_servicer: health.aio.HealthServicer
    ) -> None:
        self.port = settings.grpc_port
        self.http_port = settings.http_port if settings.http else None
        self._drain_seconds = settings.drain_seconds
        self._connect = settings.connect
        self._certificate = settings.tls_certificate
        self._methods = map_methods(calls)
        library_methods = LibraryMethods()
        grpc_server.add_library_services(calls, health_servicer, library_methods)
        self._grpc = Grpc(
            lambda path: self._methods.get(path) or library_methods.find(path),
            grpc_server.MESSAGE_BYTES_MAX,
        )
        # Where HTTP is off, what is not gRPC is refused by the gRPC side.
        self._http: ASGIApp = self._grpc
        if settings.http:
            # Envoy itself answers pages of other origins.
            without_cors = settings.model_copy(update={"http_cors_origins": ""})
            self._http = http_server.build_application(without_cors, calls)
        self._under_way = 0
        self._proxies = networks.parse_networks(settings.trusted_proxies)
        self._admission = Admission(settings.calls_max)
        self._calls = calls
        self._crowded = PreparedRefusal(errors.Overloaded(retry_after.CROWDED_SECONDS))
        rate = f"{settings.network_calls_per_second:g}"
        self._exceeded = PreparedRefusal(
            errors.QuotaExceeded("network_calls_per_second", rate, retry_after.CROWDED_SECONDS)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._under_way += 1
        try:
            is_method = scope["path"] in self._methods
            is_grpc = is_method or heads.is_grpc(scope["headers"])
            # The services that libraries add, and health, count their callers by themselves.
            ours = is_method or not (is_grpc or scope["path"] == HEALTH_PATH)
            if refused := await self._find_obstacle(scope, may_be_stranger=ours):
                if is_grpc:
                    await refused.send_grpc(self._name_details(scope, send))
                else:
                    await refused.send_http(scope, send)
                return
            polling: Receive = _PollingReceive(receive)
            if is_grpc:
                await self._grpc(scope, polling, self._name_details(scope, send))
            else:
                await self._http(scope, polling, _HttpSend(send, is_head=scope["method"] == "HEAD"))
        finally:
            self._under_way -= 1

    async def _find_obstacle(
        self, scope: Scope, *, may_be_stranger: bool
    ) -> PreparedRefusal | None:
        """Waits until a call may begin; what it is refused by if it may not."""
        try:
            # Refusals must cost less than what they save: these come before anything is read.
            if may_be_stranger:
                tokens = [value for name, value in scope["headers"] if name == b"authorization"]
                if not tokens:
                    self._calls.count_stranger(*self._read_address(scope))
                    COUNTED.set(True)
                elif self._calls.sees_forgeries():
                    self._calls.count_token(tokens[0].decode("latin-1"), *self._read_address(scope))
            if not self._admission.begin():
                address = self._read_address(scope)
                await self._admission.wait(networks.caller_network(*address, self._proxies))
        except errors.QuotaExceeded:
            metrics.door_refused("quota")
            return self._exceeded
        except errors.Overloaded:
            metrics.door_refused("crowded")
            return self._crowded
        return None

    def _read_address(self, scope: Scope) -> tuple[str, str]:
        """The address of a connection, and what proxies say of whom they speak for."""
        peer = (scope.get("client") or ("",))[0]
        forwarded_for = ""
        if self._proxies:
            values = (v for name, v in scope["headers"] if name == b"x-forwarded-for")
            forwarded_for = b",".join(values).decode("latin-1")[-FORWARDED_FOR_LENGTH_MAX:]
        return peer, forwarded_for

    def _name_details(self, scope: Scope, send: Send) -> Send:
        if self._connect and connect.is_connect(scope):
            return connect.name_details(shielded(send))
        return send

    async def start(self) -> None:
        """Says so if the certificate has expired; Envoy listens once the lifespan has started."""
        if self._certificate and (expiry := process.read_expiry(self._certificate)) < _now():
            _log.error("certificate_expired", expired=expiry.isoformat())

    async def stop(self) -> None:
        """Tells connections to send no more calls, closes the ports, and waits for calls under way.

        Calls still under way after `drain_seconds` are broken off.
        """
        ending = time.monotonic() + self._drain_seconds
        try:
            await process.send_command("/drain_listeners?graceful&skip_exit")
        except (OSError, TimeoutError) as error:
            _log.error("drain_failed", cause=type(error).__name__)
        await asyncio.sleep(min(process.DRAIN_SECONDS, self._drain_seconds))
        while self._under_way and time.monotonic() < ending:  # noqa: ASYNC110 - as good as an event
            await asyncio.sleep(0.02)


def _now() -> datetime:
    return datetime.now(UTC)


class _PollingReceive:
    """`receive` as ASGI defines it: after the request, it waits until the caller has gone.

    pyvoy's own returns an empty message at once.
    """

    __slots__ = ("_ended", "_receive")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False

    async def __call__(self) -> Message:
        part = await shield_future(self._receive())
        if self._ended:
            pause = POLL_SECONDS_MIN
            while part["type"] != "http.disconnect":
                await asyncio.sleep(pause)
                pause = min(pause * 2, POLL_SECONDS_MAX)
                part = await shield_future(self._receive())
        self._ended = not part.get("more_body", False)
        message: Message = part
        return message


class _HttpSend:
    """`send` for HTTP: leaves out the body of an answer to HEAD, and ignores that a caller went."""

    __slots__ = ("_is_head", "_send")

    def __init__(self, send: Send, *, is_head: bool) -> None:
        self._send = send
        self._is_head = is_head

    async def __call__(self, event: Any) -> None:  # noqa: ANN401 - ASGI's messages are dicts
        if self._is_head and event["type"] == "http.response.body":
            event = {**event, "body": b""}
        # As uvicorn does. pyvoy's error for a caller who went cannot be imported.
        with contextlib.suppress(Exception):
            await shield_future(self._send(event))
