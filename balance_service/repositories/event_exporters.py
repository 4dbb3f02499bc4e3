"""How far exporters of events have come, and which process of each works now."""

from datetime import timedelta
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.events import Place
from balance_service.repositories import queries

_SQL = queries.load(__file__)


async def ensure(conn: AsyncConnection, name: str, place: Place) -> None:
    """Has an exporter begin at a place, unless it has one already."""
    await conn.execute(_SQL["ensure"], {"name": name, **place._asdict()})


async def lease(conn: AsyncConnection, name: str, holder: UUID, life: timedelta) -> Place | None:
    """Where an exporter goes on; None while another process does.

    Args:
        conn: Any connection.
        name: The exporter's.
        holder: Names the process.
        life: How long no other goes on.
    """
    values = {"name": name, "lease": holder, "life": life}
    row = await (await conn.execute(_SQL["lease"], values)).fetchone()
    return Place(*row) if row else None


async def advance(
    conn: AsyncConnection, name: str, holder: UUID, life: timedelta, place: Place
) -> bool:
    """Writes how far an exporter has come; False if another process goes on meanwhile."""
    values = {"name": name, "lease": holder, "life": life, **place._asdict()}
    return (await conn.execute(_SQL["advance"], values)).rowcount == 1


async def release(conn: AsyncConnection, name: str, holder: UUID) -> None:
    """Lets another process go on."""
    await conn.execute(_SQL["release"], {"name": name, "lease": holder})
