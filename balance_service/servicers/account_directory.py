"""How accounts are found by those who know them by something else, for AccountService."""

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from balance_service._generated.balance.v1 import account_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors, ids, money
from balance_service.domain.accounts import AccountFilter, AccountProfile, Status
from balance_service.domain.external_ids import ExternalId, Subject
from balance_service.domain.limits import Limits
from balance_service.domain.paging import REACH_MAX
from balance_service.domain.principals import Principal
from balance_service.messages import account_access, fields
from balance_service.messages.account_messages import account_message
from balance_service.messages.external_ids import (
    check_selector,
    put,
    read_external_id,
    read_own_external_id,
)
from balance_service.messages.once import once
from balance_service.messages.page_tokens import PageTokens
from balance_service.repositories import accounts, external_ids


class _Setting(NamedTuple):
    account: UUID
    external_id: str
    source: str


class _Wanted(NamedTuple):
    """What an account is looked up by: the one that is given.

    Args:
        text: As it was sent, for the refusal.
    """

    text: str
    number: int | None
    owned: tuple[UUID, str] | None
    external_id: ExternalId | None


class AccountDirectory:
    """Finds and lists accounts, and keeps what other systems call them.

    Args:
        pool: Where they are.
        page_tokens: Sign where a list goes on.
        limits: What accounts are shown with.
    """

    def __init__(self, pool: Pool, page_tokens: PageTokens, limits: Limits) -> None:
        self._pool = pool
        self._page_tokens = page_tokens
        self._limits = limits

    async def lookup(
        self, request: account_pb2.LookupAccountRequest, call: Call
    ) -> account_pb2.Account:
        wanted = _read_wanted(request, call.principal)

        async with self._pool.connection() as conn:
            profile = await _find(conn, wanted)
            # A stranger's account is refused after as many queries as one that is not there.
            readable = account_access.check_readable(profile, call, wanted.text)
            return await self._message(conn, readable, call)

    async def search(
        self, request: account_pb2.SearchAccountsRequest, call: Call
    ) -> account_pb2.SearchAccountsResponse:
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        skip = checks(fields.skip, request.skip)
        currency = request.currency and checks(money.parse_currency, request.currency, "currency")
        wanted = AccountFilter(currency, checks(_read_status, request.status))
        checks.finish()

        reach = None if skip or request.count_total else REACH_MAX
        place = self._page_tokens.read(wanted, call, request.page_token)
        after = UUID(bytes=place) if place else UUID(int=0)
        async with self._pool.connection() as conn:
            found = await accounts.search(conn, wanted, after, size + 1, skip, reach)
            total = await accounts.count_search(conn, wanted) if request.count_total else 0
            last: UUID | None = None
            if len(found) > size:
                last = found[size - 1].account.account_id
            elif reach:
                last = await accounts.end_of_reach(conn, after, reach)

        answer = account_pb2.SearchAccountsResponse(
            accounts=[self._account(profile, call) for profile in found[:size]], total_size=total
        )
        if last:
            answer.next_page_token = self._page_tokens.write(wanted, call, last.bytes)
        return answer

    async def set_external_id(
        self, request: account_pb2.SetAccountExternalIdRequest, call: Call
    ) -> account_pb2.Account:
        principal = call.principal

        def read(sent: account_pb2.SetAccountExternalIdRequest) -> _Setting:
            checks = fields.Checks()
            account_id = checks(fields.identifier, sent.account, "account")
            external_id = checks(read_own_external_id, sent, principal)
            checks.finish()
            return _Setting(account_id, external_id.text, external_id.source)

        async def act(conn: Connection, setting: _Setting) -> account_pb2.Account:
            profile = await accounts.lock(conn, setting.account)
            if profile is None:
                raise errors.AccountNotFound(str(setting.account))
            external_id = ExternalId(setting.source, setting.external_id)
            await put(conn, call, Subject.ACCOUNT, setting.account, external_id)
            return await self._message(conn, profile, call)

        return await once(
            self._pool, request, call, read=read, act=act, answer_type=account_pb2.Account
        )

    async def _message(
        self, conn: Connection, profile: AccountProfile, call: Call
    ) -> account_pb2.Account:
        message = self._account(profile, call)
        account_id = profile.account.account_id
        message.external_ids.update(await external_ids.of_subject(conn, account_id))
        return message

    def _account(self, profile: AccountProfile, call: Call) -> account_pb2.Account:
        account = profile.account
        now = max(datetime.now(UTC), account.changed_at)
        allowance = self._limits.allowance(account, now)
        return account_message(profile, allowance, in_full=call.principal.reads_all)


def _read_wanted(request: account_pb2.LookupAccountRequest, principal: Principal) -> _Wanted:
    checks = fields.Checks()
    number = checks(_read_number, request.number)
    external_id = checks(read_external_id, request, principal)
    owned = None
    if request.currency:
        currency = checks(money.parse_currency, request.currency, "currency")
        user_id = checks(account_access.read_id_or_own, principal, request.user, "user")
        owned = user_id, currency
    elif request.user:
        checks.refuse("user", "must come with a currency")
    check_selector(checks, request, ("number", "currency", "external_id"))
    checks.finish()
    text = request.number or request.currency or request.external_id
    if owned is None:
        return _Wanted(text, number, None, external_id)
    owner_id, currency = owned
    owner_id = owner_id or principal.require_user()
    return _Wanted(text, None, (owner_id, currency), None)


def _read_status(value: int) -> Status | None:
    if value == account_pb2.ACCOUNT_STATUS_UNSPECIFIED:
        return None
    if value not in account_pb2.AccountStatus.values():
        raise errors.invalid("status", "must be a known status")
    return Status(value)


def _read_number(text: str) -> int | None:
    if text and not ids.is_account_number(text):
        raise errors.invalid("number", "must be ten digits, the last of which checks the others")
    return int(text) if text else None


async def _find(conn: Connection, wanted: _Wanted) -> AccountProfile | None:
    if wanted.external_id:
        return await accounts.find_by_external_id(conn, wanted.external_id)
    if wanted.number:
        return await accounts.find_by_number(conn, wanted.number)
    assert wanted.owned, "one of them is given"
    return await accounts.find_by_owner(conn, *wanted.owned)
