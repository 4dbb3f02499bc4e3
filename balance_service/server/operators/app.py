"""What operators ask on a port of their own: composed here."""

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from balance_service.calls import channels
from balance_service.config import Settings
from balance_service.console import application as console
from balance_service.database.pool import Pool
from balance_service.server.operators.folder import Folder
from balance_service.server.operators.metrics import Metrics
from balance_service.server.operators.readiness import Readiness, live


def build(settings: Settings, connections: Pool, folder: Folder) -> Starlette:
    """Builds the operators' application.

    Args:
        settings: Say where the service listens.
        connections: To Postgres, of this process's own.
        folder: Where the workers keep their figures.
    """
    readiness = Readiness(settings)
    metrics = Metrics(settings, readiness, connections, folder)
    pages = console.build(
        lambda: channels.open_channel(settings, settings.grpc_target),
        settings.secret.get_secret_value(),
    )

    @contextlib.asynccontextmanager
    async def run(_: Starlette) -> AsyncIterator[None]:
        # What is mounted has a lifespan that nobody else runs.
        async with pages.router.lifespan_context(pages):
            yield

    return Starlette(
        routes=[
            Route("/metrics", metrics.show),
            Route("/livez", live),
            Route("/readyz", readiness.show),
            Mount("/", pages),
        ],
        lifespan=run,
    )
