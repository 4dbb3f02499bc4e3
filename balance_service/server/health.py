"""Health: what a worker says of its own, and how others ask.

Container health checks load this module every few seconds, so it imports little.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health, health_pb2

from balance_service.calls.health import channel_serves

if TYPE_CHECKING:
    from balance_service.calls.dispatch import Calls
    from balance_service.config import Settings

TLS_TIMEOUT_SECONDS = 2.0


async def serves(target: str, settings: "Settings | None" = None) -> bool:
    """Whether a service says that it serves.

    Args:
        target: Its host and port.
        settings: Its settings; where they turn TLS on, it is asked over HTTP.
    """
    if settings and settings.tls_certificate:
        return await _serves_over_tls(target, settings)
    async with grpc.aio.insecure_channel(target) as channel:
        return await channel_serves(channel)


async def _serves_over_tls(target: str, settings: "Settings") -> bool:
    import ssl  # noqa: PLC0415 - not needed without TLS

    context = ssl.create_default_context()
    # The certificate names the host that others know the service by, not the address asked here.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, _, port = target.rpartition(":")
    with contextlib.suppress(OSError, TimeoutError):
        # Shown to a service that asks its callers for certificates.
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        async with asyncio.timeout(TLS_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: health\r\nconnection: close\r\n\r\n")
            status_line = await reader.readline()
            writer.close()
            return b" 200 " in status_line
    return False


class Health:
    """A worker's health: it serves from `start` to `stop`, while Postgres answers.

    Args:
        calls: Tells HTTP callers the same, and knows the services that gRPC callers ask about.
        database_answers: Asks the database, within a bounded time.
    """

    def __init__(self, calls: "Calls", database_answers: Callable[[], Awaitable[bool]]) -> None:
        self.servicer = health.aio.HealthServicer()
        self._calls = calls
        self._database_answers = database_answers
        # None before `start` and after `stop`, when the database has no say.
        self._serving: bool | None = None

    async def start(self) -> None:
        """Says SERVING."""
        await self._report(serving=True)

    async def stop(self) -> None:
        """Says NOT_SERVING for good."""
        self._serving = None
        self._calls.serving = False
        await self.servicer.enter_graceful_shutdown()

    async def check_database(self) -> None:
        """Asks the database, and reports if it fell silent or answers again."""
        serving = await self._database_answers()
        if self._serving in (None, serving):
            return
        import structlog  # noqa: PLC0415 - slow to load, and needed in workers alone

        structlog.get_logger().warning("health_changed", serving=serving)
        await self._report(serving=serving)

    async def _report(self, *, serving: bool) -> None:
        self._serving = self._calls.serving = serving
        states = health_pb2.HealthCheckResponse
        state = states.SERVING if serving else states.NOT_SERVING
        for service in ("", *(service.full_name for service in self._calls.services)):
            await self.servicer.set(service, state)
