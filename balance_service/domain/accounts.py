"""An account's state and what it allows."""

import enum
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain import errors, ids, money
from balance_service.domain.days import Day


class Status(enum.IntEnum):
    """Whether money may move; the numbers are stored and those of the contract."""

    ACTIVE = 1
    FROZEN = 2
    CLOSED = 3
    DEBITS_FROZEN = 4


class FreezeScope(enum.IntEnum):
    """What an account is frozen for; the numbers are those of the contract."""

    ALL = 1
    DEBITS = 2


class Account(NamedTuple):
    """A user's account as the ledger sees it.

    Args:
        account_id: Its id.
        owner_id: The user it belongs to.
        currency: ISO 4217 code of all its amounts.
        balance_minor: All the money on it, in minor units.
        held_minor: The reserved part of the balance.
        limit_minor: How far below zero `available` may go.
        status: Whether money may move.
        sequence: The number of its last entry; 0 before the first.
        changed_at: When its last entry was written, or when it was opened.
        spent_minor: What was debited on the calendar day of `changed_at`.
        debit_limit_minor: The most that may be debited at once, if the account has such a limit.
        daily_limit_minor: The most that may be debited in a day, if it has such a limit.
        sub_account_count: How many sub-accounts take receipts beside it; 0 for none.
    """

    account_id: UUID
    owner_id: UUID
    currency: str
    balance_minor: int
    held_minor: int
    limit_minor: int
    status: Status
    sequence: int
    changed_at: datetime
    spent_minor: int = 0
    debit_limit_minor: int | None = None
    daily_limit_minor: int | None = None
    sub_account_count: int = 0

    @property
    def available_minor(self) -> int:
        return self.balance_minor - self.held_minor

    @property
    def etag(self) -> str:
        """What changes whenever what may be done with the account's money does."""
        rules = (self.limit_minor, int(self.status), self.debit_limit_minor, self.daily_limit_minor)
        parts = (self.sequence, self.held_minor, *rules)
        return ".".join("" if part is None else str(part) for part in parts)

    def spent_on(self, day: Day) -> int:
        """What was debited on a day, not before that of the last entry, in minor units."""
        return self.spent_minor if self.changed_at >= day.start else 0

    def entered(self, amount_minor: int, at: datetime, day: Day, debited_minor: int) -> "Account":
        """The account after one more entry.

        Args:
            amount_minor: The entry's amount in minor units: negative where money leaves.
            at: The entry's time.
            day: The day of that time.
            debited_minor: What it adds to the day's debits: 0 for what does not count as one.
        """
        spent_minor = self.spent_minor if self.changed_at >= day.start else 0
        if debited_minor:
            spent_minor = _bounded(spent_minor + debited_minor)
        # `_replace` takes four times as long, and every posting comes through here.
        return Account(
            self.account_id,
            self.owner_id,
            self.currency,
            self.balance_minor + amount_minor,
            self.held_minor,
            self.limit_minor,
            self.status,
            self.sequence + 1,
            at,
            spent_minor,
            self.debit_limit_minor,
            self.daily_limit_minor,
            self.sub_account_count,
        )

    def reserved(self, amount_minor: int) -> "Account":
        """The account with more of its balance held, in minor units; negative to release it."""
        return self._replace(held_minor=self.held_minor + amount_minor)

    def check_etag(self, etag: str) -> None:
        """Raises EtagMismatch unless the etag is the account's; an empty one asks for nothing."""
        if etag and etag != self.etag:
            raise errors.EtagMismatch

    def check_not_closed(self) -> None:
        """Raises AccountClosed if the account is closed."""
        if self.status == Status.CLOSED:
            raise errors.AccountClosed(str(self.account_id))

    def check_open(self) -> None:
        """Raises AccountFrozen or AccountClosed unless money may enter and leave."""
        self.check_receives()
        if self.status == Status.DEBITS_FROZEN:
            raise errors.AccountFrozen(str(self.account_id), FreezeScope.DEBITS.name)

    def check_receives(self) -> None:
        """Raises AccountFrozen or AccountClosed unless money may enter."""
        self.check_not_closed()
        if self.status == Status.FROZEN:
            raise errors.AccountFrozen(str(self.account_id), FreezeScope.ALL.name)

    def check_currency(self, currency: str) -> None:
        """Raises CurrencyMismatch unless the account is kept in the currency."""
        if self.currency != currency:
            raise errors.CurrencyMismatch(str(self.account_id), self.currency, currency)

    def check_fits(self, amount_minor: int) -> None:
        """Raises BalanceOverflow if the amount would make the balance more than can be held."""
        if self.balance_minor + amount_minor > money.MINOR_MAX:
            raise errors.BalanceOverflow(str(self.account_id))

    def check_can_pay(self, amount_minor: int) -> None:
        """Raises InsufficientFunds if the amount would take the account below its limit."""
        self.check_has(amount_minor, self.limit_minor)

    def check_has(self, amount_minor: int, limit_minor: int = 0) -> None:
        """Raises InsufficientFunds if the amount would take the account below a limit.

        Args:
            amount_minor: What is to leave it.
            limit_minor: How far below zero what is available may go.
        """
        missing_minor = amount_minor - (self.available_minor + limit_minor)
        if missing_minor > 0:
            raise errors.InsufficientFunds(
                account=str(self.account_id),
                available=money.format_minor(self.available_minor, self.currency),
                required=money.format_minor(amount_minor, self.currency),
                missing=money.format_minor(missing_minor, self.currency),
                currency=self.currency,
            )

    def check_can_close(self) -> None:
        """Raises AccountNotEmpty unless nothing is on the account."""
        if self.balance_minor or self.held_minor:
            balance = money.format_minor(self.balance_minor, self.currency)
            raise errors.AccountNotEmpty(str(self.account_id), balance, self.currency)

    def check_limit(self, limit_minor: int) -> None:
        """Raises LimitBelowBalance if the account is already beyond the limit."""
        if self.available_minor < -limit_minor:
            balance = money.format_minor(self.balance_minor, self.currency)
            raise errors.LimitBelowBalance(str(self.account_id), balance, self.currency)


