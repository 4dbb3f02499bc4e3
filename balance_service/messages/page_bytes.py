"""Pages are bounded in bytes as well as in rows: what others wrote must not make one unreadable.

A sender chooses the texts of a movement that the receiver lists. Clients of gRPC take 4 MiB by
default, and turning much more into JSON would hold up the other calls of a worker.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from balance_service.domain import errors

# Of a hundred rows with the longest texts there are, this is more than they take.
PAGE_BYTES_MAX = 3 << 19
# Besides its texts, a row has ids, amounts and times.
_ROW_BYTES = 500

T = TypeVar("T")


def fit(rows: Sequence[T], texts: Callable[[T], Iterable[str]]) -> Sequence[T]:
    """The first rows of a page that are not too many bytes together; at least one.

    A list may return fewer rows than it was asked for, with a page token (AIP-158).

    Args:
        rows: As many as the caller asked for, or as there are.
        texts: The texts of a row that callers wrote.
    """
    room = PAGE_BYTES_MAX
    for count, row in enumerate(rows):
        room -= _ROW_BYTES + sum(len(text.encode()) for text in texts(row))
        if room < 0 and count:
            return rows[:count]
    return rows


def too_large(rows_fitting: int) -> errors.InvalidFields:
    """Refuses a page that would have to be cut, where no token could say what it lacks."""
    rule = f"must be at most {rows_fitting} here: what is listed has long texts"
    return errors.invalid("page_size", rule)
