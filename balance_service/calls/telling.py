"""What is told of bad input: enough to mend it, and little, whatever was sent.

A refusal must cost its caller's bytes once and be answered with a few. Over gRPC it has to fit into
trailers, of which most clients take 8 KiB.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from balance_service.domain.errors import Violation

VIOLATIONS_MAX = 20
MESSAGE_BYTES_MAX = 400
FACT_BYTES_MAX = 160
_FIELD_BYTES_MAX = 100
_DESCRIPTION_BYTES_MAX = 240
# Of all violations together. A percent-encoded message and base64 come on top of it.
_BYTES_MAX = 2500
# The name under which ErrorInfo metadata say how many violations were left out.
MORE = "more_violations"


class Told(NamedTuple):
    """What is told of a request's violations.

    Args:
        violations: The first of them, cut.
        more: How many more there are.
    """

    violations: tuple[Violation, ...]
    more: int = 0

    @property
    def message(self) -> str:
        """All of it in a sentence for people."""
        text = "; ".join(f"{v.field} {v.description}" for v in self.violations)
        text = short(text, MESSAGE_BYTES_MAX)
        return f"{text}; and {self.more} more" if self.more else text

    @property
    def facts(self) -> dict[str, str]:
        """How many were left out, for ErrorInfo metadata."""
        return {MORE: str(self.more)} if self.more else {}


def told(violations: Iterable[Violation], more: int = 0) -> Told:
    """Keeps the first violations and counts the others, which are not held.

    Args:
        violations: What is wrong.
        more: How many more were left out before.
    """
    kept: list[Violation] = []
    left, room = 0, _BYTES_MAX
    for violation in violations:
        if left or len(kept) == VIOLATIONS_MAX:
            left += 1
            continue
        field = short(violation.field, _FIELD_BYTES_MAX)
        description = short(violation.description, _DESCRIPTION_BYTES_MAX)
        size = len(field.encode()) + len(description.encode())
        if size > room:
            left += 1
            continue
        room -= size
        kept.append(Violation(field, description))
    return Told(tuple(kept), left + more)


def facts(found: Mapping[str, str]) -> dict[str, str]:
    """A refusal's facts, each cut."""
    return {name: short(value, FACT_BYTES_MAX) for name, value in found.items()}


def short(text: str, bytes_max: int) -> str:
    """A text that can be shown anywhere: printable, and of at most so many bytes of UTF-8."""
    start = text[:bytes_max]
    if not start.isprintable():
        start = "".join(c if c.isprintable() else "?" for c in start)
    encoded = start.encode()
    if len(text) <= bytes_max and len(encoded) <= bytes_max:
        return start
    return encoded[: bytes_max - 3].decode(errors="ignore") + "..."
