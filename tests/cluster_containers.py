"""A Citus cluster in containers, of the image that docker-compose.yml names."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import yaml
from psycopg.conninfo import make_conninfo

_COMPOSE = Path(__file__).parent.parent / "docker-compose.yml"
# Beside the coordinator.
WORKERS = 2
# Every test has a database, and Citus a worker of its own in each.
_SETTINGS = ("fsync=off", "max_connections=300", "max_worker_processes=100")


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """A coordinator with its workers, as long as the context; the URL of its superuser."""
    from testcontainers.community.postgres import PostgresContainer

    image = yaml.safe_load(_COMPOSE.read_text(encoding="utf-8"))["services"]["coordinator"]["image"]
    command = "postgres " + " ".join(f"-c {setting}" for setting in _SETTINGS)
    with contextlib.ExitStack() as started:
        places = []
        for _ in range(1 + WORKERS):
            container = PostgresContainer(
                image, username="postgres", dbname="postgres", driver=None
            )
            container.with_env("POSTGRES_HOST_AUTH_METHOD", "trust").with_command(command)
            started.enter_context(container)
            wrapped = container.get_wrapped_container()
            # Where this machine and the other servers reach it alike.
            places.append(container.get_docker_client().bridge_ip(wrapped.id))
        coordinator, *workers = places
        url = make_conninfo("", host=coordinator, user="postgres", dbname="postgres")
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("SELECT citus_set_coordinator_host(%s, 5432)", (coordinator,))
            for worker in workers:
                conn.execute("SELECT citus_add_node(%s, 5432)", (worker,))
        yield url
