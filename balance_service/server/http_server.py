"""The HTTP port of a worker: uvicorn, within the worker's own event loop."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from balance_service.server.http_protocol import BoundedHttp

KEEP_ALIVE_SECONDS = 75


class HttpServer:
    """Serves an ASGI application on a port shared by all workers.

    Args:
        application: What answers.
        host: Address to listen on.
        port: 0 for any free one.
        drain_seconds: How long a stop waits for answers under way.

    Raises:
        RuntimeError: The port is taken.
    """

    def __init__(self, application: ASGIApp, host: str, port: int, drain_seconds: float) -> None:
        self._socket = listening(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            application,
            http=BoundedHttp,
            ws="none",
            lifespan="off",
            log_config=None,
            # What uvicorn warns of is what callers sent, and they hear of it themselves.
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(drain_seconds),
            # Nothing here depends on what a proxy in front says of a caller.
            proxy_headers=False,
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Answers from then on."""
        self._serving = asyncio.create_task(self._server.serve([self._socket]))
        while not self._server.started:  # noqa: ASYNC110 - uvicorn tells it no other way
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Accepts no more and finishes what was accepted."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the worker, which drains more than HTTP."""
        yield


def listening(host: str, port: int) -> socket.socket:
    """A socket on a port that other workers listen on as well."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: asyncio sends small parts at once only on what says that it is TCP,
    # and elsewhere each answer waits 40 ms for the caller's delayed acknowledgement.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        found.bind((host.strip("[]"), port))
    except OSError as error:
        found.close()
        raise RuntimeError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return found
