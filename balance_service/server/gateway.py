"""The gateway alone, in front of gRPC servers elsewhere."""

import structlog

from balance_service.config import Settings
from balance_service.gateway import site
from balance_service.gateway.app import Limits
from balance_service.gateway.upstream import RemoteUpstream
from balance_service.server.http_port import HttpServer
from balance_service.server.signals import stop_signal
from balance_service.servicers.call import PUBLIC_METHODS

_log = structlog.get_logger()


async def run(settings: Settings, target: str) -> None:
    """Serves HTTP until SIGTERM or SIGINT.

    Args:
        settings: Of the HTTP port and its limits.
        target: A gRPC target, such as `dns:///balance:50051`.
    """
    stopping = stop_signal()
    server, upstream = build(settings, target)
    await server.start()
    _log.info("gateway_started", port=server.port, target=target)
    await stopping.wait()
    await server.stop()
    await upstream.close()
    _log.info("gateway_stopped")


def build(settings: Settings, target: str) -> tuple[HttpServer, RemoteUpstream]:
    """The server, with its port bound, and what it calls, to be closed after it.

    Raises:
        RuntimeError: The port is taken.
    """
    upstream = RemoteUpstream(target)
    application = site.build(upstream, PUBLIC_METHODS, limits(settings), settings.cors_origins)
    server = HttpServer(application, settings.host, settings.http_port, settings.drain_seconds)
    return server, upstream


def limits(settings: Settings) -> Limits:
    """What a request may ask for, as settings say."""
    return Limits(settings.http_body_bytes_max, settings.http_timeout_seconds)
