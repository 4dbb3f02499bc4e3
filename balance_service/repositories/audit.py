"""The audit log: added to by whoever acts, listed, and never changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from balance_service.domain import ids
from balance_service.domain.audit import Actor, AuditEvent, RecordedEvent
from balance_service.repositories import queries

_SQL = queries.load(__file__)


class Query(NamedTuple):
    """Which events are listed; empty or None does not limit.

    Args:
        start_time: At or after.
        end_time: Before.
        oldest_first: Their order, which is by time.
    """

    actor: str = ""
    target: str = ""
    action: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    oldest_first: bool = False


class Place(NamedTuple):
    """An event's place in a list by time."""

    created_at: datetime
    event_id: UUID


async def record(conn: AsyncConnection, *events: AuditEvent) -> None:
    """Adds events to the log.

    Args:
        conn: Within the transaction of what they tell of, so that they stay or go with it.
        events: The events.
    """
    for event in events:
        await conn.execute(_SQL["record"], _values(event))


async def page(
    conn: AsyncConnection, query: Query, after: Place | None, limit: int, skip: int = 0
) -> list[RecordedEvent]:
    """Events in the order that was asked for.

    Args:
        conn: Within a transaction.
        query: Which.
        after: The event after which the page starts.
        limit: How many at most.
        skip: How many to leave out before them.
    """
    after_time, after_id = after or (None, None)
    place = {"after_time": after_time, "after_id": after_id, "limit": limit, "skip": skip}
    await conn.execute(_SQL["plan_by_values"])
    name = "page_from_oldest" if query.oldest_first else "page"
    cursor = await conn.execute(_SQL[name], query._asdict() | place)
    return [event_of(row) for row in await cursor.fetchall()]


async def count(conn: AsyncConnection, query: Query) -> int:
    """How many events there are, within a transaction."""
    await conn.execute(_SQL["plan_by_values"])
    row = await (await conn.execute(_SQL["count"], query._asdict())).fetchone()
    assert row is not None, "a count always has a row"
    return int(row[0])


def event_of(row: Sequence[Any]) -> RecordedEvent:
    """The event of a row of its columns, with its seal's or without."""
    event_id, created_at, action, refusal, *others = row
    target, before, after, reason, sequence, link = others[4:]
    actor = Actor(*others[:4])
    return RecordedEvent(
        event_id,
        created_at,
        action,
        refusal,
        actor,
        target,
        before,
        after,
        reason,
        sequence,
        link and bytes(link),
    )


def _values(event: AuditEvent) -> dict[str, object]:
    actor = event.actor
    return {
        "event_id": ids.new_id(),
        "action": event.action,
        "refusal": event.refusal,
        "actor": actor.principal,
        "session_id": actor.session_id,
        "network": actor.network,
        "request_id": actor.request_id,
        "target": event.target,
        "before": Jsonb(event.before),
        "after": Jsonb(event.after),
        "reason": event.reason,
    }
