"""What operators change on accounts: whether and how far money may move, and why."""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain import errors, money
from balance_service.domain.accounts import Account, FreezeScope, Status
from balance_service.domain.limits import Limits


class ChangeKind(enum.IntEnum):
    """What was changed; the numbers are stored and those of the contract."""

    FREEZE = 1
    UNFREEZE = 2
    CLOSE = 3
    REOPEN = 4
    SET_LIMITS = 5


class Rules(NamedTuple):
    """What operators decide about an account.

    Args:
        status: Whether money may move.
        limit_minor: How far below zero `available` may go, in minor units.
        debit_limit_minor: The account's own limit for one debit, if any.
        daily_limit_minor: The account's own limit for the debits of a day, if any.
    """

    status: Status
    limit_minor: int
    debit_limit_minor: int | None
    daily_limit_minor: int | None

    @classmethod
    def of(cls, account: Account) -> "Rules":
        """What is decided about an account."""
        return cls(
            account.status,
            account.limit_minor,
            account.debit_limit_minor,
            account.daily_limit_minor,
        )


class AccountChange(NamedTuple):
    """A change that was made, with its reason.

    Args:
        change_id: Sorts by `created_at`.
        account_id: The account.
        kind: What was changed.
        before: What was decided before.
        after: What is decided since.
        reason: The operator's words; may be empty.
        principal: Who asked for it.
        request_id: What makes a retry safe, if one was sent.
        created_at: When, by Postgres's clock.
    """

    change_id: UUID
    account_id: UUID
    kind: ChangeKind
    before: Rules
    after: Rules
    reason: str
    principal: str
    request_id: UUID | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewLimits:
    """Limits that an account is to have; None leaves one as it is.

    Args:
        overdraft: How far below zero `available` may go, a decimal string as the others.
        debit: The account's own limit for one debit; empty to have none.
        daily: The account's own limit for the debits of a day; empty to have none.
        overdraft_field: The request's field of `overdraft`, for a refusal.
    """

    overdraft: str | None = None
    debit: str | None = None
    daily: str | None = None
    overdraft_field: str = "overdraft"


def freeze(account: Account, scope: FreezeScope) -> Account:
    """The account frozen; one that is frozen for all stays so.

    Raises:
        AccountClosed: It is closed.
    """
    account.check_not_closed()
    if scope == FreezeScope.DEBITS and account.status != Status.FROZEN:
        return account._replace(status=Status.DEBITS_FROZEN)
    return account._replace(status=Status.FROZEN)


def unfreeze(account: Account) -> Account:
    """The account with money moving.

    Raises:
        AccountClosed: It is closed.
    """
    account.check_not_closed()
    return account._replace(status=Status.ACTIVE)


def close(account: Account) -> Account:
    """The account closed.

    Raises:
        AccountNotEmpty: Something is on it.
    """
    account.check_can_close()
    return account._replace(status=Status.CLOSED)


def reopen(account: Account) -> Account:
    """The account with money moving again, whatever it was before it was closed.

    Raises:
        AccountNotClosed: It is not closed.
    """
    if account.status != Status.CLOSED:
        raise errors.AccountNotClosed(str(account.account_id))
    return account._replace(status=Status.ACTIVE)


def set_limits(account: Account, new: NewLimits, limits: Limits) -> Account:
    """The account with other limits.

    Args:
        account: As it is.
        new: What is to change.
        limits: The service's, whose ceiling an overdraft is held to.

    Raises:
        AccountClosed: It is closed.
        InvalidFields: The amounts do not fit its currency.
        OverdraftAboveMax: No account may owe so much.
        LimitBelowBalance: It owes more already.
    """
    account.check_not_closed()
    after = account
    if new.overdraft is not None:
        minor = _minor_units(new.overdraft, account, new.overdraft_field)
        after = after._replace(limit_minor=minor)
    if new.debit is not None:
        debit_minor = _minor_units(new.debit, account, "debit_limit") if new.debit else None
        after = after._replace(debit_limit_minor=debit_minor)
    if new.daily is not None:
        daily_minor = _minor_units(new.daily, account, "daily_limit") if new.daily else None
        after = after._replace(daily_limit_minor=daily_minor)
    if new.overdraft is not None:
        limits.check_overdraft(account, after.limit_minor)
        account.check_limit(after.limit_minor)
    return after


def _minor_units(text: str, account: Account, field: str) -> int:
    return money.parse_amount(text, account.currency, field, minimum_minor=0).minor
