"""What callers prove themselves with: sign-ins, signing keys, service secrets.

Only hashes and sealed keys are kept; whoever reads these tables learns no secret.
"""

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
        used_for: How long ago it was used; None if it was not.
    """

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


class SigningKey(NamedTuple):
    """A token's signing key: the private half sealed, the public half raw (32 bytes)."""

    key_id: str
    sealed_private_key: bytes
    public_key: bytes
    created_at: datetime


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


async def find_refresh_token(conn: AsyncConnection, token_hash: bytes) -> RefreshToken | None:
    """A refresh token, locked until the transaction ends, if it exists."""
    cursor = await conn.execute(_SQL["find_refresh_token"], {"token_hash": token_hash})
    row = await cursor.fetchone()
    return RefreshToken(*row) if row else None


async def use_refresh_token(conn: AsyncConnection, token_hash: bytes) -> None:
    await conn.execute(_SQL["use_refresh_token"], {"token_hash": token_hash})


async def is_unused(conn: AsyncConnection, token_hash: bytes) -> bool:
    """Whether there is such a refresh token, and it was not used."""
    cursor = await conn.execute(_SQL["is_unused"], {"token_hash": token_hash})
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


async def revoked_sessions(conn: AsyncConnection, since: datetime) -> set[UUID]:
    """Sign-ins that were revoked since a moment."""
    cursor = await conn.execute(_SQL["revoked_sessions"], {"since": since})
    return {row[0] for row in await cursor.fetchall()}


async def lock_signing_keys(conn: AsyncConnection) -> None:
    """Lets nobody else add a key until the transaction ends."""
    await conn.execute(_SQL["lock_signing_keys"])


async def signing_keys(conn: AsyncConnection) -> list[SigningKey]:
    """The keys in use, newest first."""
    return [SigningKey(*row) for row in await (await conn.execute(_SQL["signing_keys"])).fetchall()]


async def insert_signing_key(conn: AsyncConnection, key: SigningKey) -> None:
    await conn.execute(
        _SQL["insert_signing_key"],
        {
            "key_id": key.key_id,
            "sealed_private_key": key.sealed_private_key,
            "public_key": key.public_key,
            "now": key.created_at,
        },
    )


async def insert_principal(
    conn: AsyncConnection,
    client_id: str,
    secret_hash: bytes,
    description: str,
    scopes: Sequence[str],
    now: datetime,
) -> bool:
    """Adds a sibling service; False if the client id is taken."""
    cursor = await conn.execute(
        _SQL["insert_principal"],
        {
            "client_id": client_id,
            "secret_hash": secret_hash,
            "description": description,
            "scopes": list(scopes),
            "now": now,
        },
    )
    return cursor.rowcount == 1


async def find_principal(conn: AsyncConnection, client_id: str) -> tuple[bytes, list[str]] | None:
    """The secret's hash and the scopes of a sibling service, if it exists and may sign in."""
    cursor = await conn.execute(_SQL["find_principal"], {"client_id": client_id})
    row = await cursor.fetchone()
    return (row[0], row[1]) if row else None


async def revoke_principal(conn: AsyncConnection, client_id: str, now: datetime) -> bool:
    """Stops a sibling service from signing in; False if there is none that may."""
    cursor = await conn.execute(_SQL["revoke_principal"], {"client_id": client_id, "now": now})
    return cursor.rowcount == 1


async def delete_expired(conn: AsyncConnection, before: datetime) -> None:
    """Forgets what expired before a moment."""
    for query in ("delete_old_codes", "delete_old_tokens", "delete_old_sessions"):
        await conn.execute(_SQL[query], {"before": before})
