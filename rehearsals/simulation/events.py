"""The log of events in the simulation: what commits leave behind, its numbering, and its readers.

It has the two numbers that a transaction of Postgres draws: its id, with its first lock, and the
end of the write-ahead log, when it writes.
"""

import asyncio
import itertools
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from balance_service.domain.events import entry_numbers
from balance_service.domain.movements import Entry
from balance_service.domain.schedules import ScheduleChange
from balance_service.domain.state import Plan

RESTARTS = 0.1


@dataclass(frozen=True)
class Told:
    """A movement, and the numbers of its entries by account."""

    movement_id: UUID
    numbers: Mapping[UUID, int]


@dataclass
class Row:
    """What one commit left.

    Args:
        transaction: The number that it drew with its first lock.
        place: The number that it drew when it wrote, or in its turn.
        told: Its movements, in their order, or what happened to a schedule.
        waiting: On how many accounts receipts of it wait for their numbers, which are 0 until then.
    """

    transaction: int
    place: int
    told: list[Told | ScheduleChange]
    waiting: int = 0

    @property
    def order(self) -> int:
        """What rows that can be seen together are numbered by."""
        return self.place

    @property
    def waits(self) -> bool:
        """Whether receipts of it have no number yet, so that it gets none either."""
        return self.waiting > 0

    def complete(self, place: int, account_id: UUID, number: int) -> None:
        """Gives the receipt of one of its movements its number."""
        told = self.told[place]
        assert isinstance(told, Told), "a schedule receives nothing"
        self.told[place] = Told(told.movement_id, {**told.numbers, account_id: number})


@dataclass
class EventLog:
    """The outbox and the log.

    Args:
        rng: Decides what fails, from the run's seed.
        trouble: How likely numbering is to fail.
    """

    rng: random.Random
    trouble: float
    outbox: list[Row] = field(default_factory=list)
    numbered: list[Told | ScheduleChange] = field(default_factory=list)
    _drawn: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _numbering: bool = False

    def draw(self) -> int:
        """The next number."""
        return next(self._drawn)

    def add(self, transaction: int, place: int, plan: Plan) -> Row:
        """Adds what a transaction leaves as it commits."""
        left, reached = entry_numbers(plan.movements, plan.entries, plan.receipts)
        told: list[Told | ScheduleChange] = [
            Told(
                movement.movement_id,
                {
                    account_id: number
                    for account_id, number in (
                        (movement.from_account_id, sent),
                        (movement.to_account_id, received),
                    )
                    if number is not None
                },
            )
            for movement, sent, received in zip(plan.movements, left, reached, strict=True)
        ]
        row = Row(transaction, place, told)
        self.outbox.append(row)
        return row

    def tell(self, place: int, change: ScheduleChange) -> None:
        """Adds what happened to a schedule, as its transaction commits."""
        self.outbox.append(Row(place, place, [change]))

    async def number(self, count: int = 1000) -> None:
        """Numbers what can be seen now, unless another transaction does so or this one fails."""
        if self._numbering:
            return
        self._numbering = True
        try:
            seen = sorted(self.outbox, key=lambda row: row.order)[:count]
            ripe = list(itertools.takewhile(lambda row: not row.waits, seen))
            await asyncio.sleep(self.rng.expovariate(1 / 0.01))
            if self.rng.random() >= self.trouble:
                self.outbox = [row for row in self.outbox if row not in ripe]
                self.numbered += [told for row in ripe for told in row.told]
        finally:
            self._numbering = False

    async def keep_numbering(self) -> None:
        """What a worker does, until it is cancelled."""
        while True:
            await asyncio.sleep(self.rng.expovariate(1 / 0.2))
            await self.number(self.rng.choice([1, 2, 1000]))

    async def finish(self) -> None:
        """Numbers the rest, once nothing is under way."""
        while self.outbox:
            await self.number()


@dataclass
class EventReader:
    """Keeps what it saw with the place after it; after a restart it knows no more than that."""

    log: EventLog
    seen: list[Told | ScheduleChange] = field(default_factory=list)
    place: int = 0

    async def run(self) -> None:
        """Reads until it is cancelled."""
        while True:
            await asyncio.sleep(self.log.rng.expovariate(1 / 0.1))
            page = self.log.numbered[self.place : self.place + 3]
            if self.log.rng.random() >= RESTARTS:
                self.seen += page
                self.place += len(page)

    def read_rest(self) -> None:
        """Reads all there is."""
        self.seen += self.log.numbered[self.place :]


def find_anomalies(
    readers: Sequence[EventReader],
    movement_ids: Sequence[UUID],
    entries: Mapping[UUID, Sequence[Entry]],
) -> Iterator[str]:
    """What readers saw otherwise than the journal has it."""
    for reader in readers:
        moved = [each for each in reader.seen if isinstance(each, Told)]
        told = [each.movement_id for each in moved]
        if sorted(told) != sorted(movement_ids):
            yield f"{len(told)} events of {len(movement_ids)} movements, or of others"
        numbers: dict[UUID, list[int]] = defaultdict(list)
        for each in moved:
            for account_id, number in each.numbers.items():
                numbers[account_id].append(number)
        for account_id, entered in entries.items():
            if numbers[account_id] != [entry.sequence for entry in entered]:
                yield f"{account_id}: events not in the order of its entries"
