"""What was posted, as transactions of an accounting program.

An amount here is positive where an accountant debits the account. So each has the other sign than
the service's own entries, by which money that comes to an account is positive.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain.accounts import SystemRole
from balance_service.domain.chart import CHART, USERS, Total
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind


class Side(NamedTuple):
    """A movement's side on one account, with what the journal tells of the movement.

    Args:
        currency: Of the movement.
        role: The account's, in the chart.
        number: A user's account's number; None for a system account.
        own_currency: The account's.
        amount_minor: What came to the account; negative for what left it.
        opening_minor: Of the first entry of a user's account in the period, what was on the account
            before it.
    """

    movement_id: UUID
    kind: Kind
    created_at: datetime
    currency: str
    description: str
    role: str
    number: int | None
    own_currency: str
    amount_minor: int
    opening_minor: int | None = None


class Posting(NamedTuple):
    """A line of a transaction.

    Args:
        account: Its name in the journal.
        code: Its number in the chart.
        amount: A debit, or a credit if it is negative.
        total: What all of it was worth in another currency, where it was converted.
    """

    account: str
    code: str
    amount: Money
    total: Money | None = None


class Transaction(NamedTuple):
    """A transaction.

    Args:
        time: When it was posted, in UTC.
        code: Names it, in letters, digits and hyphens.
        kind: What it is.
        description: What its maker wrote.
        postings: They sum to zero in each currency.
    """

    time: datetime
    code: str
    kind: str
    description: str
    postings: Sequence[Posting]


def of_sides(sides: Iterable[Side], start: datetime) -> Iterator[Transaction]:
    """Transactions of movements, and before each the opening balances of its accounts.

    Args:
        sides: Those of one movement after each other.
        start: The period's.
    """
    for movement_id, group in itertools.groupby(sides, key=lambda side: side.movement_id):
        of_one = list(group)
        for side in of_one:
            if side.opening_minor:
                yield _brought_forward(side, start)
        first = of_one[0]
        worth = _worth(of_one)
        yield Transaction(
            first.created_at.astimezone(UTC),
            str(movement_id),
            first.kind.name.lower(),
            first.description,
            [
                Posting(
                    _name(side.role, side.number),
                    CHART[side.role].code,
                    Money(-side.amount_minor, side.own_currency),
                    worth if worth and side.own_currency == first.currency else None,
                )
                for side in of_one
            ],
        )


def opening(totals: Sequence[Total], start: datetime) -> Iterator[Transaction]:
    """The balances of every account of the chart at the start of a period, by currency."""
    for currency, group in itertools.groupby(
        sorted(totals, key=lambda total: (total.currency, total.title.code)),
        key=lambda total: total.currency,
    ):
        postings = [
            _posting(total, total.debit_minor - total.credit_minor)
            for total in group
            if total.debit_minor != total.credit_minor
        ]
        if postings:
            yield Transaction(start, f"opening-{currency}", "opening", "", postings)


def of_days(days: Iterable[tuple[datetime, Total]]) -> Iterator[Transaction]:
    """A transaction for each day and currency: the debits and the credits of each account.

    Args:
        days: Totals by day, those of a day and a currency after each other.
    """
    for (day, currency), group in itertools.groupby(
        days, key=lambda each: (each[0], each[1].currency)
    ):
        postings = [
            _posting(total, amount_minor)
            for _, total in group
            for amount_minor in (total.debit_minor, -total.credit_minor)
            if amount_minor
        ]
        if postings:
            yield Transaction(day, f"{day:%Y-%m-%d}-{currency}", "day", "", postings)


def _brought_forward(side: Side, start: datetime) -> Transaction:
    """Takes an account that moves in the period out of the opening balance of all users'."""
    assert side.opening_minor is not None, "asked for such sides alone"
    title = CHART[side.role]
    return Transaction(
        start,
        f"opening-{side.number}",
        "opening",
        "",
        [
            Posting(title.name, title.code, Money(side.opening_minor, side.own_currency)),
            Posting(
                _name(side.role, side.number),
                title.code,
                Money(-side.opening_minor, side.own_currency),
            ),
        ],
    )


def _worth(sides: Sequence[Side]) -> Money | None:
    """What the sides in the movement's currency are worth in the other, if it was converted.

    They are two, the user's and that of fx, so that as many of the other currency are on each side
    however they are counted.
    """
    by_currency: Mapping[str, list[Side]] = {
        currency: [side for side in sides if side.own_currency == currency]
        for currency in {side.own_currency for side in sides}
    }
    own = by_currency.get(sides[0].currency, [])
    given = [
        side
        for side in sides
        if side.role == SystemRole.FX and side.own_currency != sides[0].currency
    ]
    if len(own) != 2 or len(given) != 1:
        return None
    return Money(abs(given[0].amount_minor), given[0].own_currency)


def _posting(total: Total, amount_minor: int) -> Posting:
    return Posting(total.title.name, total.title.code, Money(amount_minor, total.currency))


def _name(role: str, number: int | None) -> str:
    name = CHART[role].name
    return f"{name}:{number}" if role == USERS else name
