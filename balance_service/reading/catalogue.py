"""Reads services of the catalogue: many callers buy the same ones."""

from typing import TypeAlias
from uuid import UUID

from balance_service.database.pool import Pool
from balance_service.domain.catalogue import Service
from balance_service.reading.gathering import Gathering
from balance_service.repositories import catalogue

SERVICES_PER_QUERY_MAX = 500

ServiceReads: TypeAlias = Gathering[UUID, Service]


def gather(pool: Pool) -> ServiceReads:
    """Gathers reads of services, also of those that have left the catalogue."""
    return Gathering(pool, catalogue.get, SERVICES_PER_QUERY_MAX)
