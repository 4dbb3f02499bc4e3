"""Erases what is personal of users, for good; their ids stay, for books must be kept."""

import dataclasses
import secrets as random_source
from datetime import UTC, datetime
from uuid import UUID

from balance_service.auth.askers import Askers
from balance_service.auth.codes import ConfirmationCodes
from balance_service.auth.second_factors import SecondFactors
from balance_service.auth.sessions import Sessions
from balance_service.auth.sign_in import CodeOfAddress
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import account_changes, errors, ids
from balance_service.domain.account_changes import AccountChange, ChangeKind, Rules
from balance_service.domain.accounts import Status
from balance_service.domain.audit import Action, Actor, AuditEvent
from balance_service.domain.days import Calendar
from balance_service.domain.events import EventType
from balance_service.domain.external_ids import ExternalId, Subject
from balance_service.domain.principals import Principal
from balance_service.domain.users import Role, User
from balance_service.repositories import (
    account_changes as changes,
)
from balance_service.repositories import (
    accounts,
    audit,
    credentials,
    external_ids,
    idempotency,
    outbox,
    schedules,
    second_factors,
    sub_accounts,
    users,
    verifications,
    webhook_endpoints,
)

OWN_REASON = "The user erased themselves."


class Erasure:
    """Erases users.

    Args:
        pool: Where they are kept.
        codes: Confirm that a user wants it.
        proofs: Have a second factor proved.
        known: Names what is kept of a mailbox.
        sessions: Learn what ended.
        calendar: The days on which debits count.
    """

    def __init__(
        self,
        pool: Pool,
        codes: ConfirmationCodes,
        proofs: SecondFactors,
        known: Askers,
        sessions: Sessions,
        calendar: Calendar,
    ) -> None:
        self._pool = pool
        self._codes = codes
        self._proofs = proofs
        self._askers = known
        self._sessions = sessions
        self._calendar = calendar

    async def erase_own(
        self, principal: Principal, sent: CodeOfAddress, second_factor_code: str, actor: Actor
    ) -> User:
        """Erases the user who asks for it.

        Args:
            principal: The user.
            sent: A code of their address.
            second_factor_code: Empty if none was sent.
            actor: The user, for the audit log.

        Returns:
            What is left of them.

        Raises:
            ConfirmationCodeInvalid: The code is not good, or one of another address.
            SecondFactorRequired, SecondFactorInvalid, SecondFactorLimit: The second factor is not
                proved.
            AccountNotEmpty, AccountFrozen, UserErased: As of `erase`.
        """
        user_id = principal.require_user()
        right = await self._codes.guess(sent.verification_id, sent.code)
        right = await self._codes.give_back(right)
        async with self._pool.connection() as conn:
            user = await users.get(conn, user_id)
        if user.second_factor:
            await self._proofs.prove(user, right.asker, second_factor_code)
        async with transaction(self._pool) as conn:
            user = await users.lock(conn, user_id)
            if user.email != right.email:
                raise errors.ConfirmationCodeInvalid
            await self._codes.spend(conn, right)
            erased, ended = await self._erase(conn, user, principal, OWN_REASON)
            await audit.record(conn, AuditEvent(Action.USER_ERASED, actor, f"user:{user_id}"))
        self._sessions.remember_ended(*ended)
        return erased

    async def erase(self, principal: Principal, user_id: UUID, reason: str, actor: Actor) -> User:
        """Erases another user; one who was erased before stays as they are.

        Args:
            principal: Who asks for it.
            user_id: The user.
            reason: Why, kept with the accounts that are closed.
            actor: Who asks for it, for the audit log.

        Returns:
            What is left of them.

        Raises:
            UserNotFound: There is no such user.
            AccountNotEmpty: There is money on an account of theirs, or a hold.
            AccountFrozen: An account of theirs is frozen.
        """
        async with transaction(self._pool) as conn:
            user = await users.lock_even_erased(conn, user_id)
            if user.erased_at:
                return user
            erased, ended = await self._erase(conn, user, principal, reason)
            event = AuditEvent(Action.USER_ERASED, actor, f"user:{user_id}", reason=reason)
            await audit.record(conn, event)
        self._sessions.remember_ended(*ended)
        return erased

    async def _erase(
        self, conn: Connection, user: User, principal: Principal, reason: str
    ) -> tuple[User, set[UUID]]:
        """Erases a locked user; what is left, and the sign-ins that this ended."""
        # Before accounts are locked: in the order of whoever carries schedules out.
        await schedules.forget(conn, f"user:{user.user_id}")
        await self._close_accounts(conn, user.user_id, principal, reason)
        now = datetime.now(UTC)
        erased = dataclasses.replace(
            user,
            # A domain in which nobody has a mailbox (RFC 2606), for the column is unique.
            email=f"{user.user_id}@erased.invalid",
            # Of chance, so that nobody can take it before and stand in the way.
            username=f"erased-{random_source.token_hex(8)}",
            first_name="",
            last_name="",
            bio="",
            role=Role.USER,
            second_factor=False,
            disabled_at=user.disabled_at or now,
            erased_at=now,
            version=user.version + 1,
            updated_at=now,
        )
        await users.update(conn, erased)
        ended = await credentials.revoke_sessions_of_user(conn, user.user_id, now)
        await credentials.expire_sessions_of_user(conn, user.user_id)
        await second_factors.delete(conn, user.user_id)
        for source in await external_ids.of_subject(conn, user.user_id):
            await external_ids.replace(conn, Subject.USER, user.user_id, ExternalId(source, ""))
        if user.email:
            await verifications.forget(conn, user.email, self._askers.hash_mailbox(user.email))
        await idempotency.forget(conn, f"user:{user.user_id}")
        await webhook_endpoints.forget(conn, f"user:{user.user_id}")
        await outbox.record(conn, EventType.USER_ERASED, user.user_id)
        return erased, ended

    async def _close_accounts(
        self, conn: Connection, owner_id: UUID, principal: Principal, reason: str
    ) -> None:
        """Closes all accounts of a locked user, in the order in which commits lock them."""
        owned = await accounts.ids_of_owner(conn, owner_id)
        for account_id in owned:
            await accounts.lock(conn, account_id)
        for account_id in owned:
            profile = await sub_accounts.lock_account(conn, account_id, self._calendar)
            assert profile, "an owner's account exists"
            before = profile.account
            if before.status == Status.CLOSED:
                continue
            if before.status != Status.ACTIVE:
                scope = "DEBITS" if before.status == Status.DEBITS_FROZEN else "ALL"
                raise errors.AccountFrozen(str(account_id), scope)
            after = account_changes.close(before)
            await accounts.set_rules(conn, after)
            now = await changes.read_clock(conn)
            change = AccountChange(
                change_id=ids.dated_id(now),
                account_id=account_id,
                kind=ChangeKind.CLOSE,
                before=Rules.of(before),
                after=Rules.of(after),
                reason=reason,
                principal=principal.name,
                request_id=None,
                created_at=now,
            )
            await changes.insert(conn, change)
