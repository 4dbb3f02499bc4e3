"""A console in front of the test's service."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.console.visitors import Console, serve
from tests.service import Service


@pytest_asyncio.fixture
async def console(service: Service, within: None) -> AsyncIterator[Console]:
    """A console, listening; its clock can be put forward."""
    async with serve(service) as found:
        yield found
