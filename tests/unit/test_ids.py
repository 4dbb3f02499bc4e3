"""Identifiers."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain import ids

SCOPES = st.text(max_size=50)


@given(scope=SCOPES, request_id=st.uuids())
def test_a_request_id_always_stands_for_the_same_id(scope: str, request_id: uuid.UUID) -> None:
    assert ids.derived_id(scope, request_id) == ids.derived_id(scope, request_id)


@given(request_id=st.uuids(), other=st.uuids(), scope=SCOPES, other_scope=SCOPES)
def test_other_request_or_scope_gives_another_id(
    request_id: uuid.UUID, other: uuid.UUID, scope: str, other_scope: str
) -> None:
    same = (scope, request_id) == (other_scope, other)
    assert (ids.derived_id(scope, request_id) == ids.derived_id(other_scope, other)) == same


@given(st.uuids(version=4))
def test_random_request_id_gives_a_version_8_uuid(request_id: uuid.UUID) -> None:
    derived = ids.derived_id("user:1", request_id)
    assert (derived.version, derived.variant) == (8, uuid.RFC_4122)


def test_time_ordered_request_ids_give_time_ordered_ids() -> None:
    made = [uuid.UUID(int=(ms << 80) | (7 << 76) | (2 << 62)) for ms in range(1, 200)]
    derived = [ids.derived_id("user:1", request_id) for request_id in made]
    assert derived == sorted(derived)
    assert {(d.version, d.variant) for d in derived} == {(7, uuid.RFC_4122)}


def test_new_digits_are_those_of_a_time_ordered_id() -> None:
    made = [ids.new_hex() for _ in range(50)]
    assert all(digits == uuid.UUID(digits).hex for digits in made)
    assert {uuid.UUID(digits).version for digits in made} == {7}
    assert len(set(made)) == 50


def test_account_number_checks_itself() -> None:
    numbers = [str(ids.new_account_number()) for _ in range(200)]
    assert all(ids.is_account_number(number) for number in numbers)
    for number in numbers:
        for place in range(10):
            wrong = number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]
            assert not ids.is_account_number(wrong)


def test_account_number_follows_luhn() -> None:
    # ISO/IEC 7812-1's usual example, 7992739871 with check digit 3, cut to our length.
    assert ids.is_account_number("1234567897")
    assert not ids.is_account_number("1234567890")
    assert not ids.is_account_number("0000000000")
    assert not ids.is_account_number("١٢٣٤٥٦٧٨٩٧")
