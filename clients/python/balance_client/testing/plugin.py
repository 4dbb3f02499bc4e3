"""Fixtures of pytest: in your `conftest.py`, `pytest_plugins = ["balance_client.testing.plugin"]`.

They start the real service, once for a test run, and skip where it is not installed.
"""

from collections.abc import Callable, Iterator

import pytest

from balance_client.sync import Client
from balance_client.testing import ephemeral, memory
from balance_client.testing.ephemeral import EphemeralService
from balance_client.testing.memory import InMemoryService
from balance_client.testing.service import NotInstalled, User


@pytest.fixture(scope="session")
def balance_settings() -> dict[str, object]:
    """Settings of the service; a fixture of yours with this name takes its place."""
    return {}


@pytest.fixture(scope="session")
def balance_service(balance_settings: dict[str, object]) -> Iterator[EphemeralService]:
    """A real service, for the whole run."""
    try:
        ephemeral.find_command()
    except NotInstalled as error:
        pytest.skip(str(error))
    with ephemeral.start(**balance_settings) as service:
        yield service


@pytest.fixture(scope="session")
def balance_api(balance_service: EphemeralService) -> Client:
    """Calls it as a sibling service that may do everything."""
    return balance_service.client()


@pytest.fixture(scope="session")
def balance_admin(balance_service: EphemeralService) -> Client:
    """Calls it as an admin."""
    return balance_service.admin()


@pytest.fixture
def balance_user(balance_service: EphemeralService) -> User:
    """A user of this test's own, with 1000 RUB."""
    return balance_service.user()


@pytest.fixture(scope="session")
def new_balance_user(balance_service: EphemeralService) -> Callable[..., User]:
    """Makes users: `new_balance_user(Decimal("0.01"), "USD")`."""
    return balance_service.user


@pytest.fixture
def in_memory_balance() -> Iterator[InMemoryService]:
    """A service in memory of this test's own, without money and without anybody."""
    try:
        with memory.in_memory() as service:
            yield service
    except NotInstalled as error:
        pytest.skip(str(error))
