"""The certificates that sibling services may sign in by, each by one of its names."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.repositories import queries

_SQL = queries.load(__file__)


class ListedCertificate(NamedTuple):
    """What a service may sign in by.

    Args:
        name: As `client_certificates.parse_name` has it.
        used_on: The day, in UTC, on which it last signed in; None if it never did.
    """

    certificate_id: UUID
    name: str
    created_at: datetime
    revoked_at: datetime | None
    used_on: date | None


class Bound(NamedTuple):
    """A binding that a certificate fits.

    Args:
        scopes: What the service may do.
        used_today: Whether it is noted already that it was used today.
    """

    certificate_id: UUID
    scopes: Sequence[str]
    used_today: bool


async def insert(conn: AsyncConnection, client_id: str, certificate_id: UUID, name: str) -> None:
    values = {"client_id": client_id, "certificate_id": certificate_id, "name": name}
    await conn.execute(_SQL["insert"], values)


async def list_all(conn: AsyncConnection, client_id: str) -> list[ListedCertificate]:
    """The certificates of a service, the newest first."""
    cursor = await conn.execute(_SQL["all"], {"client_id": client_id})
    return [ListedCertificate(*row) for row in await cursor.fetchall()]


async def find(conn: AsyncConnection, client_id: str, names: Collection[str]) -> Bound | None:
    """What a service is bound to of a certificate's names, if anything."""
    values = {"client_id": client_id, "names": list(names)}
    row = await (await conn.execute(_SQL["find"], values)).fetchone()
    return Bound(*row) if row else None


async def use(conn: AsyncConnection, client_id: str, certificate_id: UUID) -> None:
    """Notes the day on which a certificate was used."""
    values = {"client_id": client_id, "certificate_id": certificate_id}
    await conn.execute(_SQL["use"], values)


async def revoke(conn: AsyncConnection, client_id: str, certificate_id: UUID) -> bool:
    """Ends a binding; False if there is none such that goes on."""
    values = {"client_id": client_id, "certificate_id": certificate_id}
    return (await conn.execute(_SQL["revoke"], values)).rowcount == 1


async def revoke_all(conn: AsyncConnection, client_id: str) -> None:
    """Ends all bindings of a service."""
    await conn.execute(_SQL["revoke_all"], {"client_id": client_id})
