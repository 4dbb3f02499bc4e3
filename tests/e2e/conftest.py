"""Fixtures of end-to-end tests: the command line, and a probe at the issuing of tokens."""

from collections.abc import Iterator

import pytest

from balance_service.config import Settings
from tests.cli import Cli
from tests.tokens import TokenProbe


@pytest.fixture
def cli(service_settings: Settings) -> Cli:
    """The command line with the settings of the test's service."""
    return Cli(service_settings.environment())


@pytest.fixture
def probe() -> Iterator[TokenProbe]:
    """Watches every token that a service of this test issues."""
    with pytest.MonkeyPatch.context() as patch:
        yield TokenProbe(patch)
