"""Fixtures of end-to-end tests: the command line, and throw-away services."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from balance_service.config import Settings
from tests.cli import Cli
from tests.ephemeral import balance_service, balance_settings, ephemeral_home
from tests.service import Person, Service, StartService, rich, rich_admin
from tests.standbys import Pair, balance, pair, until

__all__ = ["balance_service", "balance_settings", "cli", "ephemeral_home"]


@pytest.fixture
def cli(service_settings: Settings) -> Cli:
    """The command line with the settings of the test's service."""
    return Cli(service_settings.environment())


@pytest.fixture(scope="session")
def servers() -> Iterator[Pair]:
    """A primary and its standby, of all tests that read from one."""
    with pair() as made:
        yield made


@pytest.fixture
async def replicated(servers: Pair, database_url: str, start_service: StartService) -> Service:
    """A service that may read from the standby."""
    return await start_service(replica_url=SecretStr(servers.behind(database_url)))


@pytest.fixture
async def owner(replicated: Service) -> tuple[Person, str]:
    """Somebody with 1000 roubles that the standby shows, and their account."""
    person, account = await rich(replicated)
    await until(lambda: balance(person, account, "2s"), "standby")
    return person, account


@pytest.fixture
async def keeper(replicated: Service) -> tuple[Person, str]:
    """An admin with 1000 roubles that the standby shows, and their account."""
    admin, account = await rich_admin(replicated)
    seen = await balance(admin, account, "0s", at_least="")
    await until(lambda: balance(admin, account, at_least=seen.position), "standby")
    return admin, account
