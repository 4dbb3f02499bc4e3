"""UserService: profiles and roles."""

import dataclasses
from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple, TypedDict, cast
from uuid import UUID

from balance_service._generated.balance.v1 import user_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors
from balance_service.domain.users import Role
from balance_service.messages import convert, field_limits, fields, masks, page_bytes
from balance_service.messages.once import once
from balance_service.messages.page_tokens import PageTokens
from balance_service.repositories import credentials, users
from balance_service.servicers.second_factor import SecondFactorCalls

# What everybody may change of themselves. Admins may change other people's role, too.
_OWN_FIELDS = ("username", "first_name", "last_name", "bio")
_USERNAME = field_limits.find(user_pb2.User.DESCRIPTOR, "username")
_USERNAME_PATTERN = field_limits.compile_pattern(_USERNAME)


class _Changes(TypedDict, total=False):
    """New values of a User's fields."""

    username: str
    first_name: str
    last_name: str
    bio: str
    role: Role


class _Profile(NamedTuple):
    etag: str
    changes: _Changes


class _Update(NamedTuple):
    id: UUID
    user: _Profile
    update_mask: frozenset[str]


class UserServicer:
    """Keeps profiles and roles.

    Args:
        pool: Where they are kept.
        page_tokens: Read and write the lists' tokens.
        second_factors: Answers the methods that are about these.
    """

    service = user_pb2.DESCRIPTOR.services_by_name["UserService"]

    def __init__(
        self, pool: Pool, page_tokens: PageTokens, second_factors: SecondFactorCalls
    ) -> None:
        self._pool = pool
        self._page_tokens = page_tokens
        self._second_factors = second_factors

    async def GetMe(self, request: user_pb2.GetMeRequest, call: Call) -> user_pb2.User:
        user_id = call.principal.require_user()

        async with self._pool.connection() as conn:
            user = await users.get(conn, user_id)

        return convert.user(user)

    async def UpdateMe(self, request: user_pb2.UpdateMeRequest, call: Call) -> user_pb2.User:
        user_id = call.principal.require_user()

        def read(sent: user_pb2.UpdateMeRequest) -> _Update:
            return _read_update(str(user_id), sent, _OWN_FIELDS)

        return await once(
            self._pool, request, call, read=read, act=_update, answer_type=user_pb2.User
        )

    async def ListUsers(
        self, request: user_pb2.ListUsersRequest, call: Call
    ) -> user_pb2.ListUsersResponse:
        call.principal.require_admin()

        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        search = checks(fields.text, request, "search")
        skip = checks(fields.skip, request.skip)
        checks.finish()

        query = (search,)
        after = (self._page_tokens.read(query, call, request.page_token) or b"").decode()
        async with self._pool.connection() as conn:
            listed = await users.page(conn, search, after, size + 1, skip)
            total = await users.count(conn, search) if request.count_total else 0

        shown = page_bytes.fit(
            listed[:size], lambda user: (user.first_name, user.last_name, user.bio)
        )
        answer = user_pb2.ListUsersResponse(users=map(convert.user, shown), total_size=total)
        if len(listed) > len(shown):
            last = shown[-1].username.lower().encode()
            answer.next_page_token = self._page_tokens.write(query, call, last)
        return answer

    async def GetUser(self, request: user_pb2.GetUserRequest, call: Call) -> user_pb2.User:
        call.principal.require_admin()

        user_id = fields.identifier(request.user, "user")

        async with self._pool.connection() as conn:
            user = await users.get(conn, user_id)

        return convert.user(user)

    async def UpdateUser(self, request: user_pb2.UpdateUserRequest, call: Call) -> user_pb2.User:
        principal = call.principal
        principal.require_admin()

        def read(sent: user_pb2.UpdateUserRequest) -> _Update:
            # Nobody changes their own role.
            themselves = sent.id.lower() == str(principal.user_id)
            allowed = _OWN_FIELDS if themselves else (*_OWN_FIELDS, "role")
            return _read_update(sent.id, sent, allowed)

        return await once(
            self._pool, request, call, read=read, act=_update, answer_type=user_pb2.User
        )

    async def EnrolSecondFactor(
        self, request: user_pb2.EnrolSecondFactorRequest, call: Call
    ) -> user_pb2.EnrolSecondFactorResponse:
        return await self._second_factors.enrol(call)

    async def ConfirmSecondFactor(
        self, request: user_pb2.ConfirmSecondFactorRequest, call: Call
    ) -> user_pb2.ConfirmSecondFactorResponse:
        return await self._second_factors.confirm(request, call)

    async def RemoveSecondFactor(
        self, request: user_pb2.RemoveSecondFactorRequest, call: Call
    ) -> user_pb2.User:
        return await self._second_factors.remove(request, call)

    async def ResetSecondFactor(
        self, request: user_pb2.ResetSecondFactorRequest, call: Call
    ) -> user_pb2.User:
        return await self._second_factors.reset(request, call)


def _read_update(
    user_id: str,
    request: user_pb2.UpdateMeRequest | user_pb2.UpdateUserRequest,
    allowed: Collection[str],
) -> _Update:
    message = request.user
    readers = {
        "username": lambda: _read_username(message.username),
        "first_name": lambda: fields.text(message, "first_name", "user.first_name"),
        "last_name": lambda: fields.text(message, "last_name", "user.last_name"),
        "bio": lambda: fields.text(message, "bio", "user.bio"),
        "role": lambda: _read_role(message.role),
    }
    checks = fields.Checks()
    identifier = checks(fields.identifier, user_id, "id")
    masked = masks.read(checks, request.update_mask, readers, allowed)
    checks.finish()
    changes = cast("_Changes", masked.values)
    return _Update(identifier, _Profile(message.etag, changes), masked.names)


def _read_username(value: str) -> str:
    least, most = _USERNAME.min_length, _USERNAME.max_length
    if not least <= len(value) <= most or not _USERNAME_PATTERN.fullmatch(value):
        size = f"{least} to {most}"
        rule = f"must have {size} letters, digits, dots, hyphens or underscores, a letter first"
        raise errors.invalid("user.username", rule)
    return value


def _read_role(value: int) -> Role:
    try:
        return Role(value)
    except ValueError:
        raise errors.invalid("user.role", "must be a known role") from None


async def _update(conn: Connection, update: _Update) -> user_pb2.User:
    before = await users.lock(conn, update.id)
    masks.check_etag(update.user.etag, before.version)
    now, version = datetime.now(UTC), before.version + 1
    after = dataclasses.replace(before, **update.user.changes, version=version, updated_at=now)
    await users.update(conn, after)
    if after.role != before.role:
        # Tokens carry the role, so sessions with the old one end.
        await credentials.revoke_sessions_of_user(conn, update.id, now)
    return convert.user(after)
