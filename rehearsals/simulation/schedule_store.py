"""Schedules in the simulated store: what `schedule_runs` asks of its repositories."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from balance_service.domain.events import EventType
from balance_service.domain.schedules import Occurrence, Schedule, ScheduleChange
from rehearsals.simulation.store import Database, SimulatedTransaction


@dataclass
class ScheduleStore:
    """Stands for the pool and for every repository, whose functions take a connection.

    Args:
        database: Where money moves, and whose transactions, locks and clock schedules share.
    """

    database: Database
    schedules: dict[UUID, Schedule] = field(default_factory=dict)
    occurrences: dict[tuple[UUID, datetime], Occurrence] = field(default_factory=dict)

    def connection(self) -> AbstractAsyncContextManager[SimulatedTransaction]:
        return self.database.transaction()

    async def scopes_of(self, conn: SimulatedTransaction, client_id: str) -> frozenset[str]:  # noqa: ARG002 - as the repository's
        await conn.step()
        return frozenset()

    async def read_clock(self, conn: SimulatedTransaction) -> datetime:
        await conn.step()
        return self.database.now()

    async def claim(
        self, conn: SimulatedTransaction, lease: timedelta, limit: int
    ) -> tuple[datetime, list[Schedule]]:
        await conn.step()
        now, leased = self.database.now(), []
        due = [each for each in self.schedules.values() if each.run_at and each.run_at <= now]
        for schedule in due[:limit]:
            if _row(schedule.schedule_id) in self.database.locks.held:
                continue
            await self.database.locks.take(_row(schedule.schedule_id), conn)
            taken = replace(schedule, run_at=now + lease, leased_until=now + lease)
            await self.update(conn, taken)
            leased.append(taken)
        return now, leased

    async def lock(self, conn: SimulatedTransaction, key: UUID) -> Schedule | None:
        """A locked schedule; or, of an account's id, just its lock."""
        await conn.step()
        schedule = self.schedules.get(key)
        await self.database.locks.take(_row(key) if schedule else key, conn)
        return self.schedules.get(key)

    async def is_posted(self, conn: SimulatedTransaction, movement_id: UUID) -> bool:
        await conn.step()
        return movement_id in self.database.movements

    async def update(self, conn: SimulatedTransaction, schedule: Schedule) -> None:
        await conn.step()
        conn.stage(lambda: self.schedules.update({schedule.schedule_id: schedule}))

    async def add_occurrence(self, conn: SimulatedTransaction, occurrence: Occurrence) -> bool:
        await conn.step()
        key = (occurrence.schedule_id, occurrence.occurs_at)
        await self.database.locks.take(key, conn)
        if key in self.occurrences:
            return False
        conn.stage(lambda: self.occurrences.update({key: occurrence}))
        return True

    async def record_schedule(
        self,
        conn: SimulatedTransaction,
        event_type: EventType,  # noqa: ARG002 - as the repository's
        change: ScheduleChange,
    ) -> None:
        await conn.step()
        place = self.database.events.draw()
        conn.stage(lambda: self.database.events.tell(place, change))


def _row(schedule_id: UUID) -> object:
    return "schedule", schedule_id
