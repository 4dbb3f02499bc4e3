"""Fixtures for every level: a database a test, factories, and a running service."""

import contextlib
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
from tests import cluster, cluster_containers, not_on_cluster, postgres
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
        if cluster.url() == cluster.IN_CONTAINERS and postgres.docker_answers():
            containers = contextlib.ExitStack()
            config.add_cleanup(containers.close)
            url = containers.enter_context(cluster_containers.cluster())
            os.environ["TEST_CLUSTER_URL"] = url
        if cluster.is_for_all() and (lacking := cluster.what_lacks()):
            raise pytest.UsageError(lacking)
        config.stash[_SERVER] = postgres.SharedServer()
        config.stash[_TEMPLATE] = cluster.Template()


def pytest_configure_node(node: object) -> None:
    """Tells each xdist worker where the server is, and what databases of the cluster are like."""
    stash: pytest.Stash = node.config.stash  # type: ignore[attr-defined]
    told = {"postgres_url": stash[_SERVER].url()}
    if cluster.is_for_all():
        told["template"] = stash[_TEMPLATE].name()
    node.workerinput.update(told)  # type: ignore[attr-defined]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On the cluster, leaves out what has no database there, and skips what cannot be there."""
    if not cluster.is_for_all():
        return
    others = [item for item in items if not _has_database_there(item)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if _has_database_there(item)]
    for item in items:
        if reason := not_on_cluster.reason(item.nodeid):
            item.add_marker(pytest.mark.skip(reason=reason))


def _has_database_there(item: pytest.Item) -> bool:
    """Whether a test asks for a database, or is of a cluster alone."""
    asks = "database_url" in getattr(item, "fixturenames", ())
    return asks or item.path.name.startswith("test_cluster")


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SERVER in config.stash:
        config.stash[_SERVER].stop()
        config.stash[_TEMPLATE].stop()


_SERVER = pytest.StashKey[postgres.SharedServer]()
_TEMPLATE = pytest.StashKey[cluster.Template]()


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """The superuser's URL of the server."""
    workerinput: dict[str, str] | None = getattr(request.config, "workerinput", None)
    return workerinput["postgres_url"] if workerinput else request.config.stash[_SERVER].url()


@pytest.fixture(scope="session")
def template(request: pytest.FixtureRequest) -> str:
    """What the databases of tests are copied from on the cluster; empty for the one server."""
    if not cluster.is_for_all():
        return ""
    workerinput: dict[str, str] | None = getattr(request.config, "workerinput", None)
    return workerinput["template"] if workerinput else request.config.stash[_TEMPLATE].name()


@pytest.fixture
def database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    name = f"test_{secrets.token_hex(8)}"
    made = cluster.copied(template, name) if template else postgres.database(server_url, name)
    with made as url:
        yield url


@pytest.fixture(scope="module")
def cluster_url() -> Iterator[str]:
    """A distributed database, which a module's tests share: to make one takes some seconds."""
    cluster.skip_without()
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
def verified(
    pool: Pool, database_url: str, server_url: str, template: str
) -> Callable[[], Awaitable[verification.Report]]:
    """Recomputes the ledger and insists that it is clean; of one on the cluster, a copy."""

    async def check() -> verification.Report:
        if template:
            with postgres.database(server_url, f"copy_{secrets.token_hex(8)}") as url:
                cluster.copy(database_url, url)
                async with pools.create(postgres.of_service(url), 1) as copied:
                    report = await _verify(copied)
        else:
            report = await _verify(pool)
        assert report.clean, {name: found for name, found in report.faults.items() if found}
        return report

    return check


async def _verify(pool: Pool) -> verification.Report:
    async with pool.connection() as conn:
        return await verification.verify(conn)
