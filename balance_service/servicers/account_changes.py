"""What operators change on accounts, for AccountService: each change with its reason, for ever."""

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple, Protocol, TypeAlias, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from balance_service._generated.balance.v1 import account_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import account_changes, errors, ids, money
from balance_service.domain.account_changes import AccountChange, ChangeKind, NewLimits, Rules
from balance_service.domain.accounts import Account, AccountProfile, FreezeScope
from balance_service.domain.limits import Limits
from balance_service.messages import account_access, fields, page_bytes
from balance_service.messages.account_messages import account_message, change_message
from balance_service.messages.once import once
from balance_service.messages.page_tokens import PageTokens
from balance_service.repositories import account_changes as repository
from balance_service.repositories import accounts

TargetRequest: TypeAlias = (
    account_pb2.UnfreezeAccountRequest
    | account_pb2.CloseAccountRequest
    | account_pb2.ReopenAccountRequest
)


class _Target(NamedTuple):
    account: UUID
    reason: str


class _Freeze(NamedTuple):
    account: UUID
    scope: FreezeScope
    reason: str


class _Limit(NamedTuple):
    account: UUID
    limit: Decimal
    reason: str


class _Limits(NamedTuple):
    """Amounts as numbers, so that what is spelled differently is the same; None where left out."""

    account: UUID
    overdraft: Decimal | None
    debit_limit: Decimal | None
    daily_limit: Decimal | None
    unset_debit_limit: bool
    unset_daily_limit: bool
    reason: str


class _Values(Protocol):
    """What every request for a change means, among others."""

    @property
    def account(self) -> UUID: ...
    @property
    def reason(self) -> str: ...
    def _asdict(self) -> dict[str, object]: ...


ChangeRequest = TypeVar("ChangeRequest", bound=Message)
Change = TypeVar("Change", bound=_Values)


class AccountChanges:
    """Makes operators' changes, and lists them.

    Args:
        pool: Where accounts and their changes are.
        page_tokens: Signs where a list of changes goes on.
        limits: What accounts' own limits go before, and are held to.
    """

    def __init__(self, pool: Pool, page_tokens: PageTokens, limits: Limits) -> None:
        self._pool = pool
        self._page_tokens = page_tokens
        self._limits = limits

    async def freeze(
        self, request: account_pb2.FreezeAccountRequest, call: Call
    ) -> account_pb2.Account:
        def change(account: Account, values: _Freeze) -> Account:
            return account_changes.freeze(account, values.scope)

        return await self._change(ChangeKind.FREEZE, request, call, _read_freeze, change)

    async def unfreeze(
        self, request: account_pb2.UnfreezeAccountRequest, call: Call
    ) -> account_pb2.Account:
        def change(account: Account, _: _Target) -> Account:
            return account_changes.unfreeze(account)

        return await self._change(ChangeKind.UNFREEZE, request, call, _read_target, change)

    async def close(
        self, request: account_pb2.CloseAccountRequest, call: Call
    ) -> account_pb2.Account:
        def change(account: Account, _: _Target) -> Account:
            return account_changes.close(account)

        return await self._change(ChangeKind.CLOSE, request, call, _read_target, change)

    async def reopen(
        self, request: account_pb2.ReopenAccountRequest, call: Call
    ) -> account_pb2.Account:
        def change(account: Account, _: _Target) -> Account:
            return account_changes.reopen(account)

        return await self._change(ChangeKind.REOPEN, request, call, _read_target, change)

    async def set_limit(
        self, request: account_pb2.SetAccountLimitRequest, call: Call
    ) -> account_pb2.Account:
        def change(account: Account, _: _Limit) -> Account:
            new = NewLimits(overdraft=request.limit, overdraft_field="limit")
            return account_changes.set_limits(account, new, self._limits)

        return await self._change(ChangeKind.SET_LIMITS, request, call, _read_limit, change)

    async def set_limits(
        self, request: account_pb2.SetAccountLimitsRequest, call: Call
    ) -> account_pb2.Account:
        def change(account: Account, values: _Limits) -> Account:
            new = NewLimits(
                overdraft=request.overdraft or None,
                debit="" if values.unset_debit_limit else request.debit_limit or None,
                daily="" if values.unset_daily_limit else request.daily_limit or None,
            )
            return account_changes.set_limits(account, new, self._limits)

        return await self._change(ChangeKind.SET_LIMITS, request, call, _read_limits, change)

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
        self,
        kind: ChangeKind,
        request: ChangeRequest,
        call: Call,
        read: Callable[[ChangeRequest], Change],
        change: Callable[[Account, Change], Account],
    ) -> account_pb2.Account:
        """Takes the four steps for an operator, whose change is made to the locked account."""

        async def act(conn: Connection, values: Change) -> account_pb2.Account:
            profile = await accounts.lock(conn, values.account)
            if profile is None:
                raise errors.AccountNotFound(str(values.account))
            now = await repository.read_clock(conn)
            before, after = profile.account, change(profile.account, values)
            await accounts.set_rules(conn, after)
            made = AccountChange(
                change_id=ids.dated_id(now),
                account_id=before.account_id,
                kind=kind,
                before=Rules.of(before),
                after=Rules.of(after),
                reason=values.reason,
                principal=call.principal.name,
                # Checked already; any such message has one.
                request_id=fields.request_id(getattr(request, "request_id")),  # noqa: B009
                created_at=now,
            )
            await repository.insert(conn, made)
            allowance = self._limits.allowance(after, max(now, after.changed_at))
            return account_message(AccountProfile(after, *profile[1:]), allowance)

        return await once(
            self._pool, request, call, read=read, act=act, answer_type=account_pb2.Account
        )


