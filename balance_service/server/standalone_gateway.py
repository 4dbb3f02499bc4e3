"""The gateway alone: JSON over HTTP in front of gRPC servers elsewhere."""

import structlog

from balance_service.config import Settings
from balance_service.gateway.remote import RemoteUpstream
from balance_service.server import http_server
from balance_service.server.http_server import HttpServer
from balance_service.server.signals import catch_stop_signals

_log = structlog.get_logger()


async def run(settings: Settings, target: str) -> None:
    """Serves HTTP until SIGTERM or SIGINT.

    Args:
        settings: The HTTP port, its limits, and how the servers are called.
        target: A gRPC target, such as `dns:///balance:50051`.

    Raises:
        PortUnavailable: The HTTP port cannot be listened on.
        ValueError: The certificates cannot be used.
    """
    stopping = catch_stop_signals()
    server, upstream = build(settings, target)
    await server.start()
    _log.info("gateway_started", port=server.port, target=target)
    await stopping.wait()
    await server.stop()
    await upstream.close()
    _log.info("gateway_stopped")


def build(settings: Settings, target: str) -> tuple[HttpServer, RemoteUpstream]:
    """Builds the server, with its port bound, and what it calls, to be closed after it.

    Raises:
        PortUnavailable: The HTTP port cannot be listened on.
        ValueError: The certificates cannot be used.
    """
    upstream = RemoteUpstream(settings, target)
    return http_server.build(settings, upstream), upstream
