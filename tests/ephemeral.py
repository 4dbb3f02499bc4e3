"""Throw-away services of `run --ephemeral`, and the fixtures that others have of them."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from balance_client.testing.plugin import balance_service
from tests.cli import PROGRAM

__all__ = ["balance_service", "balance_settings", "ephemeral_home"]


@pytest.fixture(scope="session")
def ephemeral_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the services of this run keep the database that they copy; puts them into PATH."""
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "home"
    home.mkdir(exist_ok=True)
    # Not by the variable that names the command: other tests' services would refuse it.
    programs = tmp_path_factory.mktemp("bin")
    script = programs / "balance-service"
    script.write_text(f'#!/bin/sh\nHOME={home} exec {shlex.join(PROGRAM)} "$@"\n')
    script.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(programs), prepend=os.pathsep)
        yield home


@pytest.fixture(scope="session")
def balance_settings(ephemeral_home: Path) -> dict[str, object]:
    """Settings of the service that a run shares."""
    return {}
