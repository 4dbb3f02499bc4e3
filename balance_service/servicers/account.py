"""AccountService: opens accounts, shows balances and statements, and lets operators set rules."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, TypeVar
from uuid import UUID

from balance_service._generated.balance.v1 import account_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection
from balance_service.domain import errors, money
from balance_service.domain.accounts import Account, AccountProfile, Status
from balance_service.domain.pricing import Rates, Shown
from balance_service.domain.principals import Principal, Scope
from balance_service.messages import access, convert, fields
from balance_service.messages.movements import Movements
from balance_service.messages.once import once
from balance_service.messages.page_tokens import PageTokens
from balance_service.reading.balances import AccountReads
from balance_service.reading.past import settled
from balance_service.reading.rates import ExchangeRates
from balance_service.reading.watch import AccountWatch
from balance_service.repositories import accounts, entries, users

OperatorRequest = (
    account_pb2.FreezeAccountRequest
    | account_pb2.UnfreezeAccountRequest
    | account_pb2.CloseAccountRequest
)


class _Opening(NamedTuple):
    user: UUID
    currency: str


class _Named(NamedTuple):
    account: UUID


class _Limit(NamedTuple):
    account: UUID
    limit: Decimal


Changing = TypeVar("Changing", bound=OperatorRequest | account_pb2.SetAccountLimitRequest)
Change = TypeVar("Change", _Named, _Limit)


class AccountServicer:
    """Keeps accounts."""

    service = account_pb2.DESCRIPTOR.services_by_name["AccountService"]

    def __init__(
        self,
        movements: Movements,
        page_tokens: PageTokens,
        rates: ExchangeRates,
        reads: AccountReads,
        watch: AccountWatch,
    ) -> None:
        self._pool = movements.pool
        self._movements = movements
        self._reads = reads
        self._watch = watch
        self._page_tokens = page_tokens
        self._rates = rates

    async def CreateAccount(
        self, request: account_pb2.CreateAccountRequest, call: Call
    ) -> account_pb2.Account:
        principal = call.principal
        if principal.user_id is None:
            principal.require_scope(Scope.ACCOUNTS_WRITE)

        def read(sent: account_pb2.CreateAccountRequest) -> _Opening:
            return _opening(sent, principal)

        async def act(conn: Connection, asked: _Opening) -> account_pb2.Account:
            await users.get(conn, asked.user)
            account_id, opened = await accounts.open_account(conn, *asked)
            if not opened:
                call.mark_existing()
            return convert.account((await accounts.get(conn, [account_id]))[0])

        return await once(self._pool, request, call, read, act, account_pb2.Account)

    async def GetAccount(
        self, request: account_pb2.GetAccountRequest, call: Call
    ) -> account_pb2.Account:
        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        currency = checks(_optional_currency, request.currency)
        as_of = (
            checks(fields.past_moment, request.as_of, "as_of")
            if request.HasField("as_of")
            else None
        )
        checks.finish()
        principal = call.principal
        profile = access.visible(await self._reads.get(account_id), principal, account_id)
        if as_of is None:
            return self._shown(profile, currency)
        past = (as_of, await self._balance_at(account_id, as_of, call))
        async with self._pool.connection() as conn:
            rates = await self._rates.past(conn, as_of) if currency else self._rates.current
        return convert.account(profile, currency, _rate(rates, profile, currency, as_of), past)

    async def WatchAccount(
        self, request: account_pb2.WatchAccountRequest, call: Call
    ) -> AsyncIterator[account_pb2.Account]:
        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        currency = checks(_optional_currency, request.currency)
        checks.finish()
        principal = call.principal
        profile = access.visible(await self._reads.get(account_id), principal, account_id)
        yield self._shown(profile, currency)
        async with contextlib.aclosing(self._watch.changes(profile)) as changes:
            async for changed in changes:
                yield self._shown(changed, currency)

    async def ListAccounts(
        self, request: account_pb2.ListAccountsRequest, call: Call
    ) -> account_pb2.ListAccountsResponse:
        principal = call.principal
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        currency = checks(_optional_currency, request.currency)
        user_id = checks(access.named, principal, request.user, "user")
        skip = checks(fields.skip, request.skip)
        checks.finish()
        owner_id = _owner(principal, user_id)
        asked = (owner_id, currency)
        place = self._page_tokens.read(asked, call, request.page_token)
        async with self._pool.connection() as conn:
            account_ids = await accounts.ids_of_owner(conn, owner_id)
            rest = [found for found in account_ids if not place or found.bytes > place][skip:]
            found = await accounts.get(conn, rest[:size])
        answer = account_pb2.ListAccountsResponse(
            accounts=[self._shown(profile, currency) for profile in found]
        )
        if request.count_total:
            answer.total_size = len(account_ids)
        if len(rest) > size:
            answer.next_page_token = self._page_tokens.write(asked, call, rest[size - 1].bytes)
        return answer

    async def ListEntries(
        self, request: account_pb2.ListEntriesRequest, call: Call
    ) -> account_pb2.ListEntriesResponse:
        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        kind = checks(fields.kind, request.kind)
        page = await self._movements.page_of(request, call, checks, account_id, kind)
        return account_pb2.ListEntriesResponse(
            entries=[
                convert.entry(line.entry, line.movement, line.account.account.currency)
                for line in page.lines
            ],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    async def FreezeAccount(
        self, request: account_pb2.FreezeAccountRequest, call: Call
    ) -> account_pb2.Account:
        def freeze(account: Account, _: _Named) -> Account:
            account.check_not_closed()
            return account._replace(status=Status.FROZEN)

        return await self._change(request, call, _named, freeze)

    async def UnfreezeAccount(
        self, request: account_pb2.UnfreezeAccountRequest, call: Call
    ) -> account_pb2.Account:
        def unfreeze(account: Account, _: _Named) -> Account:
            account.check_not_closed()
            return account._replace(status=Status.ACTIVE)

        return await self._change(request, call, _named, unfreeze)

    async def CloseAccount(
        self, request: account_pb2.CloseAccountRequest, call: Call
    ) -> account_pb2.Account:
        def close(account: Account, _: _Named) -> Account:
            account.check_can_close()
            return account._replace(status=Status.CLOSED)

        return await self._change(request, call, _named, close)

    async def SetAccountLimit(
        self, request: account_pb2.SetAccountLimitRequest, call: Call
    ) -> account_pb2.Account:
        def set_limit(account: Account, _: _Limit) -> Account:
            account.check_not_closed()
            limit = money.parse_amount(request.limit, account.currency, "limit", minimum_minor=0)
            account.check_limit(limit.minor)
            return account._replace(limit_minor=limit.minor)

        return await self._change(request, call, _limit, set_limit)

    async def _change(
        self,
        request: Changing,
        call: Call,
        read: Callable[[Changing], Change],
        change: Callable[[Account, Change], Account],
    ) -> account_pb2.Account:
        """Applies an operator's change to the locked account."""
        call.principal.require_admin_or(Scope.ACCOUNTS_WRITE)

        async def act(conn: Connection, asked: Change) -> account_pb2.Account:
            profile = await accounts.lock(conn, asked.account)
            if profile is None:
                raise errors.AccountNotFound(str(asked.account))
            after = change(profile.account, asked)
            await accounts.set_rules(conn, asked.account, after.status, after.limit_minor)
            return convert.account(profile._replace(account=after))

        return await once(self._pool, request, call, read, act, account_pb2.Account)

    def _shown(self, profile: AccountProfile, currency: str) -> account_pb2.Account:
        """An account as it is now, in a currency if that can be."""
        shown = _rate(self._rates.current, profile, currency, datetime.now(UTC))
        return convert.account(profile, currency, shown)

    async def _balance_at(self, account_id: UUID, as_of: datetime, call: Call) -> int:
        """The balance right after a moment, in minor units, once that is final."""
        # Entries are dated to the microsecond.
        end = as_of + timedelta(microseconds=1)
        timeout_seconds = call.timeout_seconds
        past = await settled(self._pool, [account_id], end, timeout_seconds)
        if past.now < end:
            raise errors.invalid("as_of", fields.IN_THE_FUTURE)
        async with self._pool.connection() as conn:
            return await entries.balance_at(conn, account_id, as_of)


