"""The catalogue of services."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from balance_service.domain.catalogue import Service
from balance_service.domain.money import Money
from balance_service.repositories import arrays, queries

_SQL = queries.load(__file__)


async def insert(conn: AsyncConnection, service: Service) -> None:
    """Adds a service."""
    await conn.execute(_SQL["insert"], {**_columns(service), "now": service.created_at})


async def get(conn: AsyncConnection, service_ids: Sequence[UUID]) -> dict[UUID, Service]:
    """Those services that ever existed, by id."""
    services = await _select(conn, "get", {"service_ids": arrays.uuids(service_ids)})
    return {service.service_id: service for service in services}


async def lock(conn: AsyncConnection, service_id: UUID) -> Service | None:
    """A service, locked until the transaction ends, if it ever existed."""
    services = await _select(conn, "lock", {"service_id": service_id})
    return services[0] if services else None


async def page(
    conn: AsyncConnection, currency: str, after: UUID | None, limit: int, skip: int = 0
) -> list[Service]:
    """The catalogue, oldest first.

    Args:
        conn: Any connection.
        currency: The currency that prices must be in; empty for any.
        after: The service after which the page starts.
        limit: How many at most.
        skip: How many to leave out before them.
    """
    values = {"currency": currency, "after": after, "limit": limit, "skip": skip}
    return await _select(conn, "page", values)


async def count(conn: AsyncConnection, currency: str) -> int:
    """How many services the catalogue has, of all currencies or of one."""
    cursor = await conn.execute(_SQL["count"], {"currency": currency})
    row = await cursor.fetchone()
    assert row is not None, "a count always has a row"
    return int(row[0])


async def update(conn: AsyncConnection, service: Service) -> None:
    """Writes a locked service back."""
    await conn.execute(_SQL["update"], _columns(service))


def _columns(service: Service) -> dict[str, object]:
    return {
        "service_id": service.service_id,
        "name": service.name,
        "description": service.description,
        "price_minor": service.price.minor,
        "currency": service.price.currency,
        "repeatable": service.repeatable,
        "version": service.version,
        "updated_at": service.updated_at,
        "deleted_at": service.deleted_at,
    }


async def _select(conn: AsyncConnection, query: str, values: Mapping[str, object]) -> list[Service]:
    cursor = conn.cursor(row_factory=dict_row)
    await cursor.execute(_SQL[query], values)
    return [_service(**row) for row in await cursor.fetchall()]


def _service(price_minor: int, currency: str, **columns: Any) -> Service:  # noqa: ANN401 - a row
    return Service(price=Money(price_minor, currency), **columns)