def _read_target(request: TargetRequest) -> _Target:
    checks = fields.Checks()
    account_id = checks(fields.identifier, request.account, "account")
    reason = checks(fields.text, request, "reason")
    checks.finish()
    return _Target(account_id, reason)


def _read_freeze(request: account_pb2.FreezeAccountRequest) -> _Freeze:
    checks = fields.Checks()
    account_id = checks(fields.identifier, request.account, "account")
    scope = checks(_read_scope, request.scope)
    reason = checks(fields.text, request, "reason")
    checks.finish()
    return _Freeze(account_id, scope, reason)


def _read_scope(value: int) -> FreezeScope:
    try:
        return FreezeScope(value or FreezeScope.ALL)
    except ValueError:
        raise errors.invalid("scope", "must be a known scope of a freeze") from None


def _read_limit(request: account_pb2.SetAccountLimitRequest) -> _Limit:
    """Reads a limit by itself, before it is known whether it fits the account's currency."""
    checks = fields.Checks()
    account_id = checks(fields.identifier, request.account, "account")
    limit = checks(money.parse_number, request.limit, "limit", zero=True)
    reason = checks(fields.text, request, "reason")
    checks.finish()
    return _Limit(account_id, limit, reason)


def _read_limits(request: account_pb2.SetAccountLimitsRequest) -> _Limits:
    """Reads limits by themselves, before it is known whether they fit the account's currency."""
    checks = fields.Checks()
    values = _Limits(
        account=checks(fields.identifier, request.account, "account"),
        overdraft=checks(_read_optional_number, request.overdraft, "overdraft"),
        debit_limit=checks(_read_optional_number, request.debit_limit, "debit_limit"),
        daily_limit=checks(_read_optional_number, request.daily_limit, "daily_limit"),
        unset_debit_limit=request.unset_debit_limit,
        unset_daily_limit=request.unset_daily_limit,
        reason=checks(fields.text, request, "reason"),
    )
    if request.debit_limit and request.unset_debit_limit:
        checks.refuse("unset_debit_limit", "must not be given with debit_limit")
    if request.daily_limit and request.unset_daily_limit:
        checks.refuse("unset_daily_limit", "must not be given with daily_limit")
    given = (request.overdraft, request.debit_limit, request.daily_limit)
    if not any((*given, request.unset_debit_limit, request.unset_daily_limit)):
        checks.refuse("overdraft", "must be given where no other limit is set or unset")
    checks.finish()
    return values


def _read_optional_number(text: str, field: str) -> Decimal | None:
    return money.parse_number(text, field, zero=True) if text else None
