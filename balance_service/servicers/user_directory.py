"""How users are found and made by those who know them by something else, for UserService."""

import contextlib
import dataclasses
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from balance_service._generated.balance.v1 import user_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors
from balance_service.domain.addresses import parse_email
from balance_service.domain.audit import Action, AuditEvent
from balance_service.domain.external_ids import ExternalId, Subject
from balance_service.domain.paging import REACH_MAX
from balance_service.domain.users import Role, User, UserFilter
from balance_service.messages import fields, page_bytes, people
from balance_service.messages.external_ids import (
    check_selector,
    put,
    read_external_id,
    read_own_external_id,
)
from balance_service.messages.once import once
from balance_service.messages.page_tokens import PageTokens
from balance_service.repositories import audit, external_ids, users
from balance_service.repositories.users import NewUser

# Whoever loses a race finds the winner the next time; only ids taken away again go on for longer.
ATTEMPTS_MAX = 5


class _Setting(NamedTuple):
    user: UUID
    external_id: str
    source: str


class _Wanted(NamedTuple):
    """Who is to be there.

    Args:
        new: Their address, if they have one, and their names if they are new.
        external_id: What the calling service calls them, if anything.
    """

    new: NewUser
    external_id: ExternalId | None


class _TakenMeanwhile(Exception):  # noqa: N818 - it is what it says
    """Somebody else took the external id after it was looked up."""


class UserDirectory:
    """Finds users, and makes those who are missing.

    Args:
        pool: Where they are kept.
        page_tokens: Read and write the list's tokens.
    """

    def __init__(self, pool: Pool, page_tokens: PageTokens) -> None:
        self._pool = pool
        self._page_tokens = page_tokens

    async def get(self, request: user_pb2.GetUserRequest, call: Call) -> user_pb2.User:
        user_id = fields.identifier(request.user, "user")

        async with self._pool.connection() as conn:
            return await _message(conn, await users.get(conn, user_id))

    async def list(
        self, request: user_pb2.ListUsersRequest, call: Call
    ) -> user_pb2.ListUsersResponse:
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        skip = checks(fields.skip, request.skip)
        wanted = _read_filter(checks, request, call)
        checks.finish()

        reach = None if skip or request.count_total else REACH_MAX
        after = (self._page_tokens.read(wanted, call, request.page_token) or b"").decode()
        async with self._pool.connection() as conn:
            if wanted.external_id:
                found = await users.with_external_id(conn, wanted, wanted.external_id)
                total = len(found) if request.count_total else 0
                named = map(people.user, found[skip:])
                return user_pb2.ListUsersResponse(users=named, total_size=total)
            listed = await users.page(conn, wanted, after, size + 1, skip, reach)
            total = await users.count(conn, wanted) if request.count_total else 0
            shown = page_bytes.fit(
                listed[:size], lambda user: (user.first_name, user.last_name, user.bio)
            )
            last: str | None = None
            if len(listed) > len(shown):
                last = shown[-1].username.lower()
            elif reach:
                last = await users.end_of_reach(conn, after, reach)

        answer = user_pb2.ListUsersResponse(users=map(people.user, shown), total_size=total)
        if last:
            answer.next_page_token = self._page_tokens.write(wanted, call, last.encode())
        return answer

    async def lookup(self, request: user_pb2.LookupUserRequest, call: Call) -> user_pb2.User:
        checks = fields.Checks()
        email = checks(parse_email, request.email) if request.email else ""
        username = checks(fields.text, request, "username")
        external_id = checks(read_external_id, request, call.principal)
        check_selector(checks, request, ("email", "username", "external_id"))
        checks.finish()

        async with self._pool.connection() as conn:
            if external_id:
                user = await users.find_by_external_id(conn, external_id)
            elif email:
                user = await users.find_by_email(conn, email)
            else:
                user = await users.find_by_username(conn, username)
            if user is None:
                raise errors.UserNotFound(request.email or request.username or request.external_id)
            return await _message(conn, user)

    async def ensure(
        self, request: user_pb2.EnsureUserRequest, call: Call
    ) -> user_pb2.EnsureUserResponse:
        wanted = _read_wanted(request, call)

        for _ in range(ATTEMPTS_MAX):
            with contextlib.suppress(_TakenMeanwhile):
                async with transaction(self._pool) as conn:
                    user, created = await _ensure(conn, wanted, datetime.now(UTC))
                    if created:
                        target = f"user:{user.user_id}"
                        event = AuditEvent(Action.USER_CREATED, call.actor, target)
                        await audit.record(conn, event)
                    message = await _message(conn, user)
                return user_pb2.EnsureUserResponse(user=message, created=created)
        raise errors.Unavailable

    async def set_external_id(
        self, request: user_pb2.SetUserExternalIdRequest, call: Call
    ) -> user_pb2.User:
        principal = call.principal

        def read(sent: user_pb2.SetUserExternalIdRequest) -> _Setting:
            checks = fields.Checks()
            user_id = checks(fields.identifier, sent.user, "user")
            external_id = checks(read_own_external_id, sent, principal)
            checks.finish()
            return _Setting(user_id, external_id.text, external_id.source)

        async def act(conn: Connection, setting: _Setting) -> user_pb2.User:
            user = await users.lock(conn, setting.user)
            external_id = ExternalId(setting.source, setting.external_id)
            await put(conn, call, Subject.USER, user.user_id, external_id)
            return await _message(conn, user)

        return await once(self._pool, request, call, read=read, act=act, answer_type=user_pb2.User)


