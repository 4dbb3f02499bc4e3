"""The Python client's values: amounts to the wire and back, and what is none."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from balance_client import money, to_decimal, v1
from balance_client.values import to_timestamp, to_wire


@pytest.mark.parametrize(
    ("amount", "wire"),
    [
        (Decimal("100.50"), "100.50"),
        (Decimal("1E+2"), "100"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal(-1), "-1"),
        (7, "7"),
        ("0.10", "0.10"),
        ("", ""),
    ],
)
def test_amount_is_sent_with_the_digits_it_was_given(
    amount: Decimal | int | str, wire: str
) -> None:
    assert to_wire(amount) == wire


def test_float_is_refused_with_what_to_write_instead() -> None:
    with pytest.raises(TypeError, match=r"not a float: write Decimal\('0\.1'\)"):
        to_wire(0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("amount", [True, None, b"1"])
def test_what_is_no_amount_is_refused(amount: object) -> None:
    with pytest.raises(TypeError, match=f"not a {type(amount).__name__}$"):
        to_wire(amount)  # type: ignore[arg-type]


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_amount_that_is_not_finite_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        to_wire(Decimal(amount))


def test_amount_of_a_message_is_exact() -> None:
    found = money(v1.Deposit(amount="90071992547409.93", currency="RUB"))
    assert found == (Decimal("90071992547409.93"), "RUB")
    assert str(found) == "90071992547409.93 RUB"
    assert to_decimal("") == 0


def test_time_needs_a_zone() -> None:
    assert to_timestamp(None) is None
    stamp = to_timestamp(datetime(2026, 11, 28, tzinfo=UTC))
    assert stamp is not None
    assert stamp.ToJsonString() == "2026-11-28T00:00:00Z"
    with pytest.raises(ValueError, match="time zone"):
        to_timestamp(datetime(2026, 11, 28))  # noqa: DTZ001 - the point
