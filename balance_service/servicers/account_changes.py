"""What operators change on accounts, for AccountService: each change with its reason, for ever."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from google.protobuf.message import Message

from balance_service._generated.balance.v1 import account_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import audited_accounts, errors, ids
from balance_service.domain.account_changes import AccountChange, ChangeKind, Rules
from balance_service.domain.accounts import Account, AccountProfile
from balance_service.domain.approvals import Ceilings, NewApproval
from balance_service.domain.audit import Action, Actor, AuditEvent
from balance_service.domain.limits import Limits
from balance_service.messages import account_access, fields, page_bytes
from balance_service.messages.account_change_requests import (
    CLOSE,
    FREEZE,
    REOPEN,
    SET_LIMIT,
    SET_LIMITS,
    UNFREEZE,
    Asked,
    Kind,
    Meant,
    SubAccounts,
    read_sub_accounts,
)
from balance_service.messages.account_messages import account_message, change_message
from balance_service.messages.approvals import Approvals, CarryOut, NeedsApproval
from balance_service.messages.once import once
from balance_service.messages.page_tokens import PageTokens
from balance_service.repositories import account_changes as repository
from balance_service.repositories import accounts, audit, limit_ends, queries, sub_accounts, users
from balance_service.repositories.limit_ends import LimitEnd

_SERVICE = "/balance.v1.AccountService/"
# Of each round, which ends limits each in a transaction of its own; the next round goes on.
ENDED_LIMITS_MAX = 100


class _By(NamedTuple):
    """Who makes a change.

    Args:
        principal: Who asked for it.
        request_id: What makes a retry of that safe, if one was sent.
        actor: Who acts now: whoever asked, or whoever approved it.
        approval: What it was approved by; None if it is made alone.
    """

    principal: str
    request_id: UUID | None
    actor: Actor
    approval: UUID | None = None


class AccountChanges:
    """Makes operators' changes, and lists them.

    Args:
        pool: Where accounts and their changes are.
        page_tokens: Signs where a list of changes goes on.
        limits: What accounts' own limits go before, and are held to.
        ceilings: The largest limits that an operator sets alone.
        approvals: Keep what is above them until another admin approves it.
    """

    def __init__(
        self,
        pool: Pool,
        page_tokens: PageTokens,
        limits: Limits,
        ceilings: Ceilings,
        approvals: Approvals,
    ) -> None:
        self._pool = pool
        self._page_tokens = page_tokens
        self._limits = limits
        self._ceilings = ceilings
        self._approvals = approvals
        approvals.register(f"{_SERVICE}SetAccountLimit", self._approved(SET_LIMIT))
        approvals.register(f"{_SERVICE}SetAccountLimits", self._approved(SET_LIMITS))

    async def freeze(
        self, request: account_pb2.FreezeAccountRequest, call: Call
    ) -> account_pb2.Account:
        return await self._change(FREEZE, request, call)

    async def unfreeze(
        self, request: account_pb2.UnfreezeAccountRequest, call: Call
    ) -> account_pb2.Account:
        return await self._change(UNFREEZE, request, call)

    async def close(
        self, request: account_pb2.CloseAccountRequest, call: Call
    ) -> account_pb2.Account:
        return await self._change(CLOSE, request, call)

    async def reopen(
        self, request: account_pb2.ReopenAccountRequest, call: Call
    ) -> account_pb2.Account:
        return await self._change(REOPEN, request, call)

    async def set_limit(
        self, request: account_pb2.SetAccountLimitRequest, call: Call
    ) -> account_pb2.Account:
        return await self._change(SET_LIMIT, request, call)

    async def set_limits(
        self, request: account_pb2.SetAccountLimitsRequest, call: Call
    ) -> account_pb2.Account:
        return await self._change(SET_LIMITS, request, call)

    async def set_limits_for(
        self, request: account_pb2.SetAccountLimitsRequest, call: Call, life: timedelta
    ) -> account_pb2.Account:
        """Sets limits that go back after some time to what they were before.

        Those that were set for a time before, and are set anew meanwhile, go back to what they were
        before the first time.

        Args:
            request: Without an overdraft, whose end a debt would hold up.
            call: Who asks.
            life: How long they hold.

        Raises:
            InvalidFields: There is an overdraft.
            NeedsApproval: It raises a limit above its ceiling. It is not kept for approval, for its
                time would run meanwhile.
        """
        if request.overdraft:
            raise errors.invalid("overdraft", "must not be set for a time")
        return await once(
            self._pool,
            request,
            call,
            read=SET_LIMITS.read,
            act=self._acting(SET_LIMITS, request, call, life),
            answer_type=account_pb2.Account,
        )

    async def set_sub_accounts(
        self, request: account_pb2.SetSubAccountsRequest, call: Call
    ) -> account_pb2.Account:
        """Gives an account sub-accounts; what waits on those that it had is numbered first."""

        async def act(conn: Connection, values: SubAccounts) -> account_pb2.Account:
            count = values.sub_accounts
            if count and queries.is_of_cluster(conn):
                raise errors.invalid("sub_accounts", "must be 0 on a cluster")
            profile = await self._lock(conn, values.account)
            before = profile.account
            before.check_not_closed()
            if before.sub_account_count != count:
                await sub_accounts.set_count(conn, values.account, count)
            was, is_ = ({"sub_accounts": str(n)} for n in (before.sub_account_count, count))
            action, target = Action.ACCOUNT_SUB_ACCOUNTS_SET, f"account:{values.account}"
            event = AuditEvent(action, call.actor, target, was, is_, values.reason)
            await audit.record(conn, event)
            after = before._replace(sub_account_count=count)
            return self._message(profile, after, await repository.read_clock(conn))

        return await once(
            self._pool,
            request,
            call,
            read=read_sub_accounts,
            act=act,
            answer_type=account_pb2.Account,
        )

    async def end_limits(self) -> None:
        """Has limits go back whose time is over; to be called every few seconds."""
        async with self._pool.connection() as conn:
            due = await limit_ends.due(conn, ENDED_LIMITS_MAX)
        for account_id in due:
            async with transaction(self._pool) as conn:
                await self._end_limits(conn, account_id)

    async def list(
        self, request: account_pb2.ListAccountChangesRequest, call: Call
    ) -> account_pb2.ListAccountChangesResponse:
        principal = call.principal

        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        size = checks(fields.page_size, request.page_size)
        skip = checks(fields.skip, request.skip)
        checks.finish()

        query = (account_id,)
        place = self._page_tokens.read(query, call, request.page_token)
        before = UUID(bytes=place) if place else None
        async with self._pool.connection() as conn:
            profile = next(iter(await accounts.get(conn, [account_id])), None)
            profile = account_access.check_readable(profile, call, account_id)
            listed = await repository.page(conn, account_id, before, size + 1, skip)
            total = await repository.count(conn, account_id) if request.count_total else 0

        shown = page_bytes.fit(listed[:size], lambda change: [change.reason])
        answer = account_pb2.ListAccountChangesResponse(
            changes=[
                change_message(change, profile, in_full=principal.reads_all) for change in shown
            ],
            total_size=total,
        )
        if len(listed) > len(shown):
            last = shown[-1].change_id.bytes
            answer.next_page_token = self._page_tokens.write(query, call, last)
        return answer

    async def _change(
        self, kind: Kind[Asked, Meant], request: Asked, call: Call
    ) -> account_pb2.Account:
        """Takes the four steps for an operator, whose change is made to the locked account."""
        async with self._approvals.kept(request, call, kind.read):
            return await once(
                self._pool,
                request,
                call,
                read=kind.read,
                act=self._acting(kind, request, call),
                answer_type=account_pb2.Account,
            )

    def _acting(
        self, kind: Kind[Asked, Meant], request: Asked, call: Call, life: timedelta | None = None
    ) -> Callable[[Connection, Meant], Awaitable[account_pb2.Account]]:
        """How a change of a kind is made when it is asked for."""

        async def act(conn: Connection, values: Meant) -> account_pb2.Account:
            # Checked already; any such message has one.
            request_id = fields.request_id(getattr(request, "request_id"))  # noqa: B009
            by = _By(call.principal.name, request_id, call.actor)
            return await self._make(conn, kind, request, values, by, life)

        return act

    def _approved(self, kind: Kind[Asked, Meant]) -> CarryOut:
        """How a change of a kind is made once it is approved."""

        async def carry_out(conn: Connection, asked: NewApproval, actor: Actor) -> Message:
            request = kind.message.FromString(asked.request)
            by = _By(asked.requester, asked.request_id, actor, asked.approval_id)
            return await self._make(conn, kind, request, kind.read(request), by)

        return carry_out

    async def _make(
        self,
        conn: Connection,
        kind: Kind[Asked, Meant],
        request: Asked,
        values: Meant,
        by: _By,
        life: timedelta | None = None,
    ) -> account_pb2.Account:
        """Makes a change to an account, with its record; for a time, if it is one of limits.

        Raises:
            NeedsApproval: It raises a limit above its ceiling, and nobody has approved that.
            UserErased: It reopens an account of somebody who was erased.
        """
        if kind.number == ChangeKind.REOPEN:
            await _hold_owner(conn, values.account)
        profile = await self._lock(conn, values.account)
        now = await repository.read_clock(conn)
        before = profile.account
        after = kind.change(before, request, values, self._limits)
        if by.approval is None and self._ceilings.are_exceeded(before, after, self._limits):
            told = [
                audited_accounts.rules(Rules.of(account), account.currency)
                for account in (before, after)
            ]
            raise NeedsApproval(f"account:{before.account_id}", told[0], told[1], values.reason)
        back = await _before_time(conn, before) if life else None
        made = await _store(conn, (before, after), kind.number, values.reason, by, now)
        if life and back:
            end = LimitEnd(before.account_id, made.change_id, now + life, *back, by.principal)
            await limit_ends.put(conn, end)
        return self._message(profile, after, now)

    async def _lock(self, conn: Connection, account_id: UUID) -> AccountProfile:
        """The account, locked, on whose sub-accounts nothing waits.

        Raises:
            AccountNotFound: There is none.
        """
        profile = await sub_accounts.lock_account(conn, account_id, self._limits.calendar)
        if profile is None:
            raise errors.AccountNotFound(str(account_id))
        return profile

    def _message(
        self, profile: AccountProfile, after: Account, now: datetime
    ) -> account_pb2.Account:
        """A changed account, as operators see it."""
        allowance = self._limits.allowance(after, max(now, after.changed_at))
        return account_message(AccountProfile(after, *profile[1:]), allowance, in_full=True)

    async def _end_limits(self, conn: Connection, account_id: UUID) -> None:
        """Has the limits of an account go back, unless others were set since."""
        profile = await sub_accounts.lock_account(conn, account_id, self._limits.calendar)
        assert profile, "it was there when its limits were set"
        end = await limit_ends.take(conn, account_id)
        if end is None or end.change_id != await _last_set(conn, account_id):
            return
        before = profile.account
        after = before._replace(
            debit_limit_minor=end.debit_limit_minor, daily_limit_minor=end.daily_limit_minor
        )
        now, by = await repository.read_clock(conn), _By(end.principal, None, Actor(end.principal))
        reason = f"The time of change {end.change_id} is over."
        await _store(conn, (before, after), ChangeKind.SET_LIMITS, reason, by, now)


async def _hold_owner(conn: Connection, account_id: UUID) -> None:
    """Keeps an account's owner from being erased, locked before the account as there.

    Raises:
        UserErased: They were erased before.
    """
    for profile in await accounts.get(conn, [account_id]):
        await users.hold(conn, profile.account.owner_id)


async def _store(
    conn: Connection,
    accounts_: tuple[Account, Account],
    kind: ChangeKind,
    reason: str,
    by: _By,
    now: datetime,
) -> AccountChange:
    """Stores a locked account's new rules, with a record of the change and an event.

    Args:
        conn: Within the transaction.
        accounts_: The account as it was and as it is to be.
        kind: What was changed.
        reason: Why.
        by: Who makes it.
        now: When, by Postgres's clock.
    """
    before, after = accounts_
    await accounts.set_rules(conn, after)
    made = AccountChange(
        change_id=ids.dated_id(now),
        account_id=before.account_id,
        kind=kind,
        before=Rules.of(before),
        after=Rules.of(after),
        reason=reason,
        principal=by.principal,
        request_id=by.request_id,
        created_at=now,
    )
    await repository.insert(conn, made)
    await audit.record(conn, audited_accounts.event(made, before.currency, by.actor, by.approval))
    return made


async def _last_set(conn: Connection, account_id: UUID) -> UUID | None:
    """The last change of an account's limits."""
    return await repository.last_of_kind(conn, account_id, ChangeKind.SET_LIMITS)


async def _before_time(conn: Connection, account: Account) -> tuple[int | None, int | None]:
    """What a locked account's limits are without those that hold for a time."""
    end = await limit_ends.find(conn, account.account_id)
    if end and end.change_id == await _last_set(conn, account.account_id):
        return end.debit_limit_minor, end.daily_limit_minor
    return account.debit_limit_minor, account.daily_limit_minor
