"""The gateway: its server, and the gateway alone in front of gRPC servers elsewhere."""

import structlog
from starlette.types import ASGIApp

from balance_service.config import Settings
from balance_service.gateway import site
from balance_service.gateway.app import Limits
from balance_service.gateway.upstream import RemoteUpstream, Upstream
from balance_service.server.http_port import HttpServer
from balance_service.server.signals import stop_signal

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
    return http_server(settings, upstream), upstream


def http_server(settings: Settings, upstream: Upstream) -> HttpServer:
    """A server, with its port bound, in front of whatever answers calls.

    Raises:
        RuntimeError: The port is taken.
    """
    application = http_application(settings, upstream)
    return HttpServer(application, settings.host, settings.http_port, settings.drain_seconds)


def http_application(settings: Settings, upstream: Upstream) -> ASGIApp:
    """What HTTP is answered by, whichever server hears it."""
    limits = Limits(settings.http_body_bytes_max, settings.http_timeout_seconds)
    return site.build(upstream, limits, settings.cors_origins)
