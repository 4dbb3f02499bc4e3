"""Holds what clients read of an account to its statement and to their history."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from rehearsals.operation import Operation

if TYPE_CHECKING:
    from rehearsals.checker import Entry

INFINITY = float("inf")


def check_reads(
    account: str, operations: Sequence[Operation], entries: Sequence["Entry"], *, divided: bool
) -> Iterator[str]:
    """Finds reads that their intervals do not allow, or that go back.

    Args:
        account: The account.
        operations: Those that touch it.
        entries: Its statement.
        divided: Whether the statement shows what was received a while later than the balance does.
    """
    by_request = {entry.request_id: entry for entry in entries}
    placed = [(o, by_request[o.request_id]) for o in operations if o.request_id in by_request]
    asked = {operation.request_id for operation, _ in placed}
    unasked = [entry for entry in entries if entry.request_id not in asked]
    reads = sorted((o for o in operations if o.is_read and o.outcome == "ok"), key=_returned)
    # What is taken has its number at once.
    sure = [pair for pair in placed if not divided or pair[1].amount_minor < 0]
    base = max((entry.sequence for entry in unasked), default=0)
    floor = Steps(sorted((o.returned, e.sequence) for o, e in sure if o.returned < INFINITY))
    ceiling = Steps(sorted((o.invoked, e.sequence) for o, e in placed))
    balances = [0, *(entry.balance_after_minor for entry in entries)]
    bounds = _bounds(placed, unasked)
    seen = Steps([])
    for read in reads:
        low = max(floor.before(read.invoked), 0 if divided else base)
        high = max(ceiling.before(read.returned), base)
        value = int(read.answer)
        if read.kind == "read":
            if not low <= value <= high:
                yield f"{account}: read {value}, allowed {low} to {high}: {read}"
            if value < seen.before(read.invoked):
                yield f"{account}: a read went back in time: {read}"
            seen.add(read.returned, value)
        elif divided:
            least, most = bounds(read)
            if not least <= value <= most:
                yield f"{account}: read the balance {value}, allowed {least} to {most}: {read}"
        elif value not in balances[low : high + 1]:
            yield f"{account}: read the balance {value}, which never was: {read}"


def _bounds(
    placed: Sequence[tuple[Operation, "Entry"]], unasked: Sequence["Entry"]
) -> Callable[[Operation], tuple[int, int]]:
    """The least and the greatest balance that a read may have seen.

    It has all that was acknowledged before it was asked for, and perhaps some of what was asked for
    before it was answered, in whichever order.
    """
    came = [(o, max(e.amount_minor, 0)) for o, e in placed]
    left = [(o, min(e.amount_minor, 0)) for o, e in placed]
    came_by, left_by = (_sum((o.returned, minor) for o, minor in some) for some in (came, left))
    may_come, may_leave = (_sum((o.invoked, minor) for o, minor in some) for some in (came, left))
    least = sum(min(entry.amount_minor, 0) for entry in unasked)
    most = sum(max(entry.amount_minor, 0) for entry in unasked)
    return lambda read: (
        least + came_by(read.invoked) + may_leave(read.returned),
        most + left_by(read.invoked) + may_come(read.returned),
    )


def _sum(points: Iterable[tuple[float, int]]) -> Callable[[float], int]:
    """The sum of all points before a moment."""
    ordered = sorted(points)
    times = [time for time, _ in ordered]
    sums = [0, *accumulate(value for _, value in ordered)]
    return lambda time: sums[bisect_right(times, time)]


def _returned(operation: Operation) -> float:
    return operation.returned


class Steps:
    """The greatest value of all points before a moment."""

    def __init__(self, points: Sequence[tuple[float, int]]) -> None:
        self._times: list[float] = []
        self._values: list[int] = []
        for time, value in points:
            self.add(time, value)

    def add(self, time: float, value: int) -> None:
        """Adds a point, not earlier than the last."""
        self._times.append(time)
        self._values.append(max(value, self._values[-1] if self._values else 0))

    def before(self, time: float) -> int:
        place = bisect_right(self._times, time)
        return self._values[place - 1] if place else 0
