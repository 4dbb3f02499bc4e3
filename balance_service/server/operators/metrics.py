"""/metrics: all workers' figures, their Envoys', and those of the ledger's checks, in one page."""

import asyncio
from collections.abc import Iterable, Iterator
from importlib import metadata

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from balance_service import DISTRIBUTION
from balance_service.config import Settings
from balance_service.database.pool import Pool
from balance_service.server.envoy.bootstrap import ADMIN_SOCKET
from balance_service.server.operators import envoy_figures, figures, ledger_figures
from balance_service.server.operators.folder import Folder
from balance_service.server.operators.readiness import Readiness

READY, WORKERS, BUILD = "balance_ready", "balance_workers", "balance_build_info"
OWN = {
    READY: "Whether a worker answered that it serves, as `/readyz` says.",
    WORKERS: "Workers that there are to be.",
    BUILD: "Always 1, with the service's version.",
}


class Metrics:
    """Collects what there is at each scrape.

    Args:
        settings: Say how many workers there are to be.
        readiness: Asks whether a worker serves.
        connections: To Postgres.
        folder: Where the workers keep their figures.
    """

    def __init__(
        self, settings: Settings, readiness: Readiness, connections: Pool, folder: Folder
    ) -> None:
        self._workers = settings.workers
        self._readiness = readiness
        self._connections = connections
        self._folder = folder
        # One scrape at a time: each takes memory and the processor.
        self._scraping = asyncio.Lock()

    async def show(self, request: Request) -> Response:
        """Answers in the form that the scraper asks for."""
        async with self._scraping:
            ready, of_workers, of_envoy, of_ledger = await asyncio.gather(
                self._readiness.ask(),
                asyncio.to_thread(figures.merge, self._folder.list_figures()),
                envoy_figures.collect(self._folder.find_sockets(ADMIN_SOCKET)),
                ledger_figures.collect(self._connections),
            )
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        collected = [*of_workers, *of_envoy, *of_ledger, *self._describe(ready=ready)]
        body = await asyncio.to_thread(encode, _Collected(collected))
        return Response(body, media_type=None, headers={"content-type": media_type})

    def _describe(self, *, ready: bool) -> Iterator[Metric]:
        yield GaugeMetricFamily(READY, OWN[READY], float(ready))
        yield GaugeMetricFamily(WORKERS, OWN[WORKERS], float(self._workers))
        build = GaugeMetricFamily(BUILD, OWN[BUILD], labels=["version"])
        build.add_metric([metadata.version(DISTRIBUTION)], 1.0)
        yield build


class _Collected(CollectorRegistry):
    """A registry of what has been collected."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__()
        self.register(_Families(families))


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
