"""What operators may ask to change on accounts: how each kind is read, and what it does."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from balance_service._generated.balance.v1 import account_pb2
from balance_service.domain import account_changes, errors, money
from balance_service.domain.account_changes import ChangeKind, NewLimits
from balance_service.domain.accounts import Account, FreezeScope
from balance_service.domain.limits import Limits
from balance_service.domain.sub_accounts import SUB_ACCOUNTS_MAX
from balance_service.messages import fields

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


class SubAccounts(NamedTuple):
    """How many sub-accounts an account is to have, and why."""

    account: UUID
    sub_accounts: int
    reason: str


class _Values(Protocol):
    """What every request for a change means, among others."""

    @property
    def account(self) -> UUID: ...
    @property
    def reason(self) -> str: ...
    def _asdict(self) -> dict[str, Any]: ...


Asked = TypeVar("Asked", bound=Message)
Meant = TypeVar("Meant", bound=_Values)


@dataclass(frozen=True, slots=True)
class Kind(Generic[Asked, Meant]):
    """A kind of change.

    Args:
        number: As it is stored.
        message: What asks for it.
        read: Reads such a message by itself.
        change: The account with the change, by the service's limits; raises a refusal if it cannot
            be made.
    """

    number: ChangeKind
    message: type[Asked]
    read: Callable[[Asked], Meant]
    change: Callable[[Account, Asked, Meant, Limits], Account]


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


def read_sub_accounts(request: account_pb2.SetSubAccountsRequest) -> SubAccounts:
    """Reads how many sub-accounts an account is to have; 0 has to be said."""
    checks = fields.Checks()
    account_id = checks(fields.identifier, request.account, "account")
    reason = checks(fields.text, request, "reason")
    if not (request.HasField("sub_accounts") and 0 <= request.sub_accounts <= SUB_ACCOUNTS_MAX):
        checks.refuse("sub_accounts", f"must be from 0 to {SUB_ACCOUNTS_MAX}")
    checks.finish()
    return SubAccounts(account_id, request.sub_accounts, reason)


def _read_optional_number(text: str, field: str) -> Decimal | None:
    return money.parse_number(text, field, zero=True) if text else None


def _set_limit(
    account: Account, request: account_pb2.SetAccountLimitRequest, _: _Limit, limits: Limits
) -> Account:
    new = NewLimits(overdraft=request.limit, overdraft_field="limit")
    return account_changes.set_limits(account, new, limits)


def _set_limits(
    account: Account, request: account_pb2.SetAccountLimitsRequest, values: _Limits, limits: Limits
) -> Account:
    new = NewLimits(
        overdraft=request.overdraft or None,
        debit="" if values.unset_debit_limit else request.debit_limit or None,
        daily="" if values.unset_daily_limit else request.daily_limit or None,
    )
    return account_changes.set_limits(account, new, limits)


FREEZE = Kind(
    ChangeKind.FREEZE,
    account_pb2.FreezeAccountRequest,
    _read_freeze,
    lambda account, _, values, __: account_changes.freeze(account, values.scope),
)
UNFREEZE = Kind(
    ChangeKind.UNFREEZE,
    account_pb2.UnfreezeAccountRequest,
    _read_target,
    lambda account, _, __, ___: account_changes.unfreeze(account),
)
CLOSE = Kind(
    ChangeKind.CLOSE,
    account_pb2.CloseAccountRequest,
    _read_target,
    lambda account, _, __, ___: account_changes.close(account),
)
REOPEN = Kind(
    ChangeKind.REOPEN,
    account_pb2.ReopenAccountRequest,
    _read_target,
    lambda account, _, __, ___: account_changes.reopen(account),
)
SET_LIMIT = Kind(ChangeKind.SET_LIMITS, account_pb2.SetAccountLimitRequest, _read_limit, _set_limit)
SET_LIMITS = Kind(
    ChangeKind.SET_LIMITS, account_pb2.SetAccountLimitsRequest, _read_limits, _set_limits
)
