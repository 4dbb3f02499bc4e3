"""The door of a worker: what its ports are answered by, in front of the same calls and pages."""

import asyncio
from typing import Protocol

from grpc_health.v1 import health

from balance_service.calls.dispatch import Calls
from balance_service.config import Settings
from balance_service.server import grpc_server
from balance_service.server.gateway import http_server


class Door(Protocol):
    """Answers gRPC and HTTP on a worker's ports.

    Args:
        port: Of gRPC.
        http_port: Of HTTP; None if it is not answered.
    """

    port: int
    http_port: int | None

    async def start(self) -> None:
        """Answers from then on."""

    async def stop(self) -> None:
        """Accepts no more, and finishes what was accepted within the drain's time."""


class GrpcioDoor:
    """gRPC's own server, and uvicorn beside it, each on a port, both bound at once.

    Args:
        settings: Of the ports.
        calls: What answers.
        checks: The health service.

    Raises:
        ValueError: The settings ask for what only the other door does.
        RuntimeError: A port is taken.
    """

    def __init__(self, settings: Settings, calls: Calls, checks: health.aio.HealthServicer) -> None:
        if settings.tls_certificate:
            raise ValueError("BALANCE_TLS_CERTIFICATE needs BALANCE_DOOR=envoy")
        self._drain_seconds = settings.drain_seconds
        self._server = grpc_server.build(calls, checks)
        self.port = self._server.add_insecure_port(f"{settings.host}:{settings.grpc_port}")
        self.http = http_server(settings, calls) if settings.http else None
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
