"""Splits: parts add up exactly, each is next to its exact share, and the remainder goes by rule."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain import splits
from balance_service.domain.money import MINOR_MAX
from balance_service.domain.splits import Part

totals = st.integers(1, 10**6) | st.integers(1, MINOR_MAX)
weights = st.lists(st.integers(1, 5) | st.integers(1, 10**6), min_size=1, max_size=50)


@given(total=totals, weights=weights)
def test_parts_by_weight_add_up_each_within_a_unit_of_its_share(
    total: int, weights: list[int]
) -> None:
    parts = splits.by_weights(total, weights)
    assert sum(part.minor for part in parts) == total
    for part, weight in zip(parts, weights, strict=True):
        exact = Fraction(total * weight, sum(weights))
        assert abs(part.minor - exact) < 1
        assert part.minor - part.remainder_minor == exact // 1


@given(total=totals, weights=weights)
def test_remainder_goes_to_those_who_lost_most_and_of_equals_to_the_earlier(
    total: int, weights: list[int]
) -> None:
    parts = splits.by_weights(total, weights)
    lost = [Fraction(total * weight, sum(weights)) % 1 for weight in weights]
    order = [(-loss, place) for place, loss in enumerate(lost)]
    favoured = [place for place, part in enumerate(parts) if part.remainder_minor]
    assert sum(part.remainder_minor for part in parts) == sum(lost)
    assert sorted(order[place] for place in favoured) == sorted(order)[: len(favoured)]


@given(total=totals, weights=weights, factor=st.integers(1, 9))
def test_only_the_proportions_of_weights_count(total: int, weights: list[int], factor: int) -> None:
    scaled = [weight * factor for weight in weights]
    assert splits.by_weights(total, weights) == splits.by_weights(total, scaled)


@pytest.mark.parametrize(
    ("total", "weights", "minors"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (200, [1, 1, 1], [67, 67, 66]),
        (100, [1, 2], [33, 67]),
        (1, [1, 1], [1, 0]),
        (10, [6, 3, 1], [6, 3, 1]),
    ],
)
def test_split_by_example(total: int, weights: list[int], minors: list[int]) -> None:
    assert [part.minor for part in splits.by_weights(total, weights)] == minors


@given(amounts=st.lists(st.integers(1, 10**6), min_size=1, max_size=20), data=st.data())
def test_rest_is_what_the_amounts_leave(amounts: list[int], data: st.DataObject) -> None:
    assert splits.by_amounts(sum(amounts), amounts) == [Part(minor) for minor in amounts]
    place = data.draw(st.integers(0, len(amounts) - 1))
    given_: list[int | None] = [*amounts[:place], None, *amounts[place + 1 :]]
    assert splits.by_amounts(sum(amounts), given_) == [Part(minor) for minor in amounts]