def _read_filter(
    checks: fields.Checks, request: user_pb2.ListUsersRequest, call: Call
) -> UserFilter:
    """Reads which users are listed; not to be used before `checks` has finished."""
    return UserFilter(
        search=checks(fields.text, request, "search"),
        email=checks(fields.text, request, "email"),
        name=checks(fields.text, request, "name"),
        external_id=checks(read_external_id, request, call.principal),
        role=checks(_read_role, request.role),
        disabled=request.disabled if request.HasField("disabled") else None,
    )


def _read_role(value: int) -> Role | None:
    if value == user_pb2.ROLE_UNSPECIFIED:
        return None
    if value not in user_pb2.Role.values():
        raise errors.invalid("role", "must be a known role")
    return Role(value)


def _read_wanted(request: user_pb2.EnsureUserRequest, call: Call) -> _Wanted:
    checks = fields.Checks()
    if not request.email and not request.external_id:
        checks.refuse("email", "is required, or an external_id")
    email = checks(parse_email, request.email) if request.email else ""
    text = checks(fields.text, request, "external_id")
    first_name = checks(fields.text, request, "first_name")
    last_name = checks(fields.text, request, "last_name")
    checks.finish()
    external_id = ExternalId(call.principal.name, text) if text else None
    return _Wanted(NewUser(email, first_name, last_name), external_id)


async def _ensure(conn: Connection, wanted: _Wanted, now: datetime) -> tuple[User, bool]:
    """Who is wanted, and whether they are new."""
    new, external_id = wanted
    if external_id and (known := await external_ids.find(conn, Subject.USER, external_id)):
        user = await users.get(conn, known)
        return await _with_email(conn, user, new.email, now), False
    user_id = await users.create_if_new(conn, new, now)
    found = (
        await users.get(conn, user_id) if user_id else await users.find_by_email(conn, new.email)
    )
    if found is None:
        # Whoever had the address has changed it since.
        raise _TakenMeanwhile
    if external_id:
        await users.lock(conn, found.user_id)
        theirs = (await external_ids.of_subject(conn, found.user_id)).get(external_id.source)
        if theirs not in (None, external_id.text):
            raise errors.ExternalIdConflict(*external_id)
        added = theirs or await external_ids.add(conn, Subject.USER, found.user_id, external_id)
        if not added:
            raise _TakenMeanwhile
    return found, user_id is not None


async def _with_email(conn: Connection, user: User, email: str, now: datetime) -> User:
    """A user who has an address, or gets this one.

    Raises:
        EmailTaken: It is another user's.
    """
    if user.email or not email:
        return user
    user = await users.lock(conn, user.user_id)
    if user.email:
        return user
    changed = dataclasses.replace(user, email=email, version=user.version + 1, updated_at=now)
    await users.update(conn, changed)
    return changed


async def _message(conn: Connection, user: User) -> user_pb2.User:
    return people.user(user, await external_ids.of_subject(conn, user.user_id))
