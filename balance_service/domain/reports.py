"""Reports on all accounts together."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain.movements import Kind


class BalanceThen(NamedTuple):
    """What an account had right after a moment.

    Args:
        account_id: The account.
        number: Its public number.
        owner_id: The user it belongs to.
        currency: Its ISO 4217 code.
        balance_minor: All the money on it, in minor units.
        sequence: The number of its last entry; 0 for none.
    """

    account_id: UUID
    number: int
    owner_id: UUID
    currency: str
    balance_minor: int
    sequence: int


class MovementSearch(NamedTuple):
    """Which movements a list keeps.

    Args:
        start_time: At or after.
        end_time: Before; None for no end.
        kind: Of this kind; None for all that move money.
        currency: In this currency; empty for all.
        amount_min: Of at least this many minor units; None for any.
        amount_max: Of at most this many.
    """

    start_time: datetime
    end_time: datetime | None = None
    kind: Kind | None = None
    currency: str = ""
    amount_min: int | None = None
    amount_max: int | None = None


class MonthlySales(NamedTuple):
    """What was sold of a service in a month, to accounts of one currency at prices in one.

    Args:
        month: The month's first day, in UTC.
        service_id: The service.
        currency: Of the accounts that paid.
        price_currency: Of the prices; where nothing was converted, the same.
        purchases: How many.
        quantity: How many were bought by them together.
        gross_minor: What was paid for them, in minor units of the accounts' currency.
        gross_price_minor: The same in the prices' currency: what was posted to revenue.
        refunds: How many were booked in the month, whenever the purchases were.
        refunded_minor: What they gave back, in the accounts' currency.
        refunded_price_minor: What they took from revenue, in the prices' currency.
    """

    month: date
    service_id: UUID
    currency: str
    price_currency: str
    purchases: int
    quantity: int
    gross_minor: int
    gross_price_minor: int
    refunds: int
    refunded_minor: int
    refunded_price_minor: int

    @property
    def net_minor(self) -> int:
        return self.gross_minor - self.refunded_minor

    @property
    def net_price_minor(self) -> int:
        return self.gross_price_minor - self.refunded_price_minor
