"""Amounts on the wire and back."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain import errors, money

CURRENCIES = st.sampled_from(sorted(money.DECIMALS))


@given(minor=st.integers(1, money.MINOR_MAX), currency=CURRENCIES)
def test_amount_survives_formatting_and_parsing(minor: int, currency: str) -> None:
    text = money.format_minor(minor, currency)
    assert money.parse_amount(text, currency, "amount").minor == minor


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("100.50", "RUB", 10050),
        ("100", "RUB", 10000),
        ("0.01", "RUB", 1),
        ("100.5", "RUB", 10050),
        ("100", "JPY", 100),
        ("0.001", "KWD", 1),
        ("92233720368547758.07", "RUB", money.MINOR_MAX),
    ],
)
def test_amount_is_read_exactly(text: str, currency: str, minor: int) -> None:
    assert money.parse_amount(text, currency, "amount") == money.Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        *[
            (text, "RUB")
            for text in (
                "", "0", "0.00", "-5", "+5", "1.001", "1e3", "NaN", "Infinity", " 1", "1 ", "1,5",
                ".5", "5.", "01", "0x10", "1_000", "١٢", "92233720368547758.08", "9" * 20,
                "1" * 5000, "1\n", "\x00",
            )
        ],
        ("1.5", "JPY"),
        ("0.0001", "KWD"),
    ],
)  # fmt: skip
def test_amount_that_is_not_one_is_refused(text: str, currency: str) -> None:
    with pytest.raises(errors.InvalidFields) as refused:
        money.parse_amount(text, currency, "amount")
    assert [violation.field for violation in refused.value.violations] == ["amount"]


@pytest.mark.parametrize("code", ["rub", "RU", "XXX", "RUBB", "XAU", "р"])
def test_unknown_currency_is_refused(code: str) -> None:
    with pytest.raises(errors.InvalidFields):
        money.parse_currency(code, "currency")


def test_currency_is_rub_by_default() -> None:
    assert money.parse_currency("", "currency") == "RUB"


@pytest.mark.parametrize(
    ("minor", "currency", "target", "rate", "expected"),
    [
        (100, "USD", "RUB", "80.005", 8000),  # 80.005 roubles: a half, to even
        (100, "USD", "RUB", "80.015", 8002),
        (-100, "USD", "RUB", "80.005", -8000),
        (1999, "USD", "RUB", "80", 159920),
        (1, "JPY", "RUB", "0.525", 52),  # 52.5 kopecks: a half, to even
        (1000, "KWD", "JPY", "480.5", 480),
        (1, "RUB", "JPY", "1.9", 0),
    ],
)
def test_conversion_rounds_half_to_even(
    minor: int, currency: str, target: str, rate: str, expected: int
) -> None:
    assert money.convert_minor(minor, currency, target, Decimal(rate)) == expected


@given(
    minor=st.integers(-(10**15), 10**15),
    currency=CURRENCIES,
    target=CURRENCIES,
    rate=st.decimals("0.000001", "100000", allow_nan=False, places=6),
)
def test_conversion_agrees_with_decimal_arithmetic(
    minor: int, currency: str, target: str, rate: Decimal
) -> None:
    exact = Decimal(minor).scaleb(-money.DECIMALS[currency]) * rate
    step = Decimal(1).scaleb(-money.DECIMALS[target])
    rounded = exact.quantize(step, ROUND_HALF_EVEN, Context(prec=60))
    converted = money.convert_minor(minor, currency, target, rate)
    assert Decimal(converted).scaleb(-money.DECIMALS[target]) == rounded


def test_precisions_agree_with_iso_4217_where_it_matters() -> None:
    assert {money.DECIMALS[code] for code in ("RUB", "USD", "EUR", "CNY", "KZT")} == {2}
    assert {money.DECIMALS[code] for code in ("JPY", "KRW", "VND", "ISK", "CLP")} == {0}
    assert {money.DECIMALS[code] for code in ("KWD", "BHD", "OMR", "TND", "JOD")} == {3}


@pytest.mark.parametrize("code", ["JPY", "RUB", "BHD"])
@given(minor=st.integers(0, money.MINOR_MAX))
def test_whatever_a_currency_has_passes_the_check_without_one(code: str, minor: int) -> None:
    money.parse_number(money.format_minor(minor, code), "limit", zero=True)


@pytest.mark.parametrize(
    "text", ["", "-1", "1e3", "NaN", "1.0001", "0", "0.000", str(2**63), "9" * 40, "9" * 100, "٥"]
)
def test_what_no_currency_has_is_refused_without_one(text: str) -> None:
    with pytest.raises(errors.InvalidFields):
        money.parse_number(text, "amount")
