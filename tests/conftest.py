"""Fixtures for every level: a database a test, factories, and a running service."""

import os
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Literal, cast

import psycopg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from pydantic import SecretStr

from balance_service.config import Settings, variable
from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.repositories import verification
from tests import cluster, postgres
from tests.approvals import CEILING, CURRENCY
from tests.service import (
    LEDGER_TABLES,
    Contents,
    Service,
    StartService,
    start_beside,
    start_within,
    stop_service,
)
from tests.tokens import TokenProbe

# The door of the services that tests start as processes. With `envoy`, those of end-to-end tests
# are such; otherwise they run within the test's own process, behind grpcio, which is quicker.
DOOR = cast("Literal['auto', 'envoy', 'grpcio']", os.environ.get("TEST_DOOR", "auto"))
# Whoever asks for these takes hold of the service's code, log or mails: it runs within.
HOOKS = {"within", "probe", "monkeypatch", "capsys", "capfd"}

settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make test-long` asks of tests/long."""
    parser.addoption("--operations", type=int, default=500, help="how many tests/long carries out")
    parser.addoption("--seed", type=int, default=None, help="a seed of tests/long, to replay")


def pytest_xdist_auto_num_workers() -> int:
    """How many tests run at once with `--numprocesses auto`: each waits a third of its time."""
    return (os.cpu_count() or 1) * 3 // 2


def pytest_configure(config: pytest.Config) -> None:
    """Starts the one server in the process that starts the others."""
    for name in [name for name in os.environ if name.startswith("BALANCE_")]:
        del os.environ[name]
    # Many services run at once, and this port is the same for all; a test of it chooses one.
    os.environ[variable("operators_port")] = "0"
    # Shells start jobs in the background with SIGINT ignored, and programs pass that on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.stash[_SERVER] = postgres.SharedServer()


def pytest_configure_node(node: object) -> None:
    """Tells each xdist worker where the server is."""
    server = node.config.stash[_SERVER]  # type: ignore[attr-defined]
    node.workerinput["postgres_url"] = server.url()  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SERVER in config.stash:
        config.stash[_SERVER].stop()


_SERVER = pytest.StashKey[postgres.SharedServer]()


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """The superuser's URL of the server."""
    workerinput: dict[str, str] | None = getattr(request.config, "workerinput", None)
    return workerinput["postgres_url"] if workerinput else request.config.stash[_SERVER].url()


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    with postgres.database(server_url, f"test_{secrets.token_hex(8)}") as url:
        yield url


@pytest.fixture(scope="module")
def cluster_url() -> Iterator[str]:
    """A distributed database, which a module's tests share: to make one takes some seconds."""
    if not cluster.url():
        pytest.skip("TEST_CLUSTER_URL names no Citus cluster")
    with cluster.database(f"test_{secrets.token_hex(8)}") as url:
        yield url


@pytest_asyncio.fixture
async def cluster_pool(cluster_url: str) -> AsyncIterator[Pool]:
    """Connections to it as the service makes them."""
    async with pools.create(postgres.of_service(cluster_url), 8) as connections:
        yield connections


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """Connections as the service makes them."""
    async with pools.create(postgres.of_service(database_url), 8) as connections:
        yield connections


@pytest.fixture
def service_settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a service on the test's database."""
    return Settings(
        database_url=postgres.of_service(database_url),
        secret=SecretStr("only-for-tests-and-long-enough-0123456789"),
        data_dir=str(tmp_path),
        grpc_port=0,
        http_port=0,
        development=True,
        user_deposits=True,
        # Tests call faster than people do.
        user_calls_per_second=0,
        network_calls_per_second=0,
        approval_overdraft_above=f"{CURRENCY}={CEILING}",
        door=DOOR,
    )


@pytest_asyncio.fixture
async def start_service(
    service_settings: Settings, request: pytest.FixtureRequest
) -> AsyncIterator[StartService]:
    """Starts services; all are stopped at the end."""
    started: list[Service] = []
    within = DOOR != "envoy" or HOOKS.intersection(request.fixturenames)
    start_one = start_within if within else start_beside

    async def start(**changes: object) -> Service:
        settings_ = service_settings.model_copy(update=changes)
        started.append(await start_one(settings_))
        return started[-1]

    yield start
    for service in started:
        await stop_service(service)


@pytest.fixture
def within() -> None:
    """Has the service run within the test's own process, behind grpcio, whatever the door."""


@pytest_asyncio.fixture
async def service(start_service: StartService) -> Service:
    """A running service."""
    return await start_service()


@pytest_asyncio.fixture
async def start_envoy(service_settings: Settings) -> AsyncIterator[StartService]:
    """Starts workers behind Envoy; all are stopped at the end."""
    started: list[Service] = []

    async def start(**changes: object) -> Service:
        settings = service_settings.model_copy(update={"door": "envoy", **changes})
        started.append(await start_beside(settings))
        return started[-1]

    yield start
    for service in started:
        await stop_service(service)


@pytest.fixture
def probe() -> Iterator[TokenProbe]:
    """Watches every token that a service of this test issues."""
    with pytest.MonkeyPatch.context() as patch:
        yield TokenProbe(patch)


@pytest.fixture
def contents(database_url: str) -> Callable[[], Contents]:
    """Reads everything that a refused request must leave alone."""

    def read() -> Contents:
        with psycopg.connect(database_url, autocommit=True) as conn:
            return Contents(
                {
                    table: sorted(
                        conn.execute(f"SELECT * FROM {table}".encode()).fetchall(), key=repr
                    )
                    for table in LEDGER_TABLES
                }
            )

    return read


@pytest.fixture
def verified(pool: Pool) -> Callable[[], Awaitable[verification.Report]]:
    """Recomputes the ledger and insists that it is clean."""

    async def check() -> verification.Report:
        async with pool.connection() as conn:
            report = await verification.verify(conn)
        assert report.clean, {name: found for name, found in report.faults.items() if found}
        return report

    return check
