"""Accept-Language, as callers send it and as they should not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.calls import languages


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("RU-ru", "ru"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("en,ru", "en"),
        ("ru;q=0.5, en;q=0.6", "en"),
        ("de, ru;q=0.1", "ru"),
        ("de", "en"),
        ("ru;q=0", "en"),
        # A preference that cannot be read is none.
        ("ru;q=high", "en"),
        ("ru;x=1", "en"),
        ("ru;q=", "en"),
        # What lies beyond 200 characters is not read.
        ("de," * 67 + "ru", "en"),
    ],
)
def test_preferred_language(header: str, language: str) -> None:
    assert languages.choose(header) == language


@given(st.text())
def test_any_header_leads_to_a_language(header: str) -> None:
    assert languages.choose(header) in languages.LANGUAGES
