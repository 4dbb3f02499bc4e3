"""UserService: profiles and roles."""

import dataclasses
from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple, TypedDict, cast
from uuid import UUID

from google.protobuf.empty_pb2 import Empty

from balance_service._generated.balance.v1 import user_pb2
from balance_service.calls.access import Condition
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors
from balance_service.domain.audit import Action, Actor, AuditEvent, yes_or_no
from balance_service.domain.events import EventType
from balance_service.domain.users import Role, User
from balance_service.messages import field_limits, fields, masks, people
from balance_service.messages.once import once
from balance_service.repositories import audit, credentials, outbox, users
from balance_service.servicers.user_data import UserData
from balance_service.servicers.user_directory import UserDirectory
from balance_service.servicers.user_sign_in import UserSignIn

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


class _Chosen(NamedTuple):
    user: UUID


class UserServicer:
    """Keeps profiles and roles.

    Args:
        pool: Where they are kept.
        sign_in: Answers the methods that are about signing in.
        data: Answers those that are about all that is kept on a user.
        directory: Answers those that find users, list or make them.
    """

    service = user_pb2.DESCRIPTOR.services_by_name["UserService"]

    def __init__(
        self, pool: Pool, sign_in: UserSignIn, directory: UserDirectory, data: UserData
    ) -> None:
        self._pool = pool
        self._sign_in = sign_in
        self._data = data
        self._directory = directory

    async def GetMe(self, request: user_pb2.GetMeRequest, call: Call) -> user_pb2.User:
        user_id = call.principal.require_user()

        async with self._pool.connection() as conn:
            user = await users.get(conn, user_id)

        return people.user(user)

    async def UpdateMe(self, request: user_pb2.UpdateMeRequest, call: Call) -> user_pb2.User:
        user_id = call.principal.require_user()

        def read(sent: user_pb2.UpdateMeRequest) -> _Update:
            return _read_update(str(user_id), sent, _OWN_FIELDS)

        async def act(conn: Connection, update: _Update) -> user_pb2.User:
            _, after = await _update(conn, update)
            return people.user(after)

        return await once(self._pool, request, call, read=read, act=act, answer_type=user_pb2.User)

    async def ListUsers(
        self, request: user_pb2.ListUsersRequest, call: Call
    ) -> user_pb2.ListUsersResponse:
        return await self._directory.list(request, call)

    async def GetUser(self, request: user_pb2.GetUserRequest, call: Call) -> user_pb2.User:
        return await self._directory.get(request, call)

    async def LookupUser(self, request: user_pb2.LookupUserRequest, call: Call) -> user_pb2.User:
        return await self._directory.lookup(request, call)

    async def EnsureUser(
        self, request: user_pb2.EnsureUserRequest, call: Call
    ) -> user_pb2.EnsureUserResponse:
        return await self._directory.ensure(request, call)

    async def SetUserExternalId(
        self, request: user_pb2.SetUserExternalIdRequest, call: Call
    ) -> user_pb2.User:
        return await self._directory.set_external_id(request, call)

    async def UpdateUser(self, request: user_pb2.UpdateUserRequest, call: Call) -> user_pb2.User:
        principal = call.principal

        def read(sent: user_pb2.UpdateUserRequest) -> _Update:
            # Nobody changes their own role.
            themselves = sent.id.lower() == str(principal.user_id)
            allowed = _OWN_FIELDS if themselves else (*_OWN_FIELDS, "role")
            return _read_update(sent.id, sent, allowed)

        async def act(conn: Connection, update: _Update) -> user_pb2.User:
            before, after = await _update(conn, update)
            await audit.record(conn, *_updates(before, after, update, call.actor))
            return people.user(after)

        return await once(self._pool, request, call, read=read, act=act, answer_type=user_pb2.User)

    async def DisableUser(self, request: user_pb2.DisableUserRequest, call: Call) -> user_pb2.User:
        def read(sent: user_pb2.DisableUserRequest) -> _Chosen:
            chosen = _Chosen(fields.identifier(sent.user, "user"))
            call.prove(Condition.OTHERS)
            if chosen.user == call.principal.user_id:
                raise errors.invalid("user", "must be somebody else")
            return chosen

        async def act(conn: Connection, chosen: _Chosen) -> user_pb2.User:
            return await _set_disabled(conn, chosen.user, call.actor, disabled=True)

        return await once(self._pool, request, call, read=read, act=act, answer_type=user_pb2.User)

    async def EnableUser(self, request: user_pb2.EnableUserRequest, call: Call) -> user_pb2.User:
        def read(sent: user_pb2.EnableUserRequest) -> _Chosen:
            return _Chosen(fields.identifier(sent.user, "user"))

        async def act(conn: Connection, chosen: _Chosen) -> user_pb2.User:
            return await _set_disabled(conn, chosen.user, call.actor, disabled=False)

        return await once(self._pool, request, call, read=read, act=act, answer_type=user_pb2.User)

    async def EnrolSecondFactor(
        self, request: user_pb2.EnrolSecondFactorRequest, call: Call
    ) -> user_pb2.EnrolSecondFactorResponse:
        return await self._sign_in.enrol_second_factor(call)

    async def ConfirmSecondFactor(
        self, request: user_pb2.ConfirmSecondFactorRequest, call: Call
    ) -> user_pb2.ConfirmSecondFactorResponse:
        return await self._sign_in.confirm_second_factor(request, call)

    async def RemoveSecondFactor(
        self, request: user_pb2.RemoveSecondFactorRequest, call: Call
    ) -> user_pb2.User:
        return await self._sign_in.remove_second_factor(request, call)

    async def ResetSecondFactor(
        self, request: user_pb2.ResetSecondFactorRequest, call: Call
    ) -> user_pb2.User:
        return await self._sign_in.reset_second_factor(request, call)

    async def ListSessions(
        self, request: user_pb2.ListSessionsRequest, call: Call
    ) -> user_pb2.ListSessionsResponse:
        return await self._sign_in.list_sessions(call)

    async def EndSession(self, request: user_pb2.EndSessionRequest, call: Call) -> Empty:
        return await self._sign_in.end_session(request, call)

    async def EndSessions(self, request: user_pb2.EndSessionsRequest, call: Call) -> Empty:
        return await self._sign_in.end_sessions(request, call)

    async def EndUserSessions(self, request: user_pb2.EndUserSessionsRequest, call: Call) -> Empty:
        return await self._sign_in.end_user_sessions(request, call)

    async def ChangeEmail(self, request: user_pb2.ChangeEmailRequest, call: Call) -> user_pb2.User:
        return await self._sign_in.change_email(request, call)

    async def ExportUser(
        self, request: user_pb2.ExportUserRequest, call: Call
    ) -> user_pb2.ExportUserResponse:
        return await self._data.export(request, call)

    async def EraseUser(self, request: user_pb2.EraseUserRequest, call: Call) -> user_pb2.User:
        return await self._data.erase(request, call)


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


