"""Fixtures of end-to-end tests: the command line, and throw-away services."""

import pytest

from balance_service.config import Settings
from tests.cli import Cli
from tests.ephemeral import balance_service, balance_settings, ephemeral_home

__all__ = ["balance_service", "balance_settings", "cli", "ephemeral_home"]


@pytest.fixture
def cli(service_settings: Settings) -> Cli:
    """The command line with the settings of the test's service."""
    return Cli(service_settings.environment())
