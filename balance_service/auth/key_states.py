"""The life of a signing key: published, signing, retired, removed.

A key is published before it signs, so that whoever keeps the key set has it by then. It stops when
the next one begins, and verifies the tokens that it signed until the last of them has expired.
"""

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from balance_service.repositories.signing_keys import SigningKey

# The longest life that an access token can be given, a day, and what clocks may differ by. It does
# not follow the settings: those of the worker that signed may have been others.
VERIFIES_FOR = timedelta(days=1, minutes=5)


class State(enum.StrEnum):
    """What a key is good for."""

    PUBLISHED = "published"
    SIGNING = "signing"
    RETIRED = "retired"
    REMOVED = "removed"


class Life(NamedTuple):
    """A key's state, and when that ends.

    Args:
        state: What it is good for.
        until: When the next state begins; None if that is not known yet.
    """

    state: State
    until: datetime | None


def lives(keys: Sequence[SigningKey], now: datetime) -> list[Life]:
    """The state of each of the keys in use.

    Args:
        keys: Those that the service's secret unseals.
        now: Postgres's time.
    """
    successors = sorted((key for key in keys if key.stops_at is None), key=_order)
    begins = {key.key_id: later.signs_at for key, later in pairwise(successors)}
    return [_life(key, key.stops_at or begins.get(key.key_id), now) for key in keys]


def _order(key: SigningKey) -> tuple[datetime, str]:
    return key.signs_at, key.key_id


def _life(key: SigningKey, stops_at: datetime | None, now: datetime) -> Life:
    if stops_at is not None and stops_at <= now:
        # One that was stopped before it began has signed nothing.
        verifies_until = stops_at + VERIFIES_FOR if key.signs_at < stops_at else stops_at
        if verifies_until <= now:
            return Life(State.REMOVED, None)
        return Life(State.RETIRED, verifies_until)
    if now < key.signs_at:
        return Life(State.PUBLISHED, key.signs_at)
    return Life(State.SIGNING, stops_at)
