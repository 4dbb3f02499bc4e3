"""What movements may be found by, across accounts."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain import errors
from balance_service.domain.movements import MOVING_NOTHING, Movement

KEYS_MAX = 16
_KEY = re.compile(r"[a-z0-9_.-]{1,40}", re.ASCII)


class ByReference(NamedTuple):
    """Movements that an outside system gave a reference.

    Args:
        reference: The outside system's id of a payment.
        source: The outside system; empty for any.
    """

    reference: str
    source: str


class ByLabel(NamedTuple):
    """Movements with a pair of metadata."""

    key: str
    value: str


class Place(NamedTuple):
    """The last movement of a page, after which the next one starts: newest first."""

    created_at: datetime
    movement_id: UUID


START = Place(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


class Label(NamedTuple):
    """A pair of a movement's metadata that it can be found by."""

    key: str
    value: str
    movement: Movement


def parse_keys(text: str) -> frozenset[str]:
    """Reads the keys of metadata that may be searched by, separated by commas.

    Raises:
        InvalidFields: One can be no key, or there are too many.
    """
    keys = frozenset(filter(None, map(str.strip, text.split(","))))
    if len(keys) > KEYS_MAX or not all(map(_KEY.fullmatch, keys)):
        rule = f'must be at most {KEYS_MAX} keys of a-z, 0-9, "_", "." and "-", with commas between'
        raise errors.invalid("searchable_metadata", rule)
    return keys


def labels(movements: Iterable[Movement], keys: frozenset[str]) -> list[Label]:
    """What some movements can be found by.

    Args:
        movements: Any; most have no metadata.
        keys: Those that may be searched by.
    """
    return [
        Label(key, value, movement)
        for movement in movements
        if movement.metadata and movement.kind not in MOVING_NOTHING
        for key, value in movement.metadata.items()
        if key in keys
    ]
