"""What operators do with the partitions of the journal, as the owner of its tables."""

from collections.abc import Callable

from balance_service.config import Settings
from balance_service.database import conversion, migrate, partitions
from balance_service.database.partitions import Partition, Prepared
from balance_service.domain.periods import Period


def list_all(settings: Settings) -> list[Partition]:
    """All partitions; none where the journal's tables are whole."""
    with migrate.connected(settings.migration_url) as conn:
        return partitions.read(conn)


def prepare(settings: Settings, period: Period | None) -> Prepared:
    """As `partitions.prepare`, one process at a time."""
    with migrate.connected(settings.migration_url) as conn, migrate.locked(conn):
        return partitions.prepare(conn, period)


def convert(settings: Settings, period: Period | None, report: Callable[[str], None]) -> Prepared:
    """As `conversion.convert`."""
    return conversion.convert(settings.migration_url, period, report=report)
