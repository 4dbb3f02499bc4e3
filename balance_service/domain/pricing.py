"""Exchange rates and what they make of an amount.

A rate carries its source and its time, and both are stored with whatever was computed from it. A
rate older than its limit is refused, never guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import NamedTuple

from balance_service.domain import errors
from balance_service.domain.money import Money, convert_minor, format_minor

# Twelve digits keep the error of a conversion below a minor unit for any amount up to 10^11 units.
_RATE_CONTEXT = Context(prec=12)


class Quotation(NamedTuple):
    """One line of a source's table: `units` of a currency are worth `value` of the base currency.

    The source's own figures are kept, rather than their quotient, so that nothing is rounded before
    it is used.
    """

    units: Decimal
    value: Decimal


@dataclass(frozen=True, slots=True)
class RateSheet:
    """All rates that a source published at once.

    Args:
        source: `cbr`, `ecb` or `static`.
        base: The currency that values are in, ISO 4217.
        as_of: When the source set the rates.
        quotations: By currency, without the base.
        expires: Whether the sheet goes stale. A static table is chosen by an operator and does not.
    """

    source: str
    base: str
    as_of: datetime
    quotations: Mapping[str, Quotation]
    expires: bool = True


class Rate(NamedTuple):
    """Units of the target currency for one unit of the currency.

    Args:
        value: At most twelve significant digits, so that what is stored is what was used.
        source: Where it came from.
        as_of: When its source set it.
    """

    currency: str
    target: str
    value: Decimal
    source: str
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates in force: what converts amounts.

    Args:
        sheet: The last sheet of the configured source; None before the first was fetched.
        stale_after: How old the sheet may be.
    """

    sheet: RateSheet | None
    stale_after: timedelta

    def rate(self, currency: str, target: str, now: datetime) -> Rate:
        """The rate between two different currencies, across the source's base if need be.

        Raises:
            RateUnavailable: The source does not quote one of them.
            RateStale: The sheet is older than its limit.
        """
        sheet = self.sheet
        if sheet is None:
            raise errors.RateUnavailable(currency, target)
        quotations = {**sheet.quotations, sheet.base: Quotation(Decimal(1), Decimal(1))}
        if currency not in quotations or target not in quotations:
            raise errors.RateUnavailable(currency, target)
        if sheet.expires and now - sheet.as_of > self.stale_after:
            raise errors.RateStale(currency, target, sheet.source, sheet.as_of)
        have, want = quotations[currency], quotations[target]
        exact = have.value * want.units, have.units * want.value
        value = _RATE_CONTEXT.divide(*exact).normalize(_RATE_CONTEXT)
        return Rate(currency, target, value, sheet.source, sheet.as_of)


def charge(price: Money, currency: str, rates: Rates, now: datetime) -> tuple[int, Rate | None]:
    """What a price costs in an account's currency.

    Returns:
        The charge in minor units of the currency, and the rate used; None if there was no need.

    Raises:
        RateUnavailable, RateStale: There is no rate to go by.
        ChargeTooSmall: The price rounds to nothing.
    """
    if price.currency == currency:
        return price.minor, None
    rate = rates.rate(price.currency, currency, now)
    minor = convert_minor(price.minor, price.currency, currency, rate.value)
    if minor <= 0:
        text = format_minor(price.minor, price.currency)
        raise errors.ChargeTooSmall(text, price.currency, currency)
    return minor, rate
