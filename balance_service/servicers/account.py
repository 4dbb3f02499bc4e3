"""AccountService: opens accounts, shows balances and statements, and lets operators set rules."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, TypeVar
from uuid import UUID

from balance_service._generated.balance.v1 import account_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors, money
from balance_service.domain.accounts import Account, AccountProfile, Status
from balance_service.domain.pricing import Rates, Shown
from balance_service.domain.principals import Principal, Scope
from balance_service.messages import account_access, convert, fields
from balance_service.messages.listing import Listing, read_query
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


class _Target(NamedTuple):
    account: UUID


class _Limit(NamedTuple):
    account: UUID
    limit: Decimal


ChangeRequest = TypeVar("ChangeRequest", bound=OperatorRequest | account_pb2.SetAccountLimitRequest)
Change = TypeVar("Change", _Target, _Limit)


class AccountServicer:
    """Keeps accounts.

    Args:
        pool: For what is neither gathered nor watched.
        listing: Lists entries.
        page_tokens: Signs where a list of accounts goes on.
        rates: Shows accounts in other currencies.
        reads: Reads the accounts of many callers at once.
        watch: Follows accounts as they change.
    """

    service = account_pb2.DESCRIPTOR.services_by_name["AccountService"]

    def __init__(
        self,
        pool: Pool,
        listing: Listing,
        page_tokens: PageTokens,
        rates: ExchangeRates,
        reads: AccountReads,
        watch: AccountWatch,
    ) -> None:
        self._pool = pool
        self._listing = listing
        self._page_tokens = page_tokens
        self._rates = rates
        self._reads = reads
        self._watch = watch

    async def CreateAccount(
        self, request: account_pb2.CreateAccountRequest, call: Call
    ) -> account_pb2.Account:
        principal = call.principal
        if principal.user_id is None:
            principal.require_scope(Scope.ACCOUNTS_WRITE)

        def read(sent: account_pb2.CreateAccountRequest) -> _Opening:
            return _read_opening(sent, principal)

        async def act(conn: Connection, opening: _Opening) -> account_pb2.Account:
            await users.get(conn, opening.user)
            account_id, opened = await accounts.open_account(conn, *opening)
            if not opened:
                call.mark_existing()
            (profile,) = await accounts.get(conn, [account_id])
            return convert.account(profile)

        return await once(
            self._pool, request, call, read=read, act=act, answer_type=account_pb2.Account
        )

    async def GetAccount(
        self, request: account_pb2.GetAccountRequest, call: Call
    ) -> account_pb2.Account:
        principal = call.principal

        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        currency = checks(_read_optional_currency, request.currency)
        as_of = checks(_read_as_of, request)
        checks.finish()

        profile = await self._readable(account_id, principal)
        if as_of is None:
            return self._as_it_is(profile, currency)
        balance_minor = await self._balance_at(account_id, as_of, call)
        async with self._pool.connection() as conn:
            rates = await self._rates.past(conn, as_of) if currency else self._rates.current

        rate = _rate(rates, profile, currency, as_of)
        return convert.account(profile, currency, rate, (as_of, balance_minor))

    async def WatchAccount(
        self, request: account_pb2.WatchAccountRequest, call: Call
    ) -> AsyncIterator[account_pb2.Account]:
        principal = call.principal

        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        currency = checks(_read_optional_currency, request.currency)
        checks.finish()

        profile = await self._readable(account_id, principal)
        yield self._as_it_is(profile, currency)
        async with contextlib.aclosing(self._watch.changes(profile)) as changes:
            async for changed in changes:
                yield self._as_it_is(changed, currency)

    async def ListAccounts(
        self, request: account_pb2.ListAccountsRequest, call: Call
    ) -> account_pb2.ListAccountsResponse:
        principal = call.principal

        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        currency = checks(_read_optional_currency, request.currency)
        user_id = checks(account_access.read_id_or_own, principal, request.user, "user")
        skip = checks(fields.skip, request.skip)
        checks.finish()

        owner_id = _owner(principal, user_id)
        query = (owner_id, currency)
        place = self._page_tokens.read(query, call, request.page_token)
        after = UUID(bytes=place) if place else None
        async with self._pool.connection() as conn:
            profiles = await accounts.page(conn, owner_id, after, size + 1, skip)
            total = await accounts.count(conn, owner_id) if request.count_total else 0

        answer = account_pb2.ListAccountsResponse(
            accounts=[self._as_it_is(profile, currency) for profile in profiles[:size]],
            total_size=total,
        )
        if len(profiles) > size:
            last = profiles[size - 1].account.account_id.bytes
            answer.next_page_token = self._page_tokens.write(query, call, last)
        return answer

    async def ListEntries(
        self, request: account_pb2.ListEntriesRequest, call: Call
    ) -> account_pb2.ListEntriesResponse:
        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        kind = checks(fields.kind, request.kind)
        query = read_query(checks, request, account_id, kind)
        checks.finish()

        page = await self._listing.page(query, call)

        return account_pb2.ListEntriesResponse(
            entries=map(convert.entry, page.lines),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    async def FreezeAccount(
        self, request: account_pb2.FreezeAccountRequest, call: Call
    ) -> account_pb2.Account:
        def freeze(account: Account, _: _Target) -> Account:
            account.check_not_closed()
            return account._replace(status=Status.FROZEN)

        return await self._change(request, call, _read_target, freeze)

    async def UnfreezeAccount(
        self, request: account_pb2.UnfreezeAccountRequest, call: Call
    ) -> account_pb2.Account:
        def unfreeze(account: Account, _: _Target) -> Account:
            account.check_not_closed()
            return account._replace(status=Status.ACTIVE)

        return await self._change(request, call, _read_target, unfreeze)

    async def CloseAccount(
        self, request: account_pb2.CloseAccountRequest, call: Call
    ) -> account_pb2.Account:
        def close(account: Account, _: _Target) -> Account:
            account.check_can_close()
            return account._replace(status=Status.CLOSED)

        return await self._change(request, call, _read_target, close)

    async def SetAccountLimit(
        self, request: account_pb2.SetAccountLimitRequest, call: Call
    ) -> account_pb2.Account:
        def set_limit(account: Account, _: _Limit) -> Account:
            account.check_not_closed()
            limit = money.parse_amount(request.limit, account.currency, "limit", minimum_minor=0)
            account.check_limit(limit.minor)
            return account._replace(limit_minor=limit.minor)

        return await self._change(request, call, _read_limit, set_limit)

    async def _change(
        self,
        request: ChangeRequest,
        call: Call,
        read: Callable[[ChangeRequest], Change],
        change: Callable[[Account, Change], Account],
    ) -> account_pb2.Account:
        """Takes the four steps for an operator, whose change is made to the locked account."""
        call.principal.require_admin_or(Scope.ACCOUNTS_WRITE)

        async def act(conn: Connection, values: Change) -> account_pb2.Account:
            profile = await accounts.lock(conn, values.account)
            if profile is None:
                raise errors.AccountNotFound(str(values.account))
            after = change(profile.account, values)
            await accounts.set_rules(conn, values.account, after.status, after.limit_minor)
            return convert.account(profile._replace(account=after))

        return await once(
            self._pool, request, call, read=read, act=act, answer_type=account_pb2.Account
        )

    async def _readable(self, account_id: UUID, principal: Principal) -> AccountProfile:
        profile = await self._reads.get(account_id)
        return account_access.check_readable(profile, principal, account_id)

    def _as_it_is(self, profile: AccountProfile, currency: str) -> account_pb2.Account:
        """An account as it is now, in a currency if that can be."""
        rate = _rate(self._rates.current, profile, currency, datetime.now(UTC))
        return convert.account(profile, currency, rate)

    async def _balance_at(self, account_id: UUID, as_of: datetime, call: Call) -> int:
        """The balance right after a moment, in minor units, once that is final."""
        # Entries are dated to the microsecond.
        end = as_of + timedelta(microseconds=1)
        past = await settled(self._pool, [account_id], end, call.timeout_seconds)
        if past.now < end:
            # It was past by this worker's clock, and is not by that of Postgres.
            raise errors.invalid("as_of", fields.IN_THE_FUTURE)
        async with self._pool.connection() as conn:
            return await entries.balance_at(conn, account_id, as_of)


def _rate(rates: Rates, profile: AccountProfile, target: str, moment: datetime) -> Shown | None:
    """The rate to show an account by; None where none is needed or known."""
    currency = profile.account.currency
    return None if target in ("", currency) else rates.shown(currency, target, moment)


def _read_opening(request: account_pb2.CreateAccountRequest, principal: Principal) -> _Opening:
    checks = fields.Checks()
    currency = checks(money.parse_currency, request.currency, "currency")
    user_id = checks(account_access.read_id_or_own, principal, request.user, "user")
    checks.finish()
    # Part of step 1 comes here: whose account it is decides whether the caller may open it.
    if user_id not in (None, principal.user_id):
        principal.require_admin_or(Scope.ACCOUNTS_WRITE)
    return _Opening(user_id or principal.require_user(), currency)


def _read_target(request: OperatorRequest) -> _Target:
    return _Target(fields.identifier(request.account, "account"))


def _read_limit(request: account_pb2.SetAccountLimitRequest) -> _Limit:
    """Reads a limit by itself, before it is known whether it fits the account's currency."""
    checks = fields.Checks()
    account_id = checks(fields.identifier, request.account, "account")
    limit = checks(money.parse_number, request.limit, "limit", zero=True)
    checks.finish()
    return _Limit(account_id, limit)


def _read_as_of(request: account_pb2.GetAccountRequest) -> datetime | None:
    return fields.past_moment(request.as_of, "as_of") if request.HasField("as_of") else None


def _read_optional_currency(code: str) -> str:
    return code and money.parse_currency(code, "currency")


def _owner(principal: Principal, user_id: UUID | None) -> UUID:
    """Whose accounts are listed: one's own, or anyone's for those who may read all."""
    if user_id is None:
        return principal.require_user()
    if user_id != principal.user_id and not principal.reads_all:
        raise errors.UserNotFound(str(user_id))
    return user_id
