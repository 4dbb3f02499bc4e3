"""UserService: profiles and roles."""

import dataclasses
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from balance_service._generated.balance.v1 import user_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors
from balance_service.domain.users import Role, User
from balance_service.messages import convert, fields, limits, masks
from balance_service.messages.once import once
from balance_service.messages.page_tokens import PageTokens
from balance_service.repositories import credentials, users

_OWN = ("username", "first_name", "last_name", "bio")
_USERNAME = limits.find(user_pb2.User.DESCRIPTOR, "username")
_USERNAME_PATTERN = limits.compile_pattern(_USERNAME)


class _Profile(NamedTuple):
    etag: str
    changes: dict[str, Any]


class _Update(NamedTuple):
    id: UUID
    user: _Profile
    update_mask: frozenset[str]


class UserServicer:
    """Keeps profiles and roles."""

    service = user_pb2.DESCRIPTOR.services_by_name["UserService"]

    def __init__(self, pool: Pool, page_tokens: PageTokens) -> None:
        self._pool = pool
        self._page_tokens = page_tokens

    async def GetMe(self, request: user_pb2.GetMeRequest, call: Call) -> user_pb2.User:
        user_id = call.principal.require_user()
        async with self._pool.connection() as conn:
            return convert.user(await users.get(conn, user_id))

    async def UpdateMe(self, request: user_pb2.UpdateMeRequest, call: Call) -> user_pb2.User:
        user_id = call.principal.require_user()

        def read(sent: user_pb2.UpdateMeRequest) -> _Update:
            return _read(user_id, sent, _OWN)

        return await once(self._pool, request, call, read, _update, user_pb2.User)

    async def ListUsers(
        self, request: user_pb2.ListUsersRequest, call: Call
    ) -> user_pb2.ListUsersResponse:
        call.principal.require_admin()
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        search = checks(fields.text, request, "search")
        skip = checks(fields.skip, request.skip)
        checks.finish()
        after = (self._page_tokens.read((search,), call, request.page_token) or b"").decode()
        async with self._pool.connection() as conn:
            found = await users.page(conn, search, after, size + 1, skip)
            total = await users.count(conn, search) if request.count_total else 0
        answer = user_pb2.ListUsersResponse(users=map(convert.user, found[:size]), total_size=total)
        if len(found) > size:
            last = found[size - 1].username.lower().encode()
            answer.next_page_token = self._page_tokens.write((search,), call, last)
        return answer

    async def GetUser(self, request: user_pb2.GetUserRequest, call: Call) -> user_pb2.User:
        call.principal.require_admin()
        user_id = fields.identifier(request.user, "user")
        async with self._pool.connection() as conn:
            return convert.user(await users.get(conn, user_id))

    async def UpdateUser(self, request: user_pb2.UpdateUserRequest, call: Call) -> user_pb2.User:
        principal = call.principal
        principal.require_admin()

        def read(sent: user_pb2.UpdateUserRequest) -> _Update:
            checks = fields.Checks()
            user_id = checks(fields.identifier, sent.id, "id")
            allowed = _OWN if user_id == principal.user_id else (*_OWN, "role")
            update = checks(_read, user_id, sent, allowed)
            checks.finish()
            return update

        return await once(self._pool, request, call, read, _update, user_pb2.User)


def _read(
    user_id: UUID,
    sent: user_pb2.UpdateMeRequest | user_pb2.UpdateUserRequest,
    allowed: Collection[str],
) -> _Update:
    """The checked new values of the fields that the mask names."""
    message = sent.user
    readers = {
        "username": lambda: _username(message.username),
        "first_name": lambda: fields.text(message, "first_name", "user.first_name"),
        "last_name": lambda: fields.text(message, "last_name", "user.last_name"),
        "bio": lambda: fields.text(message, "bio", "user.bio"),
        "role": lambda: _role(message.role),
    }
    checks = fields.Checks()
    paths = frozenset(sent.update_mask.paths)
    names = checks(masks.named, sent.update_mask, allowed) or paths
    changes = {name: checks(read) for name, read in readers.items() if name in names}
    checks.finish()
    return _Update(user_id, _Profile(message.etag, changes), names)


def _username(value: str) -> str:
    least, most = _USERNAME.min_length, _USERNAME.max_length
    if not least <= len(value) <= most or not _USERNAME_PATTERN.fullmatch(value):
        size = f"{least} to {most}"
        rule = f"must have {size} letters, digits, dots, hyphens or underscores, a letter first"
        raise errors.invalid("user.username", rule)
    return value


def _role(value: int) -> Role:
    try:
        return Role(value)
    except ValueError:
        raise errors.invalid("user.role", "must be a known role") from None


async def _update(conn: Connection, asked: _Update) -> user_pb2.User:
    before = await users.lock(conn, asked.id)
    masks.check_etag(asked.user.etag, before.version)
    now, version = datetime.now(UTC), before.version + 1
    after: User = dataclasses.replace(before, **asked.user.changes, version=version, updated_at=now)
    await users.update(conn, after)
    if after.role != before.role:
        await credentials.revoke_sessions_of_user(conn, asked.id, now)
    return convert.user(after)
