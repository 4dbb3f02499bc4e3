"""Named queries: where they start and end, and what they have in common."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from balance_service.repositories import queries

Load = Callable[[str], Mapping[str, str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load_text(text: str) -> Mapping[str, str]:
        (tmp_path / "module.sql").write_text(text, encoding="utf-8")
        return queries.load(str(tmp_path / "module.py"))

    return load_text


def test_queries_are_given_by_name_without_their_semicolons(load: Load) -> None:
    loaded = load("-- one --\n-- First.\nSELECT 1;\n\n-- two --\n-- Second.\nSELECT 2\n;\n")
    assert loaded == {"one": "-- First.\nSELECT 1", "two": "-- Second.\nSELECT 2"}


def test_fragment_is_included_where_it_is_named(load: Load) -> None:
    loaded = load(
        "-- one --\nSELECT\n    -- begin columns --\n    a,\n    b\n    -- end columns --\n"
        "FROM t;\n"
        "-- two --\nSELECT\n    -- include columns --\nFROM u;\n"
    )
    assert loaded["two"] == "SELECT\n    a,\n    b\nFROM u"


def test_fragment_may_contain_another_and_stand_after_its_use(load: Load) -> None:
    loaded = load(
        "-- one --\nSELECT\n    -- include few --\nFROM t;\n"
        "-- two --\nSELECT\n    -- begin many --\n    a,\n    -- begin few --\n    b\n"
        "    -- end few --\n    -- end many --\nFROM u;\n"
        "-- three --\nSELECT\n    -- include many --\nFROM v;\n"
    )
    assert loaded["one"] == "SELECT\n    b\nFROM t"
    lines = [line.strip() for line in loaded["three"].splitlines() if "--" not in line]
    assert lines == ["SELECT", "a,", "b", "FROM v"]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1;\n-- one --\nSELECT 1;",
        "-- one --\nSELECT 1;\n-- one --\nSELECT 2;",
        "-- one --\nSELECT 1",
        "-- one --\nSELECT\n    -- include columns --\nFROM t;",
    ],
    ids=["before the first name", "name used twice", "no semicolon", "unknown fragment"],
)
def test_malformed_file_is_refused(load: Load, text: str) -> None:
    with pytest.raises(ValueError, match=r"^module\.sql: "):
        load(text)
