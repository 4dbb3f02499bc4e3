"""Exchange rates and what they make of an amount.

A rate carries its source and its time, and both are stored with whatever was computed from it. A
charge by a rate that its source should have replaced is refused, never guessed; an amount that is
only shown says that its rate is old.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
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


_BASE = Quotation(Decimal(1), Decimal(1))


class Rate(NamedTuple):
    """Units of the target currency for one unit of the currency.

    Args:
        value: At most twelve significant digits, so that what is stored is what was used.
        source: `cbr`, `ecb` or `static`.
        as_of: From when its source's sheet is in force.
    """

    currency: str
    target: str
    value: Decimal
    source: str
    as_of: datetime


class Shown(NamedTuple):
    """A rate that an amount is shown by, whatever its age.

    Args:
        stale: Whether it is too old to charge by.
    """

    rate: Rate
    stale: bool


@dataclass(frozen=True, slots=True)
class RateSheet:
    """All rates that a source published at once.

    Args:
        source: `cbr`, `ecb` or `static`.
        base: The currency that values are in, ISO 4217.
        as_of: From when the source's rates are in force, which may be after it published them.
        quotations: By currency, without the base.
        expires: Whether the sheet goes stale. A static table is chosen by an operator and does not.
    """

    source: str
    base: str
    as_of: datetime
    quotations: Mapping[str, Quotation]
    expires: bool = True

    def rate(self, currency: str, target: str) -> Rate:
        """The rate between two different currencies, across the base if need be.

        Raises:
            RateUnavailable: The sheet does not quote one of them.
        """
        have, want = self._quotation(currency), self._quotation(target)
        if have is None or want is None:
            raise errors.RateUnavailable(currency, target)
        exact = have.value * want.units, have.units * want.value
        value = _RATE_CONTEXT.divide(*exact).normalize(_RATE_CONTEXT)
        return Rate(currency, target, value, self.source, self.as_of)

    def quotes(self, currency: str) -> bool:
        """Whether it has rates to and from a currency."""
        return self._quotation(currency) is not None

    def _quotation(self, currency: str) -> Quotation | None:
        return _BASE if currency == self.base else self.quotations.get(currency)


@dataclass(frozen=True, slots=True)
class Rates:
    """What converts amounts: the sheet in force, and those whose time is still to come.

    Args:
        sheets: Of one source, in any order; none before the first was fetched.
        stale_at: From when a sheet is too old to charge by, given its `as_of`.
    """

    sheets: tuple[RateSheet, ...]
    stale_at: Callable[[datetime], datetime]

    def in_force(self, moment: datetime) -> RateSheet | None:
        """The newest sheet whose time has come."""
        begun = (sheet for sheet in self.sheets if sheet.as_of <= moment)
        return max(begun, key=lambda sheet: sheet.as_of, default=None)

    def rate(self, currency: str, target: str, now: datetime) -> Rate:
        """The rate in force between two different currencies, to charge by.

        Raises:
            RateUnavailable: The source does not quote one of them.
            RateStale: The source should have replaced it a while ago.
        """
        sheet = self.in_force(now)
        if sheet is None:
            raise errors.RateUnavailable(currency, target)
        rate = sheet.rate(currency, target)
        if self._is_stale(sheet, now):
            raise errors.RateStale(currency, target, sheet.source, sheet.as_of)
        return rate

    def shown(self, currency: str, target: str, moment: datetime) -> Shown | None:
        """The rate in force at a moment, to show an amount by; None if none is known."""
        sheet = self.in_force(moment)
        if sheet is None:
            return None
        try:
            return Shown(sheet.rate(currency, target), self._is_stale(sheet, moment))
        except errors.RateUnavailable:
            return None

    def _is_stale(self, sheet: RateSheet, moment: datetime) -> bool:
        return sheet.expires and moment >= self.stale_at(sheet.as_of)


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
