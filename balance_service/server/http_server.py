"""The HTTP server: uvicorn, within the process's own event loop."""

import asyncio
import contextlib
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from balance_service.config import Settings
from balance_service.gateway import asgi
from balance_service.gateway.transcoder import RequestLimits
from balance_service.gateway.upstream import Upstream
from balance_service.server import ports
from balance_service.server.http_protocol import BoundedHttp

KEEP_ALIVE_SECONDS = 75


class HttpServer:
    """Serves an ASGI application on a port shared by all workers.

    Args:
        application: What answers.
        host: Address to listen on.
        port: 0 for any free one.
        drain_seconds: How long `stop` waits for answers under way.

    Raises:
        PortUnavailable: The port cannot be listened on.
    """

    def __init__(self, application: ASGIApp, host: str, port: int, drain_seconds: float) -> None:
        self._socket = ports.listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            application,
            http=BoundedHttp,
            ws="none",
            lifespan="off",
            log_config=None,
            # Below errors, uvicorn logs what callers did wrong, and they are answered that.
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(drain_seconds),
            # `domain.networks` reads what proxies say of a caller's address.
            proxy_headers=False,
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts to answer; returns once connections are accepted."""
        self._serving = asyncio.create_task(self._server.serve([self._socket]))
        while not self._server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Accepts no more connections and finishes the answers under way."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


def build(settings: Settings, upstream: Upstream) -> HttpServer:
    """Builds the server, with its port bound, in front of whatever answers calls.

    Raises:
        PortUnavailable: The port cannot be listened on.
    """
    application = build_application(settings, upstream)
    return HttpServer(application, settings.host, settings.http_port, settings.drain_seconds)


def build_application(settings: Settings, upstream: Upstream) -> ASGIApp:
    """Builds what answers HTTP, whichever server reads the requests."""
    limits = RequestLimits(settings.http_body_bytes_max, settings.http_timeout_seconds)
    return asgi.build(upstream, limits, settings.cors_origins, settings.http_public_url)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the process, which has more than HTTP to stop."""
        yield
