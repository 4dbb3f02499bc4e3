"""Texts that one person writes and another reads: nothing in them hides, or changes how the rest
is shown.

Unicode's general categories say most of it, and `Default_Ignorable_Code_Point` the rest (UTS #39,
UTS #55). Joiners and variation selectors cannot be seen either, yet Persian, the Indic scripts and
emoji are not spelled without them; they are allowed where such writing has them and nowhere else.
Texts are kept as they were sent and not normalised: two spellings of one letter are two texts.
"""

import unicodedata

# Controls, formats such as the bidirectional ones and tags, what is unassigned, private or half a
# character, and separators of lines that are no newline.
_REFUSED_CATEGORIES = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
_LINES = "\n\t"
# Arabic and other signs that are formats by category, and seen: they stand around numbers.
_SEEN = set("\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd") | set(
    map(chr, range(0x600, 0x606))
)
# Fillers, blanks and selectors that are letters, marks or symbols by category, and not seen.
_UNSEEN = (
    set("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
    | set(map(chr, range(0xFE00, 0xFE10)))
    | set(map(chr, range(0xE0100, 0xE01F0)))
)
_NON_JOINER, _JOINER, _TEXT_STYLE, _EMOJI_STYLE = "\u200c\u200d\ufe0e\ufe0f"
_KEYCAP, _KEYS = "\u20e3", set("0123456789#*")
# What may be shown as an emoji and is no symbol of its own (So) by category.
_MORE_EMOJI = set("\u203c\u2049\u2139\u2194\u25fd\u25fe\u3030")
_VIRAMA = 9  # The combining class of signs that join consonants, in every Indic script.


def fault(text: str) -> str | None:
    """What a text must not have and has, to follow a field's name; None if it is fine."""
    if text.isascii() and text.isprintable():
        return None
    for index, char in enumerate(text):
        if char in _LINES or _is_seen(char):
            continue
        if unicodedata.category(char) == "Cc":
            return "must not contain control characters"
        before, after = text[index - 1 : index], text[index + 1 : index + 2]
        if not _is_spelling(before, char, after):
            return f"must not contain U+{ord(char):04X} there, which is not seen or hides the rest"
    return None


def _is_seen(char: str) -> bool:
    if char in _SEEN:
        return True
    return char not in _UNSEEN and unicodedata.category(char) not in _REFUSED_CATEGORIES


def _is_spelling(before: str, char: str, after: str) -> bool:
    """Whether a character that is not seen is part of how its neighbours are written."""
    if char in (_NON_JOINER, _JOINER):
        if _VIRAMA in (_combining(before), _combining(after)):
            return True
        if _is_arabic(before) and _is_arabic(after):
            return True
        return char == _JOINER and _is_pictured(before) and _is_symbol(after)
    if char in (_TEXT_STYLE, _EMOJI_STYLE):
        return _is_symbol(before) or (before in _KEYS and after == _KEYCAP)
    return False


def _combining(char: str) -> int:
    return unicodedata.combining(char) if char else 0


def _is_arabic(char: str) -> bool:
    """Whether it is a letter of a script whose letters join."""
    return bool(char) and unicodedata.bidirectional(char) == "AL"


def _is_symbol(char: str) -> bool:
    """Whether it may be shown as an emoji."""
    return bool(char) and (unicodedata.category(char) == "So" or char in _MORE_EMOJI)


def _is_pictured(char: str) -> bool:
    """Whether it may be the end of an emoji: with its style, or with a colour of skin."""
    return _is_symbol(char) or char == _EMOJI_STYLE or "\U0001f3fb" <= char <= "\U0001f3ff"
