"""Fixtures of end-to-end tests: the command line, and a probe at the issuing of tokens."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from balance_service.config import Settings
from tests.cli import Cli
from tests.service import Service, StartService, start_beside, stop_service
from tests.tokens import TokenProbe


@pytest.fixture
def cli(service_settings: Settings) -> Cli:
    """The command line with the settings of the test's service."""
    return Cli(service_settings.environment())


@pytest_asyncio.fixture
async def start_envoy(service_settings: Settings) -> AsyncIterator[StartService]:
    """Starts workers behind Envoy; all are stopped at the end."""
    started: list[Service] = []

    async def start(**changes: object) -> Service:
        settings = service_settings.model_copy(update={"door": "envoy", **changes})
        started.append(await start_beside(settings))
        return started[-1]

    yield start
    for service in started:
        await stop_service(service)


@pytest.fixture
def probe() -> Iterator[TokenProbe]:
    """Watches every token that a service of this test issues."""
    with pytest.MonkeyPatch.context() as patch:
        yield TokenProbe(patch)
