"""Users and their profiles."""

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg import errors as pg

from balance_service.domain import errors, ids
from balance_service.domain.users import Role, User
from balance_service.repositories import failures, queries

_SQL = queries.load(__file__)


async def ensure(conn: AsyncConnection, email: str, now: datetime) -> None:
    """Creates the user of an address, unless there is one."""
    user_id = ids.new_id()
    # The last twelve hex digits of a UUIDv7 are random.
    username = f"user-{user_id.hex[-12:]}"
    await conn.execute(
        _SQL["create_if_new"],
        {"user_id": user_id, "email": email, "username": username, "now": now},
    )


async def find_by_email(conn: AsyncConnection, email: str) -> User | None:
    """The user with an address, in lower case, if any."""
    cursor = await conn.execute(_SQL["find_by_email"], {"email": email})
    row = await cursor.fetchone()
    return _user(row) if row else None


async def get(conn: AsyncConnection, user_id: UUID) -> User:
    """A user.

    Raises:
        UserNotFound: There is none.
    """
    cursor = await conn.execute(_SQL["get"], {"user_id": user_id})
    return _found(await cursor.fetchone(), user_id)


async def lock(conn: AsyncConnection, user_id: UUID) -> User:
    """A user, locked until the transaction ends.

    Raises:
        UserNotFound: There is none.
    """
    cursor = await conn.execute(_SQL["lock"], {"user_id": user_id})
    return _found(await cursor.fetchone(), user_id)


async def hold(conn: AsyncConnection, user_id: UUID) -> User:
    """A user who cannot be changed until the transaction ends, though others may hold them, too.

    Raises:
        UserNotFound: There is none.
    """
    cursor = await conn.execute(_SQL["hold"], {"user_id": user_id})
    return _found(await cursor.fetchone(), user_id)


async def page(
    conn: AsyncConnection, search: str, after: str, limit: int, skip: int = 0
) -> list[User]:
    """Users by username, regardless of case.

    Args:
        conn: Any connection.
        search: What the username must contain; empty for any.
        after: The username, in lower case, after which the page starts.
        limit: How many at most.
        skip: How many to leave out before them.
    """
    values = {"search": search, "after": after, "limit": limit, "skip": skip}
    cursor = await conn.execute(_SQL["page"], values)
    return [_user(row) for row in await cursor.fetchall()]


async def count(conn: AsyncConnection, search: str) -> int:
    """How many users there are whose username contains a text."""
    cursor = await conn.execute(_SQL["count"], {"search": search})
    row = await cursor.fetchone()
    assert row is not None, "a count always has a row"
    return int(row[0])


async def update(conn: AsyncConnection, user: User) -> None:
    """Writes a locked user back.

    Raises:
        UsernameTaken: Another user has the username.
    """
    try:
        await conn.execute(_SQL["update"], dataclasses.asdict(user))
    except pg.UniqueViolation as error:
        if failures.violates(error, "users_username_unique"):
            raise errors.UsernameTaken(user.username) from None
        raise


def _found(row: Sequence[Any] | None, user_id: UUID) -> User:
    if row is None:
        raise errors.UserNotFound(str(user_id))
    return _user(row)


def _user(row: Sequence[Any]) -> User:
    return User(*[*row[:6], Role(row[6]), *row[7:]])
