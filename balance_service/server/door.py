"""A worker's door: what answers its ports, in front of the same calls and pages."""

import asyncio
from typing import Protocol

from grpc_health.v1 import health

from balance_service.calls.dispatch import Calls
from balance_service.config import Settings
from balance_service.server import grpc_server, http_server


class Door(Protocol):
    """Answers gRPC and HTTP on a worker's ports.

    Args:
        port: The port of gRPC.
        http_port: The port of HTTP; None if settings turn it off.
    """

    port: int
    http_port: int | None

    async def start(self) -> None:
        """Starts to answer."""

    async def stop(self) -> None:
        """Accepts no more, and finishes what was accepted within `drain_seconds`."""


class GrpcioDoor:
    """gRPC's own server, and uvicorn beside it, each with its port bound.

    Args:
        settings: Name the ports.
        calls: Answers the calls, and names the services.
        health_servicer: Answers whether the service serves.

    Raises:
        RuntimeError: A port cannot be listened on.
        ValueError: Settings ask for TLS.
    """

    def __init__(
        self, settings: Settings, calls: Calls, health_servicer: health.aio.HealthServicer
    ) -> None:
        if settings.tls_certificate or settings.tls_client_ca:
            raise ValueError("BALANCE_DOOR=grpcio speaks plain text alone: TLS needs Envoy")
        self._drain_seconds = settings.drain_seconds
        self._server = grpc_server.build(calls, health_servicer)
        self.port = self._server.add_insecure_port(f"{settings.host}:{settings.grpc_port}")
        self.http = http_server.build(settings, calls) if settings.http else None
        self.http_port = self.http.port if self.http else None

    async def start(self) -> None:
        await self._server.start()
        if self.http:
            await self.http.start()

    async def stop(self) -> None:
        async with asyncio.TaskGroup() as stopping:
            stopping.create_task(self._server.stop(self._drain_seconds))
            if self.http:
                stopping.create_task(self.http.stop())