async def _update(conn: Connection, update: _Update) -> tuple[User, User]:
    """Changes a user: as they were, and as they are."""
    before = await users.lock(conn, update.id)
    masks.check_etag(update.user.etag, before.version)
    now, version = datetime.now(UTC), before.version + 1
    after = dataclasses.replace(before, **update.user.changes, version=version, updated_at=now)
    await users.update(conn, after)
    if after.role != before.role:
        # Tokens carry the role, so sessions with the old one end.
        await credentials.revoke_sessions_of_user(conn, update.id, now)
    return before, after


def _updates(before: User, after: User, update: _Update, actor: Actor) -> list[AuditEvent]:
    """What an admin did to a user. Of a profile, only which fields were given is told."""
    target, given = f"user:{after.user_id}", update.user.changes
    events = []
    if named := sorted(given.keys() - {"role"}):
        events.append(
            AuditEvent(Action.USER_UPDATED, actor, target, after={"fields": ",".join(named)})
        )
    if "role" in given:
        roles = [{"role": user.role.name.lower()} for user in (before, after)]
        events.append(AuditEvent(Action.ROLE_CHANGED, actor, target, roles[0], roles[1]))
    return events


async def _set_disabled(
    conn: Connection, user_id: UUID, actor: Actor, *, disabled: bool
) -> user_pb2.User:
    before = await users.lock(conn, user_id)
    action = Action.USER_DISABLED if disabled else Action.USER_ENABLED
    was = {"disabled": yes_or_no(value=before.disabled_at is not None)}
    is_now = {"disabled": yes_or_no(value=disabled)}
    await audit.record(conn, AuditEvent(action, actor, f"user:{user_id}", was, is_now))
    if bool(before.disabled_at) == disabled:
        return people.user(before)
    now = datetime.now(UTC)
    after = dataclasses.replace(
        before,
        disabled_at=now if disabled else None,
        version=before.version + 1,
        updated_at=now,
    )
    await users.update(conn, after)
    await outbox.record(
        conn, EventType.USER_DISABLED if disabled else EventType.USER_ENABLED, user_id
    )
    if disabled:
        await credentials.revoke_sessions_of_user(conn, user_id, now)
    return people.user(after)
