"""Throw-away services of `run --ephemeral`, and the fixtures that others have of them."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from balance_client.testing.ephemeral import COMMAND
from balance_client.testing.plugin import balance_service
from tests.cli import PROGRAM

__all__ = ["balance_service", "balance_settings", "ephemeral_home"]


@pytest.fixture(scope="session")
def ephemeral_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the services of this run keep the database that they copy; sets their command."""
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "home"
    home.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(COMMAND, shlex.join(["env", f"HOME={home}", *PROGRAM]))
        yield home


@pytest.fixture(scope="session")
def balance_settings(ephemeral_home: Path) -> dict[str, object]:
    """Settings of the service that a run shares."""
    return {}
