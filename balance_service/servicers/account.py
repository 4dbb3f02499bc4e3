"""AccountService: opens accounts, shows balances and statements, and lets operators set rules."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from balance_service._generated.balance.v1 import account_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors, money
from balance_service.domain.accounts import AccountProfile
from balance_service.domain.audit import Action, AuditEvent
from balance_service.domain.limits import Allowance, Limits
from balance_service.domain.pricing import Rates, Shown
from balance_service.messages import account_access, convert, fields
from balance_service.messages.account_messages import account_message, past_account_message
from balance_service.messages.listing import Listing, read_query
from balance_service.messages.once import once
from balance_service.messages.page_tokens import PageTokens
from balance_service.reading.balances import AccountReads
from balance_service.reading.past import settled
from balance_service.reading.rates import ExchangeRates
from balance_service.reading.watch import AccountWatch
from balance_service.repositories import accounts, audit, entries, users
from balance_service.servicers.account_changes import AccountChanges
from balance_service.servicers.account_directory import AccountDirectory


class _Opening(NamedTuple):
    user: UUID
    currency: str


class AccountServicer:
    """Keeps accounts.

    Args:
        pool: For what is neither gathered nor watched.
        listing: Lists entries.
        page_tokens: Signs where a list of accounts goes on.
        rates: Shows accounts in other currencies.
        reads: Reads the accounts of many callers at once.
        watch: Follows accounts as they change.
        changes: Makes operators' changes.
        limits: What accounts are shown with.
        directory: Finds accounts by something else than their ids.
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
        changes: AccountChanges,
        limits: Limits,
        directory: AccountDirectory,
    ) -> None:
        self._pool = pool
        self._listing = listing
        self._page_tokens = page_tokens
        self._rates = rates
        self._reads = reads
        self._watch = watch
        self._changes = changes
        self._limits = limits
        self._directory = directory

    async def CreateAccount(
        self, request: account_pb2.CreateAccountRequest, call: Call
    ) -> account_pb2.Account:
        def read(sent: account_pb2.CreateAccountRequest) -> _Opening:
            return _read_opening(sent, call)

        async def act(conn: Connection, opening: _Opening) -> account_pb2.Account:
            # Held, so that nobody is erased while an account of theirs is opened.
            await users.hold(conn, opening.user)
            account_id, opened = await accounts.open_account(conn, *opening)
            if not opened:
                call.mark_existing()
            elif opening.user != call.principal.user_id:
                after = {"user": str(opening.user), "currency": opening.currency}
                target = f"account:{account_id}"
                event = AuditEvent(Action.ACCOUNT_OPENED, call.actor, target, after=after)
                await audit.record(conn, event)
            (profile,) = await accounts.get(conn, [account_id])
            return account_message(
                profile, self._allowance(profile), in_full=call.principal.reads_all
            )

        return await once(
            self._pool, request, call, read=read, act=act, answer_type=account_pb2.Account
        )

    async def GetAccount(
        self, request: account_pb2.GetAccountRequest, call: Call
    ) -> account_pb2.Account:
        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        currency = checks(_read_optional_currency, request.currency)
        as_of = checks(_read_as_of, request)
        checks.finish()

        profile = await self._readable(account_id, call)
        if as_of is None:
            return self._as_it_is(profile, currency, call)
        balance_minor = await self._balance_at(account_id, as_of, call)
        async with self._pool.connection() as conn:
            rates = await self._rates.past(conn, as_of) if currency else self._rates.current

        rate = _rate(rates, profile, currency, as_of)
        return past_account_message(profile, (as_of, balance_minor), currency, rate)

    async def LookupAccount(
        self, request: account_pb2.LookupAccountRequest, call: Call
    ) -> account_pb2.Account:
        return await self._directory.lookup(request, call)

    async def SearchAccounts(
        self, request: account_pb2.SearchAccountsRequest, call: Call
    ) -> account_pb2.SearchAccountsResponse:
        return await self._directory.search(request, call)

    async def WatchAccount(
        self, request: account_pb2.WatchAccountRequest, call: Call
    ) -> AsyncIterator[account_pb2.Account]:
        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        currency = checks(_read_optional_currency, request.currency)
        checks.finish()

        profile = await self._readable(account_id, call)
        yield self._as_it_is(profile, currency, call)
        async with contextlib.aclosing(self._watch.changes(profile)) as changes:
            async for changed in changes:
                yield self._as_it_is(changed, currency, call)

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

        owner_id = account_access.check_owner(call, user_id)
        query = (owner_id, currency)
        place = self._page_tokens.read(query, call, request.page_token)
        after = UUID(bytes=place) if place else None
        async with self._pool.connection() as conn:
            profiles = await accounts.page(conn, owner_id, after, size + 1, skip)
            total = await accounts.count(conn, owner_id) if request.count_total else 0

        answer = account_pb2.ListAccountsResponse(
            accounts=[self._as_it_is(profile, currency, call) for profile in profiles[:size]],
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
            archived_before=page.archived_before,
        )

    async def FreezeAccount(
        self, request: account_pb2.FreezeAccountRequest, call: Call
    ) -> account_pb2.Account:
        return await self._changes.freeze(request, call)

    async def UnfreezeAccount(
        self, request: account_pb2.UnfreezeAccountRequest, call: Call
    ) -> account_pb2.Account:
        return await self._changes.unfreeze(request, call)

    async def CloseAccount(
        self, request: account_pb2.CloseAccountRequest, call: Call
    ) -> account_pb2.Account:
        return await self._changes.close(request, call)

    async def ReopenAccount(
        self, request: account_pb2.ReopenAccountRequest, call: Call
    ) -> account_pb2.Account:
        return await self._changes.reopen(request, call)

    async def SetAccountLimit(
        self, request: account_pb2.SetAccountLimitRequest, call: Call
    ) -> account_pb2.Account:
        return await self._changes.set_limit(request, call)

    async def SetAccountLimits(
        self, request: account_pb2.SetAccountLimitsRequest, call: Call
    ) -> account_pb2.Account:
        return await self._changes.set_limits(request, call)

    async def SetSubAccounts(
        self, request: account_pb2.SetSubAccountsRequest, call: Call
    ) -> account_pb2.Account:
        return await self._changes.set_sub_accounts(request, call)

    async def SetAccountExternalId(
        self, request: account_pb2.SetAccountExternalIdRequest, call: Call
    ) -> account_pb2.Account:
        return await self._directory.set_external_id(request, call)

    async def ListAccountChanges(
        self, request: account_pb2.ListAccountChangesRequest, call: Call
    ) -> account_pb2.ListAccountChangesResponse:
        return await self._changes.list(request, call)

    async def _readable(self, account_id: UUID, call: Call) -> AccountProfile:
        profile = await self._reads.get(account_id)
        return account_access.check_readable(profile, call, account_id)

    def _as_it_is(self, profile: AccountProfile, currency: str, call: Call) -> account_pb2.Account:
        """An account as it is now, in a currency if that can be."""
        rate = _rate(self._rates.current, profile, currency, datetime.now(UTC))
        allowance, in_full = self._allowance(profile), call.principal.reads_all
        return account_message(profile, allowance, currency, rate, in_full=in_full)

    def _allowance(self, profile: AccountProfile) -> Allowance:
        """What may be debited from an account today, by this worker's clock or the account's."""
        account = profile.account
        return self._limits.allowance(account, max(datetime.now(UTC), account.changed_at))

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


def _read_opening(request: account_pb2.CreateAccountRequest, call: Call) -> _Opening:
    principal = call.principal
    checks = fields.Checks()
    currency = checks(money.parse_currency, request.currency, "currency")
    user_id = checks(account_access.read_id_or_own, principal, request.user, "user")
    checks.finish()
    account_access.check_opened_for(call, user_id)
    return _Opening(user_id or principal.require_user(), currency)


def _read_as_of(request: account_pb2.GetAccountRequest) -> datetime | None:
    return fields.past_moment(request.as_of, "as_of") if request.HasField("as_of") else None


def _read_optional_currency(code: str) -> str:
    return code and money.parse_currency(code, "currency")
