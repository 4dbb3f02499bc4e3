"""Endpoints that events are sent to, and which worker sends to each."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.events import EventType, Place
from balance_service.domain.webhooks import DisabledReason, Endpoint
from balance_service.repositories import arrays, queries

_SQL = queries.load(__file__)


class ListPlace(NamedTuple):
    """An endpoint's place in the list, which is by time."""

    created_at: datetime
    endpoint_id: UUID


# Before the first.
LIST_START = ListPlace(datetime.fromtimestamp(0, UTC), UUID(int=0))


async def insert(conn: AsyncConnection, endpoint: Endpoint) -> None:
    """Adds an endpoint, which hears what follows its place."""
    await conn.execute(_SQL["insert"], _values(endpoint))


async def lock_owner(conn: AsyncConnection, owner: str) -> None:
    """Has whoever adds an endpoint of the same owner wait until this transaction ends."""
    await conn.execute(_SQL["lock_owner"], {"owner": owner})


async def count(conn: AsyncConnection, owner: str | None) -> int:
    """How many endpoints somebody has, or everybody."""
    query = "count_all" if owner is None else "count"
    row = await (await conn.execute(_SQL[query], {"owner": owner})).fetchone()
    assert row is not None, "a count has a row"
    return int(row[0])


async def get(conn: AsyncConnection, endpoint_id: UUID) -> Endpoint | None:
    """An endpoint, if there is one."""
    return await _find(conn, "get", {"endpoint_id": endpoint_id})


async def lock(conn: AsyncConnection, endpoint_id: UUID) -> Endpoint | None:
    """An endpoint, locked until the transaction ends, if there is one."""
    return await _find(conn, "lock", {"endpoint_id": endpoint_id})


async def page(
    conn: AsyncConnection, owner: str | None, after: ListPlace, limit: int, skip: int = 0
) -> list[Endpoint]:
    """Endpoints, oldest first.

    Args:
        conn: Any connection.
        owner: Whose; None for everybody's.
        after: The endpoint after which, in that order, the page starts.
        limit: How many at most.
        skip: How many to leave out before them.
    """
    values = {"after_time": after.created_at, "after_id": after.endpoint_id, "owner": owner}
    query = "page" if owner is None else "page_of_owner"
    cursor = await conn.execute(_SQL[query], values | {"limit": limit, "skip": skip})
    return [_endpoint(row) for row in await cursor.fetchall()]


async def update(conn: AsyncConnection, endpoint: Endpoint) -> None:
    """Writes a locked endpoint, which is left alone no longer."""
    await conn.execute(_SQL["update"], _values(endpoint))


async def delete(conn: AsyncConnection, endpoint_id: UUID) -> None:
    """Takes a locked endpoint and its secrets away."""
    await conn.execute(_SQL["delete"], {"endpoint_id": endpoint_id})


async def forget(conn: AsyncConnection, owner: str) -> None:
    """Deletes all endpoints of somebody, and what they say; their deliveries follow."""
    await conn.execute(_SQL["forget"], {"owner": owner})


async def replace_seal(conn: AsyncConnection, endpoint: Endpoint) -> bool:
    """Writes an endpoint's secrets, unless they were rotated since; whether it did."""
    return (await conn.execute(_SQL["replace_seal"], _values(endpoint))).rowcount == 1


async def claim(conn: AsyncConnection, lease: UUID, life: timedelta, limit: int) -> list[UUID]:
    """Takes endpoints that something can be sent to, and that nobody else is sending to.

    Args:
        conn: Any connection.
        lease: Names whoever takes them.
        life: How long nobody else takes them.
        limit: How many at most.
    """
    values = {"lease": lease, "life": life, "limit": limit}
    cursor = await conn.execute(_SQL["claim"], values)
    return [endpoint_id for (endpoint_id,) in await cursor.fetchall()]


async def renew(
    conn: AsyncConnection, endpoint_id: UUID, lease: UUID, life: timedelta
) -> Endpoint | None:
    """An endpoint whose lease goes on; None if nothing more is to be sent to it by this lease."""
    values = {"endpoint_id": endpoint_id, "lease": lease, "life": life}
    renewed = await conn.execute(_SQL["renew"], values)
    return await get(conn, endpoint_id) if renewed.rowcount else None


async def release(conn: AsyncConnection, endpoint_id: UUID, lease: UUID) -> None:
    """Lets others send to an endpoint."""
    await conn.execute(_SQL["release"], {"endpoint_id": endpoint_id, "lease": lease})


async def advance(conn: AsyncConnection, endpoint_id: UUID, lease: UUID, place: Place) -> bool:
    """Writes how far an endpoint has come; False if the lease was lost."""
    values = {"endpoint_id": endpoint_id, "lease": lease, **place._asdict()}
    return (await conn.execute(_SQL["advance"], values)).rowcount == 1


async def note_attempts(
    conn: AsyncConnection, endpoint_id: UUID, failures: int, rest: timedelta, *, succeeded: bool
) -> datetime | None:
    """Writes what attempts say of an endpoint; since when every one has failed, if the last did.

    Args:
        conn: Any connection.
        endpoint_id: The endpoint.
        failures: How many have failed since the last that succeeded.
        rest: For how long nothing is sent to it.
        succeeded: Whether some of these attempts did.
    """
    values = {
        "endpoint_id": endpoint_id,
        "failures": failures,
        "rest": rest,
        "succeeded": succeeded,
    }
    row = await (await conn.execute(_SQL["note_attempts"], values)).fetchone()
    return row[0] if row else None


async def clear_deleted(conn: AsyncConnection) -> None:
    """Removes what is left of deleted endpoints that have no deliveries any more."""
    await conn.execute(_SQL["clear_deleted"])


async def scopes(conn: AsyncConnection, client_id: str) -> frozenset[str]:
    """What a sibling service may do now; nothing if it may not sign in."""
    cursor = await conn.execute(_SQL["owner_of_scopes"], {"client_id": client_id})
    row = await cursor.fetchone()
    return frozenset(row[0]) if row else frozenset()


async def _find(conn: AsyncConnection, query: str, values: dict[str, object]) -> Endpoint | None:
    row = await (await conn.execute(_SQL[query], values)).fetchone()
    return _endpoint(row) if row else None


def _endpoint(row: Sequence[Any]) -> Endpoint:
    *head, types, account_ids, disabled, reason = row[:8]
    *middle, sequence, event_id, failures, failing_since = row[8:]
    numbers = [EventType(number) for number in types]
    values = [*head, numbers, account_ids, disabled, DisabledReason(reason), *middle]
    return Endpoint._make([*values, Place(sequence, event_id), failures, failing_since])


def _values(endpoint: Endpoint) -> dict[str, object]:
    return endpoint._asdict() | {
        "types": arrays.smallints(endpoint.types),
        "account_ids": arrays.uuids(endpoint.account_ids),
        "disabled_reason": int(endpoint.disabled_reason),
        "place_sequence": endpoint.place.sequence,
        "place_event_id": endpoint.place.event_id,
    }
