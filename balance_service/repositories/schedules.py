"""Schedules, and what became of their occurrences."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.movements import Kind
from balance_service.domain.schedules import (
    Occurrence,
    OccurrenceOutcome,
    Retry,
    Schedule,
    ScheduleStatus,
    Timing,
)
from balance_service.repositories import queries

_SQL = queries.load(__file__)


class Place(NamedTuple):
    """A schedule's place in the list, which is by time."""

    created_at: datetime
    schedule_id: UUID


class Wanted(NamedTuple):
    """Which schedules a list keeps; what is None does not limit.

    Args:
        principal: Who made them.
        account_id: The account that pays.
        status: What they do.
    """

    principal: str | None
    account_id: UUID | None
    status: ScheduleStatus | None


async def read_clock(conn: AsyncConnection) -> datetime:
    """Postgres's time."""
    row = await (await conn.execute(_SQL["read_clock"])).fetchone()
    assert row is not None, "a clock always answers"
    moment: datetime = row[0]
    return moment


async def count_live(conn: AsyncConnection, principal: str, limit: int) -> int:
    """How many schedules of a principal are active or paused, at most `limit`.

    Until the transaction ends, nobody else counts those of the same principal.
    """
    await conn.execute(_SQL["lock_principal"], {"principal": principal})
    cursor = await conn.execute(_SQL["count_live"], {"principal": principal, "limit": limit})
    row = await cursor.fetchone()
    assert row is not None, "a count always has a row"
    return int(row[0])


async def insert(conn: AsyncConnection, schedule: Schedule) -> None:
    """Adds a schedule."""
    await conn.execute(_SQL["insert"], _values(schedule))


async def update(conn: AsyncConnection, schedule: Schedule) -> None:
    """Writes what changes of a locked schedule."""
    await conn.execute(_SQL["update"], _values(schedule))


async def get(conn: AsyncConnection, schedule_id: UUID) -> Schedule | None:
    """A schedule, if there is one."""
    return await _find(conn, "get", schedule_id)


async def lock(conn: AsyncConnection, schedule_id: UUID) -> Schedule | None:
    """A schedule, locked until the transaction ends, if there is one."""
    return await _find(conn, "lock", schedule_id)


async def page(
    conn: AsyncConnection, wanted: Wanted, after: Place | None, limit: int, skip: int = 0
) -> list[Schedule]:
    """Schedules, newest first.

    Args:
        conn: Any connection.
        wanted: Which.
        after: The schedule after which, in that order, the page starts.
        limit: How many at most.
        skip: How many to leave out before them.
    """
    after_time, after_id = after or (None, None)
    place = {"after_time": after_time, "after_id": after_id, "limit": limit, "skip": skip}
    cursor = await conn.execute(_SQL[_queries(wanted)[0]], wanted._asdict() | place)
    return [_schedule(row) for row in await cursor.fetchall()]


async def count(conn: AsyncConnection, wanted: Wanted) -> int:
    """How many schedules a list has, on all its pages."""
    cursor = await conn.execute(_SQL[_queries(wanted)[1]], wanted._asdict())
    row = await cursor.fetchone()
    assert row is not None, "a count always has a row"
    return int(row[0])


async def claim(
    conn: AsyncConnection, lease: timedelta, limit: int
) -> tuple[datetime, list[Schedule]]:
    """Takes schedules that are due, those first that wait longest.

    Args:
        conn: Within a transaction.
        lease: How long nobody else takes them.
        limit: How many at most.

    Returns:
        Postgres's time, and the schedules.
    """
    cursor = await conn.execute(_SQL["claim"], {"lease": lease, "limit": limit})
    rows = await cursor.fetchall()
    now = await (await conn.execute(_SQL["read_transaction_time"])).fetchone()
    assert now is not None, "a clock always answers"
    return now[0], [_schedule(row) for row in rows]


async def add_occurrence(conn: AsyncConnection, occurrence: Occurrence) -> bool:
    """Records what became of an occurrence; tells whether that was not recorded before."""
    cursor = await conn.execute(_SQL["add_occurrence"], occurrence._asdict())
    return cursor.rowcount == 1


async def occurrences(
    conn: AsyncConnection, schedule_id: UUID, before: datetime | None, limit: int, skip: int = 0
) -> list[Occurrence]:
    """What became of a schedule's occurrences, newest first.

    Args:
        conn: Any connection.
        schedule_id: The schedule.
        before: Only of occurrences before that; None for all.
        limit: How many at most.
        skip: How many to leave out before them.
    """
    values = {"schedule_id": schedule_id, "before": before, "limit": limit, "skip": skip}
    cursor = await conn.execute(_SQL["occurrences"], values)
    return [
        Occurrence(row[0], row[1], OccurrenceOutcome(row[2]), *row[3:])
        for row in await cursor.fetchall()
    ]


async def count_occurrences(conn: AsyncConnection, schedule_id: UUID) -> int:
    """Of how many occurrences of a schedule it is known what became of them."""
    cursor = await conn.execute(_SQL["count_occurrences"], {"schedule_id": schedule_id})
    row = await cursor.fetchone()
    assert row is not None, "a count always has a row"
    return int(row[0])


async def delete_old_occurrences(conn: AsyncConnection, kept: timedelta, limit: int) -> int:
    """Deletes what became of occurrences long ago; tells of how many, at most `limit`."""
    return (await conn.execute(_SQL["delete_old"], {"kept": kept, "limit": limit})).rowcount


async def forget(conn: AsyncConnection, principal: str) -> None:
    """Cancels all schedules of a principal, and deletes what they say."""
    await conn.execute(_SQL["forget"], {"principal": principal})


def _queries(wanted: Wanted) -> tuple[str, str]:
    """What lists schedules and what counts them, by the index that finds them."""
    if wanted.account_id:
        return "page_of_account", "count_of_account"
    if wanted.principal:
        return "page_of_principal", "count_of_principal"
    if wanted.status:
        return "page_of_status", "count_of_status"
    return "page", "count"


async def _find(conn: AsyncConnection, query: str, schedule_id: UUID) -> Schedule | None:
    row = await (await conn.execute(_SQL[query], {"schedule_id": schedule_id})).fetchone()
    return _schedule(row) if row else None


def _schedule(row: Sequence[Any]) -> Schedule:
    schedule_id, principal, account_id, kind, request, description, *others = row
    timing, (interval, lasting, status, *state) = Timing(*others[:6]), others[6:]
    retry = None if interval is None else Retry(interval, lasting)
    kind, status = Kind(kind), ScheduleStatus(status)
    head = schedule_id, principal, account_id, kind, bytes(request), description
    return Schedule(*head, timing, retry, status, *state)


def _values(schedule: Schedule) -> dict[str, object]:
    timing, retry = schedule.timing, schedule.retry
    return {
        "schedule_id": schedule.schedule_id,
        "principal": schedule.principal,
        "account_id": schedule.account_id,
        "kind": int(schedule.kind),
        "request": schedule.request,
        "description": schedule.description,
        "starts_at": timing.starts_at,
        "rule": timing.rule,
        "zone": timing.zone,
        "starts_local": timing.starts_local,
        "last_local": timing.last_local,
        "ends_at": timing.ends_at,
        "retry_interval": retry and retry.interval,
        "retry_lasting": retry and retry.lasting,
        "status": int(schedule.status),
        "version": schedule.version,
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
        "next_at": schedule.next_at,
        "run_at": schedule.run_at,
        "leased_until": schedule.leased_until,
        "attempts": schedule.attempts,
        "resumed_at": schedule.resumed_at,
    }
