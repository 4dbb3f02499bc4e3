"""Rates and what they make of a price."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from balance_service.domain import errors, pricing
from balance_service.domain.money import Money
from balance_service.domain.pricing import Quotation, Rates, RateSheet

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
QUOTATIONS = {
    "USD": Quotation(Decimal(1), Decimal("80.1234")),
    "JPY": Quotation(Decimal(100), Decimal("52.50")),
}


def rates(as_of: datetime = NOW, *, expires: bool = True) -> Rates:
    return Rates(RateSheet("cbr", "RUB", as_of, QUOTATIONS, expires), timedelta(hours=96))


def test_price_in_the_accounts_currency_needs_no_rate() -> None:
    nothing = Rates(None, timedelta(hours=1))
    assert pricing.charge(Money(500, "RUB"), "RUB", nothing, NOW) == (500, None)


def test_foreign_price_is_converted_and_says_how() -> None:
    minor, rate = pricing.charge(Money(1999, "USD"), "RUB", rates(), NOW)
    assert minor == 160167  # 19.99 * 80.1234 = 1601.666...
    assert rate == ("USD", "RUB", Decimal("80.1234"), "cbr", NOW)


def test_rate_crosses_the_base_and_is_stored_as_it_is_used() -> None:
    minor, rate = pricing.charge(Money(100_000, "USD"), "JPY", rates(), NOW)
    assert rate is not None
    assert rate.value == Decimal("152.616")  # 80.1234 / 0.525
    assert minor == round(1000 * rate.value)


def test_rate_has_at_most_twelve_digits() -> None:
    rate = rates().rate("RUB", "USD", NOW)
    assert len(rate.value.as_tuple().digits) <= 12


def test_stale_rate_is_refused_and_names_its_time() -> None:
    old = NOW - timedelta(hours=97)
    with pytest.raises(errors.RateStale) as refused:
        rates(old).rate("USD", "RUB", NOW)
    assert refused.value.time == old


def test_static_rates_do_not_go_stale() -> None:
    old = NOW - timedelta(days=400)
    assert rates(old, expires=False).rate("USD", "RUB", NOW).as_of == old


@pytest.mark.parametrize("pair", [("USD", "GBP"), ("GBP", "RUB")])
def test_unquoted_currency_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(errors.RateUnavailable):
        rates().rate(*pair, NOW)


def test_no_sheet_is_no_rate() -> None:
    with pytest.raises(errors.RateUnavailable):
        Rates(None, timedelta(hours=1)).rate("USD", "RUB", NOW)


def test_price_that_rounds_to_nothing_is_refused() -> None:
    with pytest.raises(errors.ChargeTooSmall):
        pricing.charge(Money(1, "RUB"), "USD", rates(), NOW)
