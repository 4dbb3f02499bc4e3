"""AccountService: opens accounts, shows balances and statements, and lets operators set rules."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from balance_service._generated.balance.v1 import account_pb2, account_pb2_grpc
from balance_service.database.pool import Connection
from balance_service.domain import errors, money
from balance_service.domain.accounts import Account, Status
from balance_service.domain.pricing import Rate
from balance_service.domain.principals import Principal, Scope
from balance_service.ledger.past import settled
from balance_service.ledger.rates import ExchangeRates
from balance_service.ledger.reads import AccountReads
from balance_service.ledger.watch import AccountWatch
from balance_service.repositories import accounts, entries, users
from balance_service.servicers import access, call, convert, fields
from balance_service.servicers.call import Context
from balance_service.servicers.movements import Movements
from balance_service.servicers.once import once
from balance_service.servicers.page_tokens import PageTokens

OperatorRequest = (
    account_pb2.FreezeAccountRequest
    | account_pb2.UnfreezeAccountRequest
    | account_pb2.CloseAccountRequest
    | account_pb2.SetAccountLimitRequest
)


class AccountServicer(account_pb2_grpc.AccountServiceServicer):
    """Keeps accounts."""

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
        self, request: account_pb2.CreateAccountRequest, context: Context
    ) -> account_pb2.Account:
        principal = call.current.get().principal
        if principal.user_id is None:
            principal.require_scope(Scope.ACCOUNTS_WRITE)
        checks = fields.Checks()
        currency = checks(money.parse_currency, request.currency, "currency")
        user_id = checks(access.named, principal, request.user, "user")
        checks(fields.request_id, request.request_id)
        checks.finish()
        owner_id = _future_owner(principal, user_id)

        async def act(conn: Connection) -> account_pb2.Account:
            await users.get(conn, owner_id)
            now = datetime.now(UTC)
            account_id, opened = await accounts.open_account(conn, owner_id, currency, now)
            if not opened:
                call.current.get().mark_existing()
            return convert.account((await accounts.get(conn, [account_id]))[0])

        return await once(self._pool, request, account_pb2.Account, act)

    async def GetAccount(
        self, request: account_pb2.GetAccountRequest, context: Context
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
        principal = call.current.get().principal
        profile = access.visible(await self._reads.get(account_id), principal, account_id)
        rate = self._rate(profile.account.currency, currency)
        if as_of is None:
            return convert.account(profile, rate)
        return convert.account(profile, rate, (as_of, await self._balance_at(account_id, as_of)))

    async def WatchAccount(
        self, request: account_pb2.WatchAccountRequest, context: Context
    ) -> AsyncIterator[account_pb2.Account]:
        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        currency = checks(_optional_currency, request.currency)
        checks.finish()
        principal = call.current.get().principal
        profile = access.visible(await self._reads.get(account_id), principal, account_id)
        yield convert.account(profile, self._rate(profile.account.currency, currency))
        async with contextlib.aclosing(self._watch.changes(profile)) as changes:
            async for changed in changes:
                yield convert.account(changed, self._rate(changed.account.currency, currency))

    async def ListAccounts(
        self, request: account_pb2.ListAccountsRequest, context: Context
    ) -> account_pb2.ListAccountsResponse:
        principal = call.current.get().principal
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        currency = checks(_optional_currency, request.currency)
        user_id = checks(access.named, principal, request.user, "user")
        skip = checks(fields.skip, request.skip)
        checks.finish()
        owner_id = _owner(principal, user_id)
        after = self._page_tokens.read(request, request.page_token)
        async with self._pool.connection() as conn:
            account_ids = await accounts.ids_of_owner(conn, owner_id)
            rest = [found for found in account_ids if not after or found.hex > str(after)][skip:]
            found = await accounts.get(conn, rest[:size])
        answer = account_pb2.ListAccountsResponse(
            accounts=[convert.account(p, self._rate(p.account.currency, currency)) for p in found]
        )
        if request.count_total:
            answer.total_size = len(account_ids)
        if len(rest) > size:
            answer.next_page_token = self._page_tokens.write(request, rest[size - 1].hex)
        return answer

    async def ListEntries(
        self, request: account_pb2.ListEntriesRequest, context: Context
    ) -> account_pb2.ListEntriesResponse:
        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        kind = checks(fields.kind, request.kind)
        page = await self._movements.page_of(request, checks, account_id, kind)
        return account_pb2.ListEntriesResponse(
            entries=[
                convert.entry(line.entry, line.movement, line.account.account.currency)
                for line in page.lines
            ],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    async def FreezeAccount(
        self, request: account_pb2.FreezeAccountRequest, context: Context
    ) -> account_pb2.Account:
        def freeze(account: Account) -> Account:
            account.check_not_closed()
            return account._replace(status=Status.FROZEN)

        return await self._change(request, freeze)

    async def UnfreezeAccount(
        self, request: account_pb2.UnfreezeAccountRequest, context: Context
    ) -> account_pb2.Account:
        def unfreeze(account: Account) -> Account:
            account.check_not_closed()
            return account._replace(status=Status.ACTIVE)

        return await self._change(request, unfreeze)

    async def CloseAccount(
        self, request: account_pb2.CloseAccountRequest, context: Context
    ) -> account_pb2.Account:
        def close(account: Account) -> Account:
            account.check_can_close()
            return account._replace(status=Status.CLOSED)

        return await self._change(request, close)

    async def SetAccountLimit(
        self, request: account_pb2.SetAccountLimitRequest, context: Context
    ) -> account_pb2.Account:
        def set_limit(account: Account) -> Account:
            account.check_not_closed()
            limit = money.parse_amount(request.limit, account.currency, "limit", minimum_minor=0)
            account.check_limit(limit.minor)
            return account._replace(limit_minor=limit.minor)

        checks = fields.Checks()
        checks(money.check_amount, request.limit, "limit", zero=True)
        return await self._change(request, set_limit, checks)

    async def _change(
        self,
        request: OperatorRequest,
        change: Callable[[Account], Account],
        checks: fields.Checks | None = None,
    ) -> account_pb2.Account:
        """Applies an operator's change to the locked account; `checks` has read what is its own."""
        call.current.get().principal.require_admin_or(Scope.ACCOUNTS_WRITE)
        checks = checks or fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        checks(fields.request_id, request.request_id)
        checks.finish()

        async def act(conn: Connection) -> account_pb2.Account:
            profile = await accounts.lock(conn, account_id)
            if profile is None:
                raise errors.AccountNotFound(str(account_id))
            after = change(profile.account)
            await accounts.set_rules(conn, account_id, after.status, after.limit_minor)
            return convert.account(profile._replace(account=after))

        return await once(self._pool, request, account_pb2.Account, act)

    async def _balance_at(self, account_id: UUID, as_of: datetime) -> int:
        """The balance right after a moment, in minor units, once that is final."""
        # Entries are dated to the microsecond.
        end = as_of + timedelta(microseconds=1)
        timeout_seconds = call.current.get().timeout_seconds
        past = await settled(self._pool, [account_id], end, timeout_seconds)
        if past.now < end:
            raise errors.invalid("as_of", fields.IN_THE_FUTURE)
        async with self._pool.connection() as conn:
            return await entries.balance_at(conn, account_id, as_of)

    def _rate(self, currency: str, target: str) -> Rate | None:
        if target in ("", currency):
            return None
        return self._rates.current.rate(currency, target, datetime.now(UTC))


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
