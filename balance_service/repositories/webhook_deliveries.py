"""Events that are to be sent to endpoints, or were, and what became of each."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.events import Event, EventType
from balance_service.domain.webhooks import Delivery, DeliveryState, Outcome
from balance_service.repositories import arrays, queries

_SQL = queries.load(__file__)


class ListPlace(NamedTuple):
    """A delivery's place in the list of an endpoint's, which is by time."""

    created_at: datetime
    event_id: UUID


async def add(conn: AsyncConnection, endpoint_id: UUID, told: Sequence[Event]) -> None:
    """Has events be sent, but for those that are or were already."""
    values = {
        "endpoint_id": endpoint_id,
        "event_ids": arrays.uuids(event.place.event_id for event in told),
        "sequences": arrays.bigints(event.place.sequence for event in told),
        "kinds": arrays.smallints(event.type for event in told),
    }
    await conn.execute(_SQL["add"], values)


async def again(conn: AsyncConnection, endpoint_id: UUID, event_ids: Sequence[UUID]) -> int:
    """Has events be sent again that were, or are, to be sent; how many of them those are."""
    values = {"endpoint_id": endpoint_id, "event_ids": arrays.uuids(event_ids)}
    return (await conn.execute(_SQL["again"], values)).rowcount


async def add_test(conn: AsyncConnection, endpoint_id: UUID, event_id: UUID) -> None:
    """Has a test event be sent."""
    await conn.execute(_SQL["add_test"], {"endpoint_id": endpoint_id, "event_id": event_id})


async def find(conn: AsyncConnection, endpoint_id: UUID, event_id: UUID) -> Delivery | None:
    """What became of an event, if it was to be sent."""
    values = {"endpoint_id": endpoint_id, "event_id": event_id}
    row = await (await conn.execute(_SQL["find"], values)).fetchone()
    return _delivery(row) if row else None


async def page(
    conn: AsyncConnection,
    endpoint_id: UUID,
    state: DeliveryState | None,
    before: ListPlace | None,
    limit: int,
    skip: int = 0,
) -> list[Delivery]:
    """An endpoint's deliveries, newest first.

    Args:
        conn: Any connection.
        endpoint_id: The endpoint.
        state: Those of which this has become; None for all.
        before: The delivery after which, in that order, the page starts.
        limit: How many at most.
        skip: How many to leave out before them.
    """
    before_time, before_id = before or (None, None)
    values = {
        "endpoint_id": endpoint_id,
        "state": state,
        "before_time": before_time,
        "before_id": before_id,
        "limit": limit,
        "skip": skip,
    }
    cursor = await conn.execute(_SQL["page"], values)
    return [_delivery(row) for row in await cursor.fetchall()]


async def count(conn: AsyncConnection, endpoint_id: UUID, state: DeliveryState | None) -> int:
    """How many deliveries a list has."""
    values = {"endpoint_id": endpoint_id, "state": state}
    row = await (await conn.execute(_SQL["count"], values)).fetchone()
    assert row is not None, "a count has a row"
    return int(row[0])


async def count_pending(conn: AsyncConnection, endpoint_id: UUID, most: int) -> int:
    """How many events wait for an endpoint, counted up to a number."""
    values = {"endpoint_id": endpoint_id, "most": most}
    row = await (await conn.execute(_SQL["count_pending"], values)).fetchone()
    assert row is not None, "a count has a row"
    return int(row[0])


async def due(conn: AsyncConnection, endpoint_id: UUID, limit: int) -> list[Delivery]:
    """What is to be sent to an endpoint now, in the order in which it came to be."""
    cursor = await conn.execute(_SQL["due"], {"endpoint_id": endpoint_id, "limit": limit})
    return [_delivery(row) for row in await cursor.fetchall()]


async def record(conn: AsyncConnection, endpoint_id: UUID, outcomes: Sequence[Outcome]) -> None:
    """Writes what came of attempts, unless an event was to be sent again meanwhile."""
    values = {
        "endpoint_id": endpoint_id,
        "event_ids": arrays.uuids(each.event_id for each in outcomes),
        "states": arrays.smallints(each.state for each in outcomes),
        "attempts": arrays.bigints(each.attempts for each in outcomes),
        "statuses": arrays.smallints(each.http_status for each in outcomes),
        "errors": arrays.texts(each.error for each in outcomes),
        "delays": arrays.bigints(
            None if each.delay is None else round(each.delay.total_seconds()) for each in outcomes
        ),
        "due_ats": arrays.times(each.due_at for each in outcomes),
    }
    await conn.execute(_SQL["record"], values)


async def delete_old(conn: AsyncConnection, kept: timedelta, limit: int) -> int:
    """Deletes what was delivered or died, and what is of deleted endpoints.

    Args:
        conn: Within a transaction.
        kept: How long it is kept after the last attempt.
        limit: How many of each sort at most.

    Returns:
        The most of a sort that was deleted.
    """
    old = await conn.execute(_SQL["delete_old"], {"kept": kept, "limit": limit})
    orphans = await conn.execute(_SQL["delete_of_deleted"], {"limit": limit})
    return max(old.rowcount, orphans.rowcount)


def _delivery(row: Sequence[Any]) -> Delivery:
    endpoint_id, event_id, sequence, kind, state, *others = row
    event_type = None if kind is None else EventType(kind)
    return Delivery(endpoint_id, event_id, sequence, event_type, DeliveryState(state), *others)
