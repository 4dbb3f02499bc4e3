"""Users and their profiles."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

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
    users = await _select(conn, "find_by_email", {"email": email})
    return users[0] if users else None


async def get(conn: AsyncConnection, user_id: UUID) -> User:
    """A user.

    Raises:
        UserNotFound: There is none.
    """
    return await _select_one(conn, "get", user_id)


async def lock(conn: AsyncConnection, user_id: UUID) -> User:
    """A user, locked until the transaction ends.

    Raises:
        UserNotFound: There is none.
        UserErased: They were erased.
    """
    return _check_not_erased(await lock_even_erased(conn, user_id))


async def lock_even_erased(conn: AsyncConnection, user_id: UUID) -> User:
    """A user, locked until the transaction ends, also one who was erased.

    Raises:
        UserNotFound: There is none.
    """
    return await _select_one(conn, "lock", user_id)


async def hold(conn: AsyncConnection, user_id: UUID) -> User:
    """A user who cannot be changed until the transaction ends, though others may hold them, too.

    Raises:
        UserNotFound: There is none.
        UserErased: They were erased.
    """
    return _check_not_erased(await _select_one(conn, "hold", user_id))


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
    return await _select(conn, "page", values)


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
        EmailTaken: Another user has the address.
    """
    try:
        await conn.execute(_SQL["update"], dataclasses.asdict(user))
    except failures.UniqueViolation as error:
        if failures.violates(error, "users_username_unique"):
            raise errors.UsernameTaken(user.username) from None
        if failures.violates(error, "users_email_unique"):
            raise errors.EmailTaken from None
        raise


async def set_second_factor(
    conn: AsyncConnection, user_id: UUID, *, enrolled: bool, now: datetime
) -> None:
    """Notes whether a locked user has a second factor."""
    values = {"user_id": user_id, "enrolled": enrolled, "now": now}
    await conn.execute(_SQL["set_second_factor"], values)


def _check_not_erased(user: User) -> User:
    if user.erased_at:
        raise errors.UserErased(str(user.user_id))
    return user


async def _select_one(conn: AsyncConnection, query: str, user_id: UUID) -> User:
    users = await _select(conn, query, {"user_id": user_id})
    if not users:
        raise errors.UserNotFound(str(user_id))
    return users[0]


async def _select(conn: AsyncConnection, query: str, values: Mapping[str, object]) -> list[User]:
    cursor = conn.cursor(row_factory=dict_row)
    await cursor.execute(_SQL[query], values)
    return [User(**{**row, "role": Role(row["role"])}) for row in await cursor.fetchall()]
