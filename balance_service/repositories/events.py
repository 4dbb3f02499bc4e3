"""The log of events, read by their numbers."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain import errors
from balance_service.domain.accounts import Account, Status
from balance_service.domain.events import Balance, Event, EventPage, EventType, Place, Wanted
from balance_service.domain.movements import Movement
from balance_service.domain.schedules import (
    Occurrence,
    OccurrenceOutcome,
    ScheduleChange,
    ScheduleStatus,
)
from balance_service.repositories import arrays, journal, queries

_SQL = queries.load(__file__)


class _Row(NamedTuple):
    """A row of `page`, in the order of its columns."""

    sequence: int
    subject_id: UUID | None
    details: Mapping[str, Any] | None
    created_at: datetime
    from_sequence: int | None
    to_sequence: int | None
    event_id: UUID
    kind: int


async def newest(conn: AsyncConnection) -> Place:
    """The place after the last event."""
    row = await (await conn.execute(_SQL["newest"])).fetchone()
    assert row is not None, "the last row of the log is never deleted"
    return Place(*row)


async def after(conn: AsyncConnection, sequence: int) -> Place:
    """The place after a number, or as far back as events are kept."""
    found = await place(conn, sequence)
    return found or Place(await oldest(conn), UUID(int=0))


async def oldest(conn: AsyncConnection) -> int:
    """The number after which the oldest event is that is kept."""
    return await _number(conn, "oldest", {}) or 0


async def before_time(conn: AsyncConnection, moment: datetime) -> int:
    """The number after which all events are that are dated at or after a moment."""
    found = await _number(conn, "before_time", {"moment": moment})
    return (await newest(conn)).sequence if found is None else found


async def place(conn: AsyncConnection, sequence: int) -> Place | None:
    """The place after the event with a number; None if it is not kept, or there is none yet."""
    row = await (await conn.execute(_SQL["place"], {"sequence": sequence})).fetchone()
    return Place(sequence, row[0]) if row else None


async def check(conn: AsyncConnection, after: Place) -> None:
    """Checks that nothing is missing after a place.

    Raises:
        EventsExpired: Events after it are not kept any more.
        EventsLost: The log does not have, or has no more, the event that it names.
    """
    kept = await place(conn, after.sequence)
    if kept == after:
        return
    # Before the oldest event that is kept nothing tells one log from another.
    start = await oldest(conn)
    if kept is None and after.sequence < start:
        raise errors.EventsExpired(str(start + 1))
    if kept is not None or after.sequence > start:
        raise errors.EventsLost(str((await newest(conn)).sequence))


async def page(
    conn: AsyncConnection, after: Place, wanted: Wanted, reach: int, limit: int
) -> EventPage:
    """A part of the log.

    Args:
        conn: Any connection.
        after: Where it begins.
        wanted: Which events to keep.
        reach: How many events to look at.
        limit: How many to keep at most.

    Raises:
        EventsExpired, EventsLost: As `check`.
    """
    last = await newest(conn)
    end_sequence = min(after.sequence + reach, last.sequence)
    values = _page_values(after.sequence, end_sequence, wanted, limit)
    rows: Sequence[_Row] = ()
    if end_sequence > after.sequence:
        cursor = await conn.execute(_SQL.of(conn)["page"], values)
        rows = [_Row(*row) for row in await cursor.fetchall()]
    # Deletion goes on from the oldest: what is there now was there when the page was read.
    await check(conn, after)
    if len(rows) == limit:
        end = Place(rows[-1].sequence, rows[-1].event_id)
    elif end_sequence == last.sequence:
        end = last
    else:
        end = await place(conn, end_sequence) or after
    return EventPage(after, end, await _events(conn, rows), last.sequence)


async def at(conn: AsyncConnection, sequence: int) -> Event | None:
    """The event with a number; None if it is not kept, or there is none yet."""
    values = _page_values(sequence - 1, sequence, Wanted(), 1)
    rows = await (await conn.execute(_SQL.of(conn)["page"], values)).fetchall()
    return next(iter(await _events(conn, [_Row(*row) for row in rows])), None)


async def delete_old(conn: AsyncConnection, kept: timedelta, limit: int) -> int:
    """Deletes the oldest events.

    Args:
        conn: Within a transaction.
        kept: How long they are kept once they are numbered.
        limit: How many commits' events at most.

    Returns:
        How many commits' events were deleted.
    """
    return (await conn.execute(_SQL["delete_old"], {"kept": kept, "limit": limit})).rowcount


def _page_values(after: int, until: int, wanted: Wanted, limit: int) -> dict[str, object]:
    return {
        "after": after,
        "until": until,
        "limit": limit,
        "captured": int(EventType.HOLD_CAPTURED),
        "kinds": arrays.smallints(wanted.types) if wanted.types else None,
        "account_ids": None if wanted.account_ids is None else arrays.uuids(wanted.account_ids),
        "owner_ids": arrays.uuids(wanted.owner_ids),
    }


async def _events(conn: AsyncConnection, rows: Sequence[_Row]) -> list[Event]:
    movement_ids = [row.event_id for row in rows if row.subject_id is None]
    movements = await journal.movements(conn, movement_ids) if movement_ids else {}
    sides = [side for row in rows if row.subject_id is None for side in _sides(row, movements)]
    left = await _balances(conn, sides) if sides else {}
    return [_event(row, movements, left) for row in rows]


def _sides(row: _Row, movements: Mapping[UUID, Movement]) -> Iterable[tuple[UUID, int]]:
    """The keys of a movement's entries on users' accounts."""
    movement = movements[row.event_id]
    if row.from_sequence is not None:
        yield movement.from_account_id, row.from_sequence
    if row.to_sequence is not None:
        yield movement.to_account_id, row.to_sequence


async def _balances(
    conn: AsyncConnection, sides: Collection[tuple[UUID, int]]
) -> dict[tuple[UUID, int], int]:
    values = {
        "account_ids": arrays.uuids(account_id for account_id, _ in sides),
        "sequences": arrays.bigints(sequence for _, sequence in sides),
    }
    rows = await (await conn.execute(_SQL.of(conn)["balances"], values)).fetchall()
    return {(account_id, sequence): minor for account_id, sequence, minor in rows}


def _event(
    row: _Row, movements: Mapping[UUID, Movement], left: Mapping[tuple[UUID, int], int]
) -> Event:
    at, event_type = Place(row.sequence, row.event_id), EventType(row.kind)
    if row.subject_id is not None and event_type.subject == "schedule":
        assert row.details, "an event of a schedule has details"
        change = _schedule(row.subject_id, row.details)
        return Event(at, event_type, row.created_at, row.subject_id, schedule=change)
    if row.subject_id is not None:
        account = _account(row.subject_id, row.created_at, row.details) if row.details else None
        return Event(at, event_type, row.created_at, row.subject_id, account=account)
    movement = movements[row.event_id]
    balances = [Balance(*side, left[side]) for side in _sides(row, movements)]
    return Event(at, event_type, movement.created_at, movement.movement_id, movement, balances)


def _account(account_id: UUID, changed_at: datetime, details: Mapping[str, Any]) -> Account:
    return Account(
        account_id=account_id,
        owner_id=UUID(details["owner_id"]),
        currency=details["currency"],
        balance_minor=details["balance_minor"],
        held_minor=details["held_minor"],
        limit_minor=details["limit_minor"],
        status=Status(details["status"]),
        sequence=details["sequence"],
        changed_at=changed_at,
        debit_limit_minor=details["debit_limit_minor"],
        daily_limit_minor=details["daily_limit_minor"],
    )


def _schedule(schedule_id: UUID, details: Mapping[str, Any]) -> ScheduleChange:
    account_id, status = UUID(details["account_id"]), ScheduleStatus(details["status"])
    occurrence = None
    if done := details.get("occurrence"):
        occurrence = Occurrence(
            schedule_id,
            datetime.fromisoformat(done["occurs_at"]),
            OccurrenceOutcome(done["outcome"]),
            done["reason"],
            UUID(done["movement_id"]) if done["movement_id"] else None,
            done["attempts"],
            datetime.fromisoformat(done["decided_at"]),
        )
    return ScheduleChange(schedule_id, account_id, status, occurrence)


async def _number(conn: AsyncConnection, query: str, values: Mapping[str, object]) -> int | None:
    row = await (await conn.execute(_SQL[query], values)).fetchone()
    return cast("int", row[0]) if row else None
