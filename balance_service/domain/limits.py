"""What may be debited from accounts, at once and in a calendar day.

The service's limits hold by currency; an account's own go before them, also where they are higher.
A transfer that is sent, a withdrawal and a purchase are debits. What open holds reserve counts as
if it were debited on each day until it is captured or released: a hold is checked when it is made,
and a capture then takes from the day's debits what the hold took before. A reversal is no debit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from balance_service.domain import errors, money
from balance_service.domain.accounts import Account
from balance_service.domain.days import Calendar, Day


class Allowance(NamedTuple):
    """What may be debited from an account on a day; None for no limit.

    Args:
        debit_minor: The most at once, in minor units.
        daily_minor: The most on the day.
        spent_minor: What was debited on it so far, and what is held.
        day: The day.
    """

    debit_minor: int | None
    daily_minor: int | None
    spent_minor: int
    day: Day

    @property
    def left_minor(self) -> int | None:
        """What may still be debited on the day, whatever the account holds."""
        return None if self.daily_minor is None else max(self.daily_minor - self.spent_minor, 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that the service is configured with, in minor units by currency.

    A currency that is not named has no limit.

    Args:
        overdraft_minor: The most that an account may be allowed to owe.
        debit_minor: The most that is debited at once from an account without a limit of its own.
        daily_minor: The most that is debited in a day from such an account.
        calendar: The days.
    """

    overdraft_minor: Mapping[str, int] = field(default_factory=dict)
    debit_minor: Mapping[str, int] = field(default_factory=dict)
    daily_minor: Mapping[str, int] = field(default_factory=dict)
    calendar: Calendar = field(default_factory=Calendar, compare=False)

    def allowance(self, account: Account, at: datetime) -> Allowance:
        """What may be debited from an account on the day of a moment, not before its last entry."""
        debit_minor, daily_minor = account.debit_limit_minor, account.daily_limit_minor
        if debit_minor is None:
            debit_minor = self.debit_minor.get(account.currency)
        if daily_minor is None:
            daily_minor = self.daily_minor.get(account.currency)
        day = self.calendar.day(at)
        return Allowance(debit_minor, daily_minor, account.spent_on(day) + account.held_minor, day)

    def check_debit(self, account: Account, amount_minor: int, now: datetime) -> None:
        """Raises DebitLimitExceeded or DailyLimitExceeded if a debit is more than is allowed.

        It is posted now, or at the time of the last entry of either account if that is later. If
        that of a receiver makes it tomorrow, it is the first debit of the day, and fits all the
        more.

        Args:
            account: Where the money leaves.
            amount_minor: How much, in minor units.
            now: The time of what is posted.
        """
        unlimited = account.debit_limit_minor is None and account.daily_limit_minor is None
        if unlimited and not self.debit_minor and not self.daily_minor:
            return
        allowance = self.allowance(account, max(now, account.changed_at))
        debit_minor, left_minor = allowance.debit_minor, allowance.left_minor
        if debit_minor is not None and amount_minor > debit_minor:
            raise errors.DebitLimitExceeded(
                account=str(account.account_id),
                limit=money.format_minor(debit_minor, account.currency),
                required=money.format_minor(amount_minor, account.currency),
                currency=account.currency,
            )
        if left_minor is not None and amount_minor > left_minor:
            raise errors.DailyLimitExceeded(
                account=str(account.account_id),
                limit=money.format_minor(allowance.daily_minor or 0, account.currency),
                spent=money.format_minor(allowance.spent_minor, account.currency),
                left=money.format_minor(left_minor, account.currency),
                required=money.format_minor(amount_minor, account.currency),
                currency=account.currency,
                day_end=allowance.day.end,
            )

    def check_overdraft(self, account: Account, limit_minor: int) -> None:
        """Raises OverdraftAboveMax if no account of the currency may be allowed to owe so much."""
        maximum_minor = self.overdraft_minor.get(account.currency)
        if maximum_minor is not None and limit_minor > maximum_minor:
            raise errors.OverdraftAboveMax(
                account=str(account.account_id),
                maximum=money.format_minor(maximum_minor, account.currency),
                currency=account.currency,
            )
