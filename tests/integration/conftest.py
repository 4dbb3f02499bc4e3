"""Fixtures of integration tests: a local source of exchange rates."""

from collections.abc import Iterator

import pytest

from tests.rate_source import Source, serving


@pytest.fixture
def source() -> Iterator[Source]:
    """A local server of exchange rates, which answers nothing until it is given a document."""
    with serving() as running:
        yield running
