"""Keeps refusals small: enough is told of bad input to mend it, however much was sent.

A refusal that echoes what it refuses would cost a caller's bytes again on the way back, and over
gRPC it has to fit into trailers, of which most clients take 8 KiB.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from balance_service.domain.errors import Violation

VIOLATIONS_MAX = 20
MESSAGE_BYTES_MAX = 400
FACT_BYTES_MAX = 160
_FIELD_BYTES_MAX = 100
_DESCRIPTION_BYTES_MAX = 240
# Of all violations together. In trailers the message is percent-encoded and the rest base64, which
# takes more.
_BYTES_MAX = 2500
# The name under which ErrorInfo metadata say how many violations were left out.
MORE = "more_violations"


class Shortened(NamedTuple):
    """The violations of a request that are told.

    Args:
        violations: The first of them, each cut to a size.
        more: How many more there are.
    """

    violations: tuple[Violation, ...]
    more: int = 0

    @property
    def message(self) -> str:
        """All of them in a sentence for people."""
        text = "; ".join(f"{v.field} {v.description}" for v in self.violations)
        text = shorten(text, MESSAGE_BYTES_MAX)
        return f"{text}; and {self.more} more" if self.more else text

    @property
    def facts(self) -> dict[str, str]:
        """How many were left out, for ErrorInfo metadata."""
        return {MORE: str(self.more)} if self.more else {}


def shorten_violations(violations: Iterable[Violation], more: int = 0) -> Shortened:
    """Keeps the first violations, and counts the others without keeping them in memory.

    Args:
        violations: What is wrong.
        more: How many more were left out before.
    """
    shown: list[Violation] = []
    left_out, room = 0, _BYTES_MAX
    for violation in violations:
        if left_out or len(shown) == VIOLATIONS_MAX:
            left_out += 1
            continue
        field = shorten(violation.field, _FIELD_BYTES_MAX)
        description = shorten(violation.description, _DESCRIPTION_BYTES_MAX)
        size = len(field.encode()) + len(description.encode())
        if size > room:
            left_out += 1
            continue
        room -= size
        shown.append(Violation(field, description))
    return Shortened(tuple(shown), left_out + more)


def shorten_facts(facts: Mapping[str, str]) -> dict[str, str]:
    """A refusal's facts, each cut to a size."""
    return {name: shorten(value, FACT_BYTES_MAX) for name, value in facts.items()}


def shorten(text: str, bytes_max: int) -> str:
    """Makes a text safe to show anywhere: printable, and of at most so many bytes of UTF-8."""
    start = text[:bytes_max]
    if not start.isprintable():
        start = "".join(c if c.isprintable() else "?" for c in start)
    encoded = start.encode()
    if len(text) <= bytes_max and len(encoded) <= bytes_max:
        return start
    return encoded[: bytes_max - 3].decode(errors="ignore") + "..."
