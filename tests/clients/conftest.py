"""Fixtures of the clients' tests: each client packed once, and services for them to call."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from balance_service.config import Settings
from balance_service.server.envoy import choice
from tests.certificates import Authority
from tests.clients.packages import GoProject, TypeScriptProject
from tests.ephemeral import ephemeral_home
from tests.service import Service, start_beside, stop_service

__all__ = ["door", "ephemeral_home", "go", "typescript"]


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> GoProject:
    """A Go module that requires the client."""
    return GoProject(tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="session")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> TypeScriptProject:
    """A Node.js project that has installed the client."""
    return TypeScriptProject(tmp_path_factory.mktemp("typescript"))


@dataclass(frozen=True)
class Door:
    """A service in a process of its own, and how its callers trust it.

    Args:
        service: The service.
        ca: The certificate of the authority that it shows; None where it speaks without TLS.
    """

    service: Service
    ca: Path | None


@pytest_asyncio.fixture(params=["grpcio", "envoy"])
async def door(
    request: pytest.FixtureRequest, service_settings: Settings, tmp_path: Path
) -> AsyncIterator[Door]:
    """Either door; Envoy's with TLS."""
    changes: dict[str, object] = {"door": request.param}
    ca = None
    if request.param == "envoy":
        if obstacle := choice.find_obstacle():
            pytest.skip(f"no Envoy: {obstacle}")
        authority, folder = Authority("one"), tmp_path / "tls"
        folder.mkdir()
        certificate, key = authority.pair("server").write(folder)
        ca = folder / "ca.pem"
        ca.write_bytes(authority.pem)
        changes |= {"tls_certificate": certificate, "tls_key": key}
    service = await start_beside(service_settings.model_copy(update=changes))
    yield Door(service, ca)
    await stop_service(service)
