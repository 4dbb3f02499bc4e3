"""The chart of accounts: users' accounts together, and the service's own, as accountants name them.

Where money leaves an account here, an accountant debits it, and where it comes to one, they credit
it: users' balances are what the company owes.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from balance_service.domain.accounts import SystemRole
from balance_service.domain.movements import Kind

USERS = "users"


class AccountType(enum.IntEnum):
    """What an account stands for in a balance sheet; the numbers are those of the contract."""

    ASSET = 1
    LIABILITY = 2
    EQUITY = 3
    REVENUE = 4


class Side(enum.IntEnum):
    """Which side of an account its balance normally is on; the numbers are the contract's."""

    DEBIT = 1
    CREDIT = 2


class Title(NamedTuple):
    """An account of the chart, in each currency.

    Args:
        code: Its number, by which accounts are sorted. It never changes.
        role: A system account's role, or USERS.
        name: Its name in journals, which never changes either.
        type: What it stands for.
        kinds: The kinds of movements that post to it.
    """

    code: str
    role: str
    name: str
    type: AccountType
    kinds: Sequence[Kind]

    @property
    def normal_side(self) -> Side:
        """Where it grows."""
        return Side.DEBIT if self.type is AccountType.ASSET else Side.CREDIT


_PAID_IN_AND_OUT = (
    Kind.DEPOSIT,
    Kind.WITHDRAWAL,
    Kind.DEPOSIT_REVERSAL,
    Kind.WITHDRAWAL_REVERSAL,
)
_SOLD = (Kind.PURCHASE, Kind.REFUND)
_BETWEEN_USERS = (
    Kind.TRANSFER,
    Kind.TRANSFER_REVERSAL,
    Kind.EXCHANGE,
    Kind.EXCHANGE_REVERSAL,
)
# Transfers only where they are by quote, purchases where their price is in another currency.
_CONVERTED = (*_SOLD, *_BETWEEN_USERS)

CHART: Mapping[str, Title] = {
    title.role: title
    for title in (
        Title(
            "1010",
            SystemRole.SETTLEMENT,
            "Assets:Settlement",
            AccountType.ASSET,
            _PAID_IN_AND_OUT,
        ),
        Title(
            "2010",
            USERS,
            "Liabilities:Users",
            AccountType.LIABILITY,
            (*_PAID_IN_AND_OUT, *_SOLD, *_BETWEEN_USERS),
        ),
        Title("3010", SystemRole.FX, "Equity:FX", AccountType.EQUITY, _CONVERTED),
        Title("4010", SystemRole.REVENUE, "Income:Revenue", AccountType.REVENUE, _SOLD),
        Title("4020", SystemRole.ROUNDING, "Income:Rounding", AccountType.REVENUE, _BETWEEN_USERS),
    )
}


class Total(NamedTuple):
    """What was posted to an account of the chart in one currency.

    Args:
        title: The account.
        currency: ISO 4217.
        debit_minor: The sum of what left it, in minor units; not bounded as amounts are.
        credit_minor: The sum of what came to it.
        entries: How many postings that is.
        accounts: Of users' accounts, how many were opened.
    """

    title: Title
    currency: str
    debit_minor: int
    credit_minor: int
    entries: int
    accounts: int

    @property
    def debit_balance_minor(self) -> int:
        """By how much its debits are more than its credits; 0 if they are not."""
        return max(self.debit_minor - self.credit_minor, 0)

    @property
    def credit_balance_minor(self) -> int:
        """By how much its credits are more than its debits; 0 if they are not."""
        return max(self.credit_minor - self.debit_minor, 0)


def by_currency(totals: Sequence[Total]) -> Mapping[str, Sequence[Total]]:
    """Totals by currency, in the order of codes; of accounts that nothing was posted to, too."""
    found = {(total.currency, total.title.role): total for total in totals}
    return {
        currency: [
            found.get((currency, role), Total(title, currency, 0, 0, 0, 0))
            for role, title in CHART.items()
        ]
        for currency in sorted({total.currency for total in totals})
    }
