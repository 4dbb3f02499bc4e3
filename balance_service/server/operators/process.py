"""The operators' process: beside the workers, so that it answers when they are busy or gone."""

import os

import structlog

from balance_service.config import Settings
from balance_service.database import pool
from balance_service.server.http_server import HttpServer
from balance_service.server.operators.app import build
from balance_service.server.operators.folder import Folder
from balance_service.server.signals import catch_stop_signals

CONNECTIONS_MAX = 2
DRAIN_SECONDS = 5.0

_log = structlog.get_logger()


async def run(settings: Settings, folder: Folder, started_fd: int | None = None) -> None:
    """Answers the operators' port until SIGTERM or SIGINT.

    Args:
        settings: Name the port, the database, and where the service listens.
        folder: The supervisor's folders.
        started_fd: The pipe in which it tells its supervisor that it has started.

    Raises:
        PortUnavailable: The port cannot be listened on.
    """
    stopping = catch_stop_signals()
    connections = pool.create(settings.database_url.get_secret_value(), CONNECTIONS_MAX)
    # Postgres may be away: that is what operators want to see here.
    await connections.open(wait=False)
    try:
        application = build(settings, connections, folder)
        server = HttpServer(
            application, settings.operators_host, settings.operators_port, DRAIN_SECONDS
        )
        async with application.router.lifespan_context(application):
            await server.start()
            _log.info("operators_started", port=server.port)
            if started_fd is not None:
                os.write(started_fd, b"1")
                os.close(started_fd)
            await stopping.wait()
            await server.stop()
    finally:
        await connections.close()
