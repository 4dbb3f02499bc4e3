"""What is said of time whose entries are archived.

An archive has all entries that were booked before a moment, the horizon; the ledger has those from
then on, and of each account what was brought forward from the last entry before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain import errors
from balance_service.domain.paging import Filter, Position
from balance_service.domain.statements import Basis


class LastArchived(NamedTuple):
    """The last archived entry of an account.

    Args:
        sequence: Its number.
        created_at: When it was booked.
    """

    sequence: int
    created_at: datetime


class Horizon(NamedTuple):
    """From when on the ledger has entries.

    Args:
        booked: It has all that were booked from then on, and none from before.
        valued: It has all with a value date from then on, and some from before.
    """

    booked: datetime
    valued: datetime

    def check(self, moment: datetime, basis: Basis) -> None:
        """Raises PeriodArchived if entries from a moment on may be archived."""
        available_from = self.valued if basis is Basis.VALUE_DATE else self.booked
        if moment < available_from:
            raise errors.PeriodArchived(available_from)


@dataclass(frozen=True, slots=True)
class Archived:
    """What is archived of some accounts.

    Args:
        horizon: Of the whole ledger.
        last: The last archived entry of each account that has any.
    """

    horizon: Horizon
    last: Mapping[UUID, LastArchived]

    def check(self, wanted: Filter) -> None:
        """Checks that what a list names by time is not archived.

        Raises:
            PeriodArchived: It would have archived entries if it could, and has a time to begin at,
                or to end at that is archived as a whole.
        """
        if not self.is_met_by(wanted):
            return
        ends_before = wanted.end_time is not None and wanted.end_time <= self.horizon.booked
        if wanted.start_time is not None or ends_before:
            raise errors.PeriodArchived(self.horizon.booked)
        if wanted.start_effective_time is not None:
            raise errors.PeriodArchived(self.horizon.valued)

    def is_met_by(self, wanted: Filter) -> bool:
        """Whether archived entries are of a list, as far as times tell."""
        valued = wanted.start_effective_time
        return (valued is None or valued < self.horizon.valued) and any(
            wanted.start_time is None or wanted.start_time <= last.created_at
            for last in self.last.values()
        )

    def begin_after(self, position: Position) -> Position:
        """A position, behind all that is archived."""
        return replace(position, after={**position.after, **dict(self._met(position))})

    def lies_after(self, position: Position) -> bool:
        """Whether a list that goes on at a position, oldest first, meets archived entries there."""
        return any(True for _ in self._met(position))

    def count(self, position: Position) -> int:
        """How many entries up to a position's ends are archived."""
        return sum(min(end, self._last(account_id)) for account_id, end in position.ends.items())

    def _met(self, position: Position) -> Iterator[tuple[UUID, int]]:
        for account_id in position.ends:
            last = self._last(account_id)
            if position.after.get(account_id, 0) < last:
                yield account_id, last

    def _last(self, account_id: UUID) -> int:
        last = self.last.get(account_id)
        return last.sequence if last else 0
