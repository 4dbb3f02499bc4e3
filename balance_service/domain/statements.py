"""Statements of accounts for a period: what adds up, and what may still enter."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from balance_service.domain.movements import Entry, Kind

# A movement's value date is at most 366 days from when it is asked for; booking follows at once.
VALUE_DATE_WITHIN = timedelta(days=367)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


class Basis(enum.IntEnum):
    """Which date of an entry decides whether it is in a period; the contract's numbers."""

    BOOKING_DATE = 1
    VALUE_DATE = 2


class Period(NamedTuple):
    """From when until when a statement tells.

    Args:
        start: When it begins.
        end: When it ends; that moment is not in it.
        basis: Which date of an entry decides.
    """

    start: datetime
    end: datetime
    basis: Basis

    @property
    def booked(self) -> tuple[datetime, datetime]:
        """When its entries were booked: from the one moment until before the other."""
        if self.basis is Basis.BOOKING_DATE:
            return self.start, self.end
        return _moved(self.start, -VALUE_DATE_WITHIN), _moved(self.end, VALUE_DATE_WITHIN)

    def is_final(self, now: datetime) -> bool:
        """Whether nothing can enter it any more, of a period that is over."""
        return self.booked[1] <= now


class Place(NamedTuple):
    """A place between two entries of an account.

    Args:
        sequence: The number of the entry before it; 0 for the account's beginning.
        balance_minor: The balance there, in minor units.
        archived: Whether it stands for an earlier one, which lies among archived entries.
    """

    sequence: int
    balance_minor: int
    archived: bool = False


class Sum(NamedTuple):
    """What entries of a kind did, in minor units.

    Args:
        kind: What moved the money.
        entries: How many there are.
        in_minor: What came in.
        out_minor: What went out, without a sign.
        first: The lowest of their sequences.
        last: The highest.
    """

    kind: Kind
    entries: int
    in_minor: int
    out_minor: int
    first: int
    last: int

    @property
    def net_minor(self) -> int:
        return self.in_minor - self.out_minor


class StatementFalse(Exception):  # noqa: N818 - what it says is a fault of the journal
    """A statement does not add up: the entries of an account contradict its balances."""


@dataclass(frozen=True, slots=True)
class Statement:
    """An account's statement for a period.

    Args:
        account_id: The account.
        currency: ISO 4217 code of its amounts.
        period: What it tells of.
        opening_minor: The balance at the period's beginning.
        closing_minor: The balance at its end, read apart from the sums.
        sums: What moved between them, by kind, in the order of the kinds' numbers.
        final: Whether nothing can enter the period any more.
    """

    account_id: UUID
    currency: str
    period: Period
    opening_minor: int
    closing_minor: int
    sums: Sequence[Sum]
    final: bool

    @property
    def in_minor(self) -> int:
        return sum(one.in_minor for one in self.sums)

    @property
    def out_minor(self) -> int:
        return sum(one.out_minor for one in self.sums)

    @property
    def count(self) -> int:
        return sum(one.entries for one in self.sums)

    @property
    def first(self) -> int:
        """The lowest sequence of its entries; 0 without any."""
        return min((one.first for one in self.sums), default=0)

    @property
    def last(self) -> int:
        """The highest sequence of its entries; 0 without any."""
        return max((one.last for one in self.sums), default=0)

    def check(self) -> None:
        """Raises StatementFalse unless the sums lead from the one balance to the other."""
        gapless = self.last - self.first + 1 if self.count else 0
        whole = self.period.basis is Basis.VALUE_DATE or self.count == gapless
        if self.opening_minor + self.in_minor - self.out_minor != self.closing_minor or not whole:
            raise StatementFalse(f"account {self.account_id}, {self.period}")


class RunningSums:
    """The sums of entries that are read part by part."""

    def __init__(self) -> None:
        self._sums: dict[Kind, Sum] = {}

    def add(self, entries: Iterable[Entry]) -> None:
        """Adds entries, in the order of their sequence."""
        for entry in entries:
            number, amount = entry.sequence, entry.amount_minor
            one = self._sums.get(entry.kind) or Sum(entry.kind, 0, 0, 0, number, number)
            self._sums[entry.kind] = Sum(
                entry.kind,
                one.entries + 1,
                one.in_minor + max(amount, 0),
                one.out_minor + max(-amount, 0),
                one.first,
                number,
            )

    @property
    def sums(self) -> Sequence[Sum]:
        """What was added so far, in the order of the kinds' numbers."""
        return [self._sums[kind] for kind in sorted(self._sums)]


def net_minor(sums: Iterable[Sum]) -> int:
    """What sums change together."""
    return sum(one.net_minor for one in sums)


def _moved(moment: datetime, by: timedelta) -> datetime:
    """A moment moved within what a datetime can be."""
    try:
        return moment + by
    except OverflowError:
        return _FIRST if by < timedelta() else _LAST
