"""Sign-ins, and the refresh tokens that descend from them, of which only hashes are kept."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.repositories import queries

_SQL = queries.load(__file__)


class RefreshToken(NamedTuple):
    """A refresh token and the sign-in it belongs to.

    Args:
        token_hash: By one of the service's secrets.
        used_for: How long ago it was used; None if it was not.
    """

    token_hash: bytes
    session_id: UUID
    expires_at: datetime
    user_id: UUID
    session_expires_at: datetime
    revoked_at: datetime | None
    second_factor: bool
    used_for: timedelta | None


class Session(NamedTuple):
    """A sign-in that goes on.

    Args:
        refreshed_at: When its tokens were last exchanged, if they were.
        second_factor: Whether a second factor was proved in it.
    """

    session_id: UUID
    created_at: datetime
    refreshed_at: datetime | None
    expires_at: datetime
    second_factor: bool


class NewSession(NamedTuple):
    """A sign-in, and whether a second factor was proved in it."""

    session_id: UUID
    user_id: UUID
    now: datetime
    expires_at: datetime
    second_factor: bool


async def create_session(conn: AsyncConnection, session: NewSession) -> None:
    await conn.execute(_SQL["create_session"], session._asdict())


async def prove_session(conn: AsyncConnection, session_id: UUID) -> None:
    """Notes that a second factor was proved in a sign-in."""
    await conn.execute(_SQL["prove_session"], {"session_id": session_id})


async def insert_refresh_token(
    conn: AsyncConnection, token_hash: bytes, session_id: UUID, expires_at: datetime
) -> None:
    values = {"token_hash": token_hash, "session_id": session_id, "expires_at": expires_at}
    await conn.execute(_SQL["insert_refresh_token"], values)


async def find_refresh_token(
    conn: AsyncConnection, token_hashes: Sequence[bytes]
) -> RefreshToken | None:
    """The refresh token with one of some hashes, locked until the transaction ends, if any."""
    cursor = await conn.execute(_SQL["find_refresh_token"], {"token_hashes": list(token_hashes)})
    row = await cursor.fetchone()
    return RefreshToken(*row) if row else None


async def use_refresh_token(conn: AsyncConnection, token_hash: bytes) -> None:
    await conn.execute(_SQL["use_refresh_token"], {"token_hash": token_hash})


async def is_unused(conn: AsyncConnection, token_hashes: Sequence[bytes]) -> bool:
    """Whether there is a refresh token with one of some hashes, and it was not used."""
    cursor = await conn.execute(_SQL["is_unused"], {"token_hashes": list(token_hashes)})
    return await cursor.fetchone() is not None


async def refresh_session(conn: AsyncConnection, session_id: UUID, now: datetime) -> None:
    """Notes when a sign-in's tokens were last exchanged."""
    await conn.execute(_SQL["refresh_session"], {"session_id": session_id, "now": now})


async def list_sessions(
    conn: AsyncConnection, user_id: UUID, now: datetime, limit: int
) -> list[Session]:
    """A user's sign-ins that go on, the newest first."""
    values = {"user_id": user_id, "now": now, "limit": limit}
    cursor = await conn.execute(_SQL["list_sessions"], values)
    return [Session(*row) for row in await cursor.fetchall()]


async def is_session_of(conn: AsyncConnection, session_id: UUID, user_id: UUID) -> bool:
    """Whether a sign-in is a user's, whether or not it goes on."""
    values = {"session_id": session_id, "user_id": user_id}
    return await (await conn.execute(_SQL["is_session_of"], values)).fetchone() is not None


async def revoke_session(conn: AsyncConnection, session_id: UUID, now: datetime) -> bool:
    """Revokes a sign-in with all its tokens; False if it was over."""
    values = {"session_id": session_id, "now": now}
    return (await conn.execute(_SQL["revoke_session"], values)).rowcount == 1


async def revoke_sessions_of_user(
    conn: AsyncConnection, user_id: UUID, now: datetime, kept: UUID | None = None
) -> set[UUID]:
    """Revokes all sign-ins of a user, but for one that is kept; those that it ended."""
    values = {"user_id": user_id, "now": now, "kept": kept}
    cursor = await conn.execute(_SQL["revoke_sessions_of_user"], values)
    return {row[0] for row in await cursor.fetchall()}


async def expire_sessions_of_user(conn: AsyncConnection, user_id: UUID) -> None:
    """Has all sign-ins of a user be deleted as soon as no access token needs them."""
    await conn.execute(_SQL["expire_sessions_of_user"], {"user_id": user_id})


async def revoked_sessions(conn: AsyncConnection, since: datetime) -> set[UUID]:
    """Sign-ins, and secrets that services signed in with, that were revoked since a moment."""
    cursor = await conn.execute(_SQL["revoked_sessions"], {"since": since})
    return {row[0] for row in await cursor.fetchall()}
