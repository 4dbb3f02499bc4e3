"""What is kept on a user: shown whole, and erased. Part of UserService."""

import dataclasses
from datetime import UTC, datetime
from uuid import UUID

from balance_service._generated.balance.v1 import account_pb2, user_pb2
from balance_service.auth.erasure import Erasure
from balance_service.auth.sessions import Sessions
from balance_service.auth.sign_in import CodeOfAddress
from balance_service.calls.access import Condition
from balance_service.calls.call import Call
from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors
from balance_service.domain.accounts import AccountProfile
from balance_service.domain.audit import Action, AuditEvent
from balance_service.domain.limits import Limits
from balance_service.domain.paging import Filter, Order
from balance_service.domain.principals import Principal
from balance_service.domain.users import Role
from balance_service.messages import convert, fields, people
from balance_service.messages.account_messages import account_message
from balance_service.messages.listing import Listing, Query
from balance_service.repositories import accounts, audit, external_ids, users


class UserData:
    """Answers the methods of UserService that are about all that is kept on a user.

    Args:
        pool: Where it is kept.
        listing: Lists entries.
        limits: What accounts are shown with.
        sessions: Lists sign-ins.
        erasure: Erases users.
    """

    def __init__(
        self, pool: Pool, listing: Listing, limits: Limits, sessions: Sessions, erasure: Erasure
    ) -> None:
        self._pool = pool
        self._listing = listing
        self._limits = limits
        self._sessions = sessions
        self._erasure = erasure

    async def export(
        self, request: user_pb2.ExportUserRequest, call: Call
    ) -> user_pb2.ExportUserResponse:
        checks = fields.Checks()
        user_id = checks(fields.identifier, request.user, "user")
        size = checks(fields.page_size, request.page_size)
        checks.finish()
        _check_names_oneself(call, user_id)

        answer = user_pb2.ExportUserResponse()
        if not request.page_token:
            await self._add_all_but_entries(answer, user_id, call)
        query = Query(
            account_id=None,
            order=Order.DATE,
            filter=Filter(),
            amounts=account_pb2.MovementFilter(),
            page_size=size,
            page_token=request.page_token,
            skip=0,
            count_total=False,
        )
        # Read as the user reads them, whoever asks.
        as_user = Principal(f"user:{user_id}", user_id, Role.USER)
        page = await self._listing.page(query, dataclasses.replace(call, caller=as_user))
        answer.entries.extend(map(convert.entry, page.lines))
        answer.next_page_token = page.next_page_token
        if page.archived_before:
            answer.archived_before.CopyFrom(page.archived_before)
        return answer

    async def erase(self, request: user_pb2.EraseUserRequest, call: Call) -> user_pb2.User:
        principal = call.principal

        checks = fields.Checks()
        user_id = checks(fields.identifier, request.user, "user")
        reason = checks(fields.text, request, "reason")
        sent = CodeOfAddress(
            checks(fields.text, request, "verification_id"),
            checks(fields.text, request, "confirmation_code"),
        )
        second_factor_code = checks(fields.text, request, "second_factor_code")
        themselves = request.user.lower() == str(principal.user_id)
        if themselves:
            _check_confirmed(checks, request)
        elif not request.reason:
            checks.refuse("reason", "is required for somebody else")
        checks.finish()
        _check_names_oneself(call, user_id)

        if themselves:
            user = await self._erasure.erase_own(principal, sent, second_factor_code, call.actor)
        else:
            user = await self._erasure.erase(principal, user_id, reason, call.actor)

        return people.user(user)

    async def _add_all_but_entries(
        self, answer: user_pb2.ExportUserResponse, user_id: UUID, call: Call
    ) -> None:
        async with transaction(self._pool) as conn:
            user = await users.get(conn, user_id)
            named = await external_ids.of_subject(conn, user_id)
            owned = await accounts.get(conn, await accounts.ids_of_owner(conn, user_id))
            if user_id != call.principal.user_id:
                event = AuditEvent(Action.USER_EXPORTED, call.actor, f"user:{user_id}")
                await audit.record(conn, event)
        answer.profile.CopyFrom(people.user(user, named))
        current = call.principal.session_id
        answer.sessions.extend(
            people.session(session, current) for session in await self._sessions.list(user_id)
        )
        answer.accounts.extend(map(self._account, owned))

    def _account(self, profile: AccountProfile) -> account_pb2.Account:
        account = profile.account
        now = max(datetime.now(UTC), account.changed_at)
        return account_message(profile, self._limits.allowance(account, now))


def _check_confirmed(checks: fields.Checks, request: user_pb2.EraseUserRequest) -> None:
    """Notes which fields are missing of whoever erases themselves, or are not theirs to give."""
    for field in ("verification_id", "confirmation_code"):
        if not getattr(request, field):
            checks.refuse(field, "is required to erase oneself")
    if request.reason:
        checks.refuse("reason", "must be left out to erase oneself")


def _check_names_oneself(call: Call, user_id: UUID) -> None:
    """Raises PermissionMissing unless the caller is the user, or may act for anybody."""
    call.prove(Condition.ONESELF)
    if user_id != call.principal.user_id and not call.unconditional:
        raise errors.PermissionMissing(required="role admin")
