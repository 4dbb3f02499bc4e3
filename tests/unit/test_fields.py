"""Reading of requests: all that is wrong is told at once, and nothing unread is used."""

import pytest

from balance_service.domain import errors
from balance_service.messages import fields


def test_checks_tell_all_that_is_wrong_at_once() -> None:
    checks = fields.Checks()
    assert checks(fields.page_size, 7) == 7
    checks(fields.page_size, -1)
    checks(fields.amount, "1e3", "XXX")
    checks(fields.skip, -1)
    assert checks.failed
    with pytest.raises(errors.InvalidFields) as refused:
        checks.finish()
    named = [violation.field for violation in refused.value.violations]
    assert named == ["page_size", "currency", "amount", "skip"]


def test_checks_without_violations_finish() -> None:
    checks = fields.Checks()
    assert checks(fields.amount, "100.50", "").minor == 10_050
    assert not checks.failed
    checks.finish()


def test_what_was_not_read_cannot_be_used() -> None:
    checks = fields.Checks()
    size = checks(fields.page_size, -1)
    amount = checks(fields.amount, "", "RUB")
    put_aside = (size, amount)
    with pytest.raises(AssertionError):
        bool(put_aside[0])
    with pytest.raises(AssertionError):
        _ = amount.minor
    with pytest.raises(AssertionError):
        _ = size == 1


@pytest.mark.parametrize(
    ("text", "code", "least"),
    [("1.00", "RUB", "1.00"), ("1", "JPY", "1"), ("1.000", "BHD", "1.000")],
)
def test_least_amount_is_in_whole_units(text: str, code: str, least: str) -> None:
    assert str(fields.amount(text, code, units_min=1)) == least
    with pytest.raises(errors.InvalidFields) as refused:
        fields.amount("0", code, units_min=1)
    (violation,) = refused.value.violations
    assert violation == errors.Violation("amount", f"must be at least {least} {code}")
