"""Users and their profiles."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from balance_service.domain import errors, ids
from balance_service.domain.events import EventType
from balance_service.domain.external_ids import ExternalId, Subject
from balance_service.domain.users import Role, User, UserFilter
from balance_service.repositories import failures, outbox, queries

_SQL = queries.load(__file__)


class NewUser(NamedTuple):
    """A user to be.

    Args:
        email: In lower case; empty for none.
    """

    email: str
    first_name: str = ""
    last_name: str = ""


async def ensure(conn: AsyncConnection, email: str, now: datetime) -> None:
    """Creates the user of an address, unless there is one."""
    await create_if_new(conn, NewUser(email), now)


async def create_if_new(conn: AsyncConnection, new: NewUser, now: datetime) -> UUID | None:
    """Creates a user, unless somebody has their address; the new user's id."""
    user_id = ids.new_id()
    # The last twelve hex digits of a UUIDv7 are random.
    username = f"user-{user_id.hex[-12:]}"
    values = {**new._asdict(), "user_id": user_id, "username": username, "now": now}
    created = await conn.execute(_SQL["create_if_new"], values)
    if not created.rowcount:
        return None
    await outbox.record(conn, EventType.USER_CREATED, user_id)
    return user_id


async def find_by_email(conn: AsyncConnection, email: str) -> User | None:
    """The user with an address, in lower case, if any."""
    return await _find(conn, "find_by_email", {"email": email})


async def find_by_username(conn: AsyncConnection, username: str) -> User | None:
    """The user with a username, regardless of case, if any."""
    return await _find(conn, "find_by_username", {"username": username})


async def find_by_external_id(conn: AsyncConnection, external_id: ExternalId) -> User | None:
    """The user whom a source calls so, if any."""
    return await _find(conn, "find_by_external_id", _external_id_values(external_id))


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
    conn: AsyncConnection,
    wanted: UserFilter,
    after: str,
    limit: int,
    skip: int = 0,
    reach: int | None = None,
) -> list[User]:
    """Users by username, regardless of case.

    Args:
        conn: Any connection.
        wanted: Which to keep.
        after: The username, in lower case, after which the page starts.
        limit: How many at most.
        skip: How many to leave out before them.
        reach: How many users it looks at; None for all.
    """
    values = {"after": after, "limit": limit, "skip": skip, "reach": reach}
    return await _select(conn, "page", _filter_values(wanted) | values)


async def end_of_reach(conn: AsyncConnection, after: str, reach: int) -> str | None:
    """The last username that a page looked at; None if it looked at all there are.

    Args:
        conn: Any connection.
        after: The username after which the page starts.
        reach: How many users it looks at.
    """
    cursor = await conn.execute(_SQL["end_of_reach"], {"after": after, "reach": reach})
    row = await cursor.fetchone()
    return row[0] if row else None


async def with_external_id(
    conn: AsyncConnection, wanted: UserFilter, external_id: ExternalId
) -> list[User]:
    """The user whom a source calls so, if there is one and they pass a filter."""
    values = _external_id_values(external_id)
    return await _select(conn, "with_external_id", _filter_values(wanted) | values)


async def count(conn: AsyncConnection, wanted: UserFilter) -> int:
    """How many users a list keeps."""
    cursor = await conn.execute(_SQL["count"], _filter_values(wanted))
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


async def _find(conn: AsyncConnection, query: str, values: Mapping[str, object]) -> User | None:
    users = await _select(conn, query, values)
    return users[0] if users else None


def _external_id_values(external_id: ExternalId) -> dict[str, object]:
    return {"source": external_id.source, "external_id": external_id.text, "kind": Subject.USER}


def _filter_values(wanted: UserFilter) -> dict[str, object]:
    names = ("search", "email", "name", "role", "disabled")
    return {name: getattr(wanted, name) for name in names}


async def _select_one(conn: AsyncConnection, query: str, user_id: UUID) -> User:
    users = await _select(conn, query, {"user_id": user_id})
    if not users:
        raise errors.UserNotFound(str(user_id))
    return users[0]


async def _select(conn: AsyncConnection, query: str, values: Mapping[str, object]) -> list[User]:
    cursor = conn.cursor(row_factory=dict_row)
    await cursor.execute(_SQL[query], values)
    return [User(**{**row, "role": Role(row["role"])}) for row in await cursor.fetchall()]
