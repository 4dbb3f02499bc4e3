"""Sibling services, and the secrets that they sign in with; of those, hashes alone are kept."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.repositories import queries

_SQL = queries.load(__file__)


class StoredPrincipal(NamedTuple):
    """A sibling service.

    Args:
        revoked_at: Since when it may not sign in; None while it may.
    """

    client_id: str
    description: str
    scopes: Sequence[str]
    created_at: datetime
    revoked_at: datetime | None


class ListedSecret(NamedTuple):
    """What is known of a secret.

    Args:
        used_on: The day, in UTC, on which it last signed in; None if it never did.
        live: Whether it was neither revoked nor has expired.
    """

    secret_id: UUID
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_on: date | None
    live: bool


class LiveSecret(NamedTuple):
    """What a service may sign in with.

    Args:
        scopes: What the service may do.
        used_today: Whether it is noted already that it was used today.
    """

    secret_id: UUID
    secret_hash: bytes
    expires_at: datetime | None
    scopes: Sequence[str]
    used_today: bool


class KeptHash(NamedTuple):
    """What is kept of a secret, and the mark of the service's secret that hashed it."""

    secret_hash: bytes
    mark: bytes


async def insert(
    conn: AsyncConnection, client_id: str, description: str, scopes: Sequence[str], now: datetime
) -> bool:
    """Adds a sibling service, without a secret yet; False if the client id is taken."""
    values = {
        "client_id": client_id,
        "description": description,
        "scopes": list(scopes),
        "now": now,
    }
    return (await conn.execute(_SQL["insert"], values)).rowcount == 1


async def lock(conn: AsyncConnection, client_id: str) -> bool:
    """Locks a sibling service until the transaction ends; False if there is none that may sign in.

    A secret that an earlier version stored is from then on among the others.
    """
    row = await (await conn.execute(_SQL["lock"], {"client_id": client_id})).fetchone()
    if row is None or not row[0]:
        return False
    await conn.execute(_SQL["adopt"], {"client_id": client_id})
    return True


async def scopes_of(conn: AsyncConnection, client_id: str) -> frozenset[str] | None:
    """What a sibling service may do; None if there is none that may sign in."""
    row = await (await conn.execute(_SQL["scopes_of"], {"client_id": client_id})).fetchone()
    return frozenset(row[0]) if row else None


async def list_all(conn: AsyncConnection) -> list[StoredPrincipal]:
    """Every sibling service, by name."""
    return [StoredPrincipal(*row) for row in await (await conn.execute(_SQL["all"])).fetchall()]


async def secrets(conn: AsyncConnection, client_id: str) -> list[ListedSecret]:
    """The secrets of a service, the newest first."""
    cursor = await conn.execute(_SQL["secrets"], {"client_id": client_id})
    return [ListedSecret(*row) for row in await cursor.fetchall()]


async def insert_secret(
    conn: AsyncConnection,
    client_id: str,
    secret_id: UUID,
    kept: KeptHash,
    life: timedelta | None,
) -> None:
    """Adds a secret, which lives for some time, or until it is revoked."""
    values = {
        "client_id": client_id,
        "secret_id": secret_id,
        "life": life,
        **kept._asdict(),
    }
    await conn.execute(_SQL["insert_secret"], values)
    await conn.execute(_SQL["copy_newest"], values)


async def expire_secret(
    conn: AsyncConnection, client_id: str, secret_id: UUID, life: timedelta
) -> None:
    """Has a secret end after some time, if not before."""
    values = {"client_id": client_id, "secret_id": secret_id, "life": life}
    await conn.execute(_SQL["expire_secret"], values)


async def revoke_secret(conn: AsyncConnection, client_id: str, secret_id: UUID) -> bool:
    """Ends a secret; False if there is none such that goes on."""
    values = {"client_id": client_id, "secret_id": secret_id}
    revoked = (await conn.execute(_SQL["revoke_secret"], values)).rowcount == 1
    await conn.execute(_SQL["copy_newest"], values)
    return revoked


async def live_secrets(conn: AsyncConnection, client_id: str) -> list[LiveSecret]:
    """What a service may sign in with; nothing if there is no such service, or it may not."""
    cursor = await conn.execute(_SQL["live_secrets"], {"client_id": client_id})
    return [LiveSecret(*row) for row in await cursor.fetchall()]


async def use_secret(conn: AsyncConnection, client_id: str, secret_id: UUID) -> None:
    """Notes the day on which a secret was used."""
    await conn.execute(_SQL["use_secret"], {"client_id": client_id, "secret_id": secret_id})


async def replace_hash(
    conn: AsyncConnection, client_id: str, secret_id: UUID, kept: KeptHash
) -> None:
    """Keeps another hash of the same secret."""
    await conn.execute(_SQL["adopt"], {"client_id": client_id})
    values = {"client_id": client_id, "secret_id": secret_id, **kept._asdict()}
    await conn.execute(_SQL["replace_hash"], values)
    await conn.execute(_SQL["copy_newest"], values)


async def count_hashes_of_others(conn: AsyncConnection, mark: bytes) -> int:
    """How many live secrets another secret of the service hashed, as far as is known."""
    cursor = await conn.execute(_SQL["count_hashes_of_others"], {"mark": mark})
    row = await cursor.fetchone()
    assert row, "a count has a row"
    return int(row[0])


async def revoke(conn: AsyncConnection, client_id: str) -> None:
    """Stops a sibling service from signing in, and ends its secrets."""
    await conn.execute(_SQL["revoke"], {"client_id": client_id})
    await conn.execute(_SQL["revoke_secrets"], {"client_id": client_id})
