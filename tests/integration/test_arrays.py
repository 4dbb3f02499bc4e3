"""Columns in binary form: what Postgres reads of them is what was put in."""

from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balance_service.repositories import arrays

# Postgres's text holds anything but NUL, and its timestamps end sooner than Python's begin late.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
TIMES = st.datetimes(timezones=st.just(UTC))
BIGINTS = st.integers(-(2**63), 2**63 - 1)

rarely = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(database_url: str, array: arrays.Array, kind: str) -> Sequence[object]:
    with psycopg.connect(database_url) as conn:
        conn.execute("SET timezone = 'UTC'")
        row = conn.execute(f"SELECT %s::{kind}[]".encode(), (array,)).fetchone()
    assert row is not None
    found: Sequence[object] = row[0]
    return found


@rarely
@given(st.lists(st.none() | st.uuids()))
def test_ids_survive(database_url: str, values: list[object]) -> None:
    assert read(database_url, arrays.uuids(values), "uuid") == values  # type: ignore[arg-type]


@rarely
@given(st.lists(st.none() | BIGINTS))
def test_bigints_survive(database_url: str, values: list[int | None]) -> None:
    assert read(database_url, arrays.bigints(values), "bigint") == values


@rarely
@given(st.lists(st.integers(-(2**15), 2**15 - 1)))
def test_smallints_survive(database_url: str, values: list[int]) -> None:
    assert read(database_url, arrays.smallints(values), "smallint") == values


@rarely
@given(st.lists(st.none() | TEXTS))
def test_texts_survive(database_url: str, values: list[str | None]) -> None:
    assert read(database_url, arrays.texts(values), "text") == values


@rarely
@given(st.lists(st.none() | TIMES))
def test_times_survive(database_url: str, values: list[datetime | None]) -> None:
    assert read(database_url, arrays.times(values), "timestamptz") == values


@rarely
@given(st.lists(st.dictionaries(TEXTS, TEXTS, max_size=3)))
def test_objects_survive_and_empty_ones_are_null(
    database_url: str, values: list[dict[str, str]]
) -> None:
    expected = [value or None for value in values]
    assert read(database_url, arrays.objects(values), "jsonb") == expected
