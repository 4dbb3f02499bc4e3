"""How fresh a caller wants an answer: two headers, and the positions that others of them bring.

A position is a place in the primary's log. It is sealed, for two of them would tell how much the
service does.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from balance_service.calls.call import Call
from balance_service.domain import errors

MAX_STALENESS = "balance-max-staleness"
AT_LEAST = "balance-at-least"
READ_FROM = "balance-read-from"
AS_OF = "balance-as-of"
POSITION = "balance-position"

STALENESS_MAX_SECONDS = 3600
# What one call may have seen before; each is looked up.
SEEN_MAX = 10
_UUID_LENGTH = 36
_SECONDS = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,6})?)s", re.ASCII)
# Of those whose callers come back soon.
_POSITIONS_KEPT = 256

Seal = Callable[[bytes], bytes]
# Raises ValueError of what was not sealed here.
Unseal = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Freshness:
    """What a caller asks for.

    Args:
        max_staleness_seconds: How old the answer may be; None for what only the primary has.
        movement_ids: Movements that it must show.
        position: In the log, in bytes: what lies before it must be shown.
        over: Whether the answer is of the last moment that is over, and not of the present.
    """

    max_staleness_seconds: float | None
    movement_ids: frozenset[UUID]
    position: int
    over: bool = False

    @property
    def names_seen(self) -> bool:
        """Whether there is anything that the answer must show."""
        return bool(self.movement_ids or self.position)


class Positions:
    """Seals positions in the log, and reads them.

    Args:
        seal: Encrypts and authenticates.
        unseal: Its reverse; raises ValueError of what was not sealed so.
    """

    def __init__(self, seal: Seal, unseal: Unseal) -> None:
        self._unseal = unseal

        @functools.lru_cache(_POSITIONS_KEPT)
        def write(position: int) -> str:
            # Without the padding, which a header could lose.
            return seal(position.to_bytes(8, "big")).decode().rstrip("=")

        self.write = write

    def read(self, text: str) -> int:
        """The position; raises ValueError of what was not written here."""
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return int.from_bytes(self._unseal(padded), "big")


def is_asked(call: Call) -> bool:
    """Whether a call says anything of how fresh its answer is to be."""
    return call.max_staleness is not None or call.at_least is not None


def read(call: Call, positions: Positions) -> Freshness:
    """What a call asks for.

    Raises:
        InvalidFields: A header cannot be understood.
    """
    staleness, refused = None, list[errors.Violation]()
    if call.max_staleness is not None:
        found = _SECONDS.fullmatch(call.max_staleness)
        staleness = float(found[1]) if found else None
        if staleness is None or staleness > STALENESS_MAX_SECONDS:
            rule = f'must be seconds, at most {STALENESS_MAX_SECONDS}, such as "5s" or "0.5s"'
            refused.append(errors.Violation(MAX_STALENESS, rule))
    seen = [text.strip() for text in (call.at_least or "").split(",") if text.strip()]
    movement_ids, position = set[UUID](), 0
    try:
        if len(seen) > SEEN_MAX:
            raise ValueError
        for text in seen:
            if len(text) == _UUID_LENGTH:
                movement_ids.add(UUID(text))
            else:
                position = max(position, positions.read(text))
    except ValueError:
        rule = f"must be at most {SEEN_MAX} ids of movements and values of {POSITION}"
        refused.append(errors.Violation(AT_LEAST, rule))
    if refused:
        raise errors.InvalidFields(tuple(refused))
    return Freshness(staleness, frozenset(movement_ids), position)
