"""Texts: what people write is taken, and what hides or misleads is not."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain.texts import fault

WRITTEN = [
    "Зарплата за март",
    "two\nlines\tand a tab",
    "naïve, decomposed: nai\u0308ve",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: "I want"
    "\u0915\u094d\u200d\u0937",  # Hindi: a half letter, kept apart
    "\u0d28\u0d4d\u200d",  # Malayalam: a letter that ends a word
    "\u06dd \u0600 12",
    "שלום, مرحبا",
    "日本語",
    "👨\u200d👩\u200d👧",
    "👩🏽\u200d⚕\ufe0f",
    "❤\ufe0f\u200d🔥",
    "🏳\ufe0f\u200d🌈",
    "1\ufe0f\u20e3",
    "☎\ufe0e and ℹ\ufe0f",
    "🇷🇸",
]
HIDDEN = [
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2060, 0x2070)),
    *"\u200b\u200e\u200f\u061c\ufeff\u00ad\u034f\u115f\u180e\u2028\u2029\u2800\u3164\uffa0\ufff9",
    *"\x00\x07\x1b\x7f\x85\r\ue000\U000f0000\ufdd0\U0001ffff\U000e0041\U000e0101\u0378\ufe00",
    "\u200c",
    "\u200d",
    "\ufe0e",
    "\ufe0f",
    "1\ufe0f",
    "\ufe0f\u20e3",
    "👨\u200d",
    "😀\ufe0f\ufe0f",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_what_people_write_is_taken(text: str) -> None:
    assert fault(text) is None
    assert fault(f"a {text} z") is None


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_hides_or_misleads_is_refused(hidden: str) -> None:
    for text in (hidden, f"pay{hidden}pal", f"{hidden} x", f"x {hidden}"):
        assert fault(text), ascii(text)


@given(st.text(st.characters(categories=["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"]), min_size=1))
def test_no_unseen_category_stands_alone(text: str) -> None:
    if any(char not in "\n\t" for char in text):
        seen = [
            c for c in text if unicodedata.bidirectional(c) in ("AN", "AL") or c == "\U000110bd"
        ]
        assert fault(text) or seen or "\U000110cd" in text


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs", "Mn", "Mc"])))
def test_what_is_refused_is_not_told_apart_by_where_it_stands_but_joiners(text: str) -> None:
    """A text is refused for a character of its own, whatever else it has."""
    faults = [bool(fault(char)) for char in text]
    if not any(faults):
        assert fault(text) is None


def test_every_code_point_is_judged() -> None:
    for point in range(sys.maxunicode + 1):
        told = fault(chr(point))
        assert told is None or told.startswith("must not contain ")
