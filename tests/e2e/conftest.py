"""Fixtures of end-to-end tests: the command line."""

import pytest

from balance_service.config import Settings
from tests.cli import Cli


@pytest.fixture
def cli(service_settings: Settings) -> Cli:
    """The command line with the settings of the test's service."""
    return Cli(service_settings.environment())
