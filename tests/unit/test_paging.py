"""Orders, directions and positions of lists."""

from uuid import UUID

import pytest

from balance_service.domain.paging import Direction, Filter, Order, Position


@pytest.mark.parametrize(
    ("text", "by_date", "descending"),
    [
        ("date", True, False),
        ("date desc", True, True),
        ("amount", False, False),
        ("amount desc", False, True),
    ],
)
def test_order_is_what_its_text_says(text: str, by_date: bool, descending: bool) -> None:
    order = Order(text)
    assert (order.by_date, order.descending) == (by_date, descending)


def test_orders_are_those_of_the_contract() -> None:
    assert set(Order) == {"date", "date desc", "amount", "amount desc"}
    with pytest.raises(ValueError, match="name"):
        Order("name")


def test_direction_is_the_sign_of_an_amount() -> None:
    assert (-250 * Direction.OUT, 250 * Direction.IN) == (250, 250)


def test_filter_that_says_nothing_limits_nothing() -> None:
    assert all(getattr(Filter(), name) is None for name in Filter.__dataclass_fields__)


def test_first_page_starts_at_the_ends() -> None:
    position = Position({UUID(int=1): 7})
    assert (position.after, position.passed, position.after_amount) == ({}, 0, None)
