"""The chart of a balance: a line in steps, as the path of an SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from google.protobuf.timestamp_pb2 import Timestamp

from balance_service._generated.balance.v1 import account_pb2

WIDTH, HEIGHT = 600, 120
# Room for the line's own width at the edges.
MARGIN = 4


@dataclass(frozen=True)
class Chart:
    """A balance over a period.

    Args:
        path: The line, in a box of WIDTH by HEIGHT.
        zero: How far down nothing lies; None where that is outside.
        lowest: The lowest balance, a decimal string.
        highest: The highest.
        first: When the period begins.
        last: When it ends.
    """

    path: str
    zero: Decimal | None
    lowest: str
    highest: str
    first: Timestamp
    last: Timestamp
    width: int = WIDTH
    height: int = HEIGHT


def draw(entries: Sequence[account_pb2.Entry]) -> Chart | None:
    """Draws the balance after each entry; None for fewer than two, which have no course.

    Args:
        entries: All of a period, oldest first.
    """
    if len(entries) < 2:
        return None
    balances = [Decimal(entry.balance_after) for entry in entries]
    low, high = min(balances), max(balances)
    first, last = entries[0].date, entries[-1].date
    moments = [entry.date.ToNanoseconds() for entry in entries]
    begin, span = moments[0], max(moments[-1] - moments[0], 1)

    def across(moment: int) -> Decimal:
        return _tenths(MARGIN + Decimal(moment - begin) * (WIDTH - 2 * MARGIN) / span)

    def down(balance: Decimal) -> Decimal:
        part = (high - balance) / (high - low) if high > low else Decimal("0.5")
        return _tenths(MARGIN + part * (HEIGHT - 2 * MARGIN))

    steps = [f"M{across(moments[0])} {down(balances[0])}"]
    for moment, balance in zip(moments[1:], balances[1:], strict=True):
        steps.append(f"H{across(moment)}V{down(balance)}")
    return Chart(
        path="".join(steps),
        zero=down(Decimal()) if low < 0 < high else None,
        lowest=str(low),
        highest=str(high),
        first=first,
        last=last,
    )


def _tenths(length: Decimal) -> Decimal:
    return length.quantize(Decimal("0.1"))
