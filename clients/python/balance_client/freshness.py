"""How fresh a read is to be, and what the service says of how fresh it is.

`ask` makes the metadata of a call, and `read` reads what `with_trailers` brings. What is promised
is in the service's documentation, "How fresh a read is".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

MAX_STALENESS = "balance-max-staleness"
AT_LEAST = "balance-at-least"
READ_FROM = "balance-read-from"
AS_OF = "balance-as-of"
POSITION = "balance-position"


@dataclass(frozen=True, slots=True)
class Freshness:
    """What the service says of an answer.

    Args:
        standby: Whether a standby answered.
        as_of: Up to when a standby's answer is complete, by the primary's clock; None from the
            primary, which leaves nothing out.
        position: Before which everything lies that the answer shows, for `at_least` of the next
            call; empty if `at_least` was not sent.
    """

    standby: bool
    as_of: datetime | None
    position: str


def ask(
    max_staleness: float | None = None, at_least: Iterable[str] | None = None
) -> tuple[tuple[str, str], ...]:
    """The metadata of a call whose answer may be stale, or has to show something.

    Args:
        max_staleness: How old it may be, in seconds; None for what only the primary has.
        at_least: Ids of movements, and positions of earlier answers, which it has to show. Without
            any, the answer's position is told all the same; None if nobody wants that.
    """
    stale = () if max_staleness is None else ((MAX_STALENESS, f"{max_staleness:.6f}s"),)
    return stale if at_least is None else (*stale, (AT_LEAST, ",".join(at_least)))


def read(trailers: Iterable[tuple[str, str | bytes]]) -> Freshness:
    """What trailing metadata say of how fresh an answer is."""
    told = {name: value for name, value in trailers if isinstance(value, str)}
    as_of = told.get(AS_OF)
    return Freshness(
        told.get(READ_FROM) == "standby",
        datetime.fromisoformat(as_of) if as_of else None,
        told.get(POSITION, ""),
    )
