"""What operators do with a cluster, as the owner of the tables."""

from collections.abc import Callable

from balance_service.config import Settings
from balance_service.database import cluster, migrate
from balance_service.database.cluster import Table


def read(settings: Settings) -> list[Table]:
    """As `cluster.read`."""
    with migrate.connected(settings.migration_url) as conn:
        return cluster.read(conn)


def distribute(settings: Settings, shards: int | None, report: Callable[[str], None]) -> list[str]:
    """As `cluster.distribute`, one process at a time."""
    with migrate.connected(settings.migration_url) as conn, migrate.locked(conn):
        return cluster.distribute(conn, shards, report)
