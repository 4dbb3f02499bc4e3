"""The console's texts, in every language that it speaks: one catalogue, `texts.toml`."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

CATALOGUE = Path(__file__).with_name("texts.toml")


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """The texts by key, such as `find.title`, and language."""
    groups = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {f"{group}.{key}": told for group, keys in groups.items() for key, told in keys.items()}


def text(key: str, language: str, **values: object) -> str:
    """A text, its places filled.

    Raises:
        KeyError: There is no such text, or a place has no value.
    """
    return catalogue()[key][language].format(**values)


def knows(key: str) -> bool:
    """Whether there is a text of a key."""
    return key in catalogue()