def _bounded(spent_minor: int) -> int:
    """What was debited, bounded as a balance is: no limit is higher."""
    if 0 <= spent_minor <= money.MINOR_MAX:
        return spent_minor
    return 0 if spent_minor < 0 else money.MINOR_MAX


class AccountFilter(NamedTuple):
    """Which accounts a list keeps.

    Args:
        currency: Kept in it, ISO 4217; empty for any.
        status: Of it; None for any.
    """

    currency: str
    status: Status | None


class AccountProfile(NamedTuple):
    """An account with what people see of it besides its money.

    Args:
        account: Its state.
        number: Its public number.
        created_at: When it was opened.
        waiting_minor: What it received that has no number on it yet, in minor units.
        waiting: In how many receipts.
    """

    account: Account
    number: int
    created_at: datetime
    waiting_minor: int = 0
    waiting: int = 0

    @property
    def merged(self) -> Account:
        """The account with what waits, as people see it; its entries end before that."""
        if not self.waiting:
            return self.account
        return self.account._replace(
            balance_minor=self.account.balance_minor + self.waiting_minor,
            sequence=self.account.sequence + self.waiting,
        )


class SystemRole(enum.StrEnum):
    """The service's own accounts, one in each currency, on the other side of users' movements.

    settlement stands for the outside world, revenue for what was sold, fx for the position that
    conversions leave, rounding for what rounding a quote's amounts has left over. They may go below
    zero: their sum with all users' balances is zero.
    """

    SETTLEMENT = "settlement"
    REVENUE = "revenue"
    FX = "fx"
    ROUNDING = "rounding"


class SystemAccount(NamedTuple):
    """A system account: its id follows from its role and currency."""

    role: SystemRole
    currency: str

    @property
    def name(self) -> str:
        """What its id is made of."""
        return f"{self.role}/{self.currency}"

    @property
    def account_id(self) -> UUID:
        return _SYSTEM_IDS[self]


_SYSTEM_IDS = {
    account: ids.named_id(account.name)
    for account in (SystemAccount(role, code) for role in SystemRole for code in money.DECIMALS)
}
SYSTEM_ACCOUNTS = {account_id: account for account, account_id in _SYSTEM_IDS.items()}