def _rate(rates: Rates, profile: AccountProfile, target: str, moment: datetime) -> Shown | None:
    currency = profile.account.currency
    return None if target in ("", currency) else rates.shown(currency, target, moment)


def _opening(request: account_pb2.CreateAccountRequest, principal: Principal) -> _Opening:
    checks = fields.Checks()
    currency = checks(money.parse_currency, request.currency, "currency")
    user_id = checks(access.named, principal, request.user, "user")
    checks.finish()
    return _Opening(_future_owner(principal, user_id), currency)


def _named(request: OperatorRequest) -> _Named:
    return _Named(fields.identifier(request.account, "account"))


def _limit(request: account_pb2.SetAccountLimitRequest) -> _Limit:
    checks = fields.Checks()
    account_id = checks(fields.identifier, request.account, "account")
    limit = checks(money.parse_number, request.limit, "limit", zero=True)
    checks.finish()
    return _Limit(account_id, limit)


def _optional_currency(code: str) -> str:
    return code and money.parse_currency(code, "currency")


def _future_owner(principal: Principal, user_id: UUID | None) -> UUID:
    """Whose account is opened: one's own, or anyone's for admins and services with the scope."""
    if user_id not in (None, principal.user_id):
        principal.require_admin_or(Scope.ACCOUNTS_WRITE)
    return user_id or principal.require_user()


def _owner(principal: Principal, user_id: UUID | None) -> UUID:
    """Whose accounts are listed: one's own, or anyone's for those who may read all."""
    if user_id is None:
        return principal.require_user()
    if user_id != principal.user_id and not principal.reads_all:
        raise errors.UserNotFound(str(user_id))
    return user_id
