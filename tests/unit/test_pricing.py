"""Rates and what they make of a price."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain import errors, pricing
from balance_service.domain.money import Money
from balance_service.domain.pricing import Quotation, Rates, RateSheet

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
QUOTATIONS = {
    "USD": Quotation(Decimal(1), Decimal("80.1234")),
    "JPY": Quotation(Decimal(100), Decimal("52.50")),
}


def stale_at(as_of: datetime) -> datetime:
    return as_of + timedelta(hours=96)


NOTHING = Rates((), stale_at)


def rates(as_of: datetime = NOW, *, expires: bool = True) -> Rates:
    return Rates((RateSheet("cbr", "RUB", as_of, QUOTATIONS, expires),), stale_at)


def test_price_in_the_accounts_currency_needs_no_rate() -> None:
    assert pricing.charge(Money(500, "RUB"), "RUB", NOTHING, NOW) == (500, None)


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
        NOTHING.rate("USD", "RUB", NOW)


def test_price_that_rounds_to_nothing_is_refused() -> None:
    with pytest.raises(errors.ChargeTooSmall):
        pricing.charge(Money(1, "RUB"), "USD", rates(), NOW)


def sheet(as_of: datetime, dollar: int) -> RateSheet:
    return RateSheet("cbr", "RUB", as_of, {"USD": Quotation(Decimal(1), Decimal(dollar))})


def test_sheet_of_tomorrow_is_not_charged_by_today() -> None:
    tomorrow = NOW + timedelta(hours=9)
    both = Rates((sheet(tomorrow, 90), sheet(NOW - timedelta(hours=15), 80)), stale_at)
    price = Money(100, "USD")
    assert pricing.charge(price, "RUB", both, NOW)[0] == 8000
    assert pricing.charge(price, "RUB", both, tomorrow - timedelta(microseconds=1))[0] == 8000
    assert pricing.charge(price, "RUB", both, tomorrow)[0] == 9000
    alone = Rates((sheet(tomorrow, 90),), stale_at)
    with pytest.raises(errors.RateUnavailable):
        pricing.charge(price, "RUB", alone, NOW)


moments = st.integers(-100, 100).map(lambda hours: NOW + timedelta(hours=hours))


@given(st.lists(moments, unique=True), moments)
def test_sheet_in_force_is_the_newest_whose_time_has_come(
    times: list[datetime], moment: datetime
) -> None:
    found = Rates(tuple(sheet(time, 80) for time in times), stale_at).in_force(moment)
    begun = [time for time in times if time <= moment]
    assert (found and found.as_of) == (max(begun) if begun else None)


def test_amount_is_shown_by_a_stale_rate_which_says_so() -> None:
    old = rates(NOW - timedelta(hours=96))
    shown = old.shown("USD", "RUB", NOW)
    assert shown == (("USD", "RUB", Decimal("80.1234"), "cbr", NOW - timedelta(hours=96)), True)
    fresh = rates(NOW - timedelta(hours=95)).shown("USD", "RUB", NOW)
    assert fresh is not None
    assert not fresh.stale
    with pytest.raises(errors.RateStale):
        pricing.charge(Money(100, "USD"), "RUB", old, NOW)


def test_amount_without_a_rate_is_not_shown() -> None:
    assert NOTHING.shown("USD", "RUB", NOW) is None
    assert rates().shown("USD", "GBP", NOW) is None
    assert rates().shown("USD", "RUB", NOW - timedelta(seconds=1)) is None
