"""Fixtures of integration tests: a source of exchange rates, a cluster whose commits are late."""

import secrets
from collections.abc import Iterator

import pytest

from tests import cluster
from tests.rate_source import Source, serving


@pytest.fixture
def source() -> Iterator[Source]:
    """A local server of exchange rates, which answers nothing until it is given a document."""
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def late_url() -> Iterator[str]:
    """A module's distributed database, where a commit comes to light part by part."""
    cluster.skip_without()
    with cluster.database(f"test_{secrets.token_hex(8)}", late=True) as url:
        yield url
