"""Changes that wait for approval, and what was decided about them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from balance_service.domain.approvals import Approval, ApprovalStatus, Decision, NewApproval
from balance_service.repositories import queries

_SQL = queries.load(__file__)
_ASKED = len(NewApproval._fields)


class Place(NamedTuple):
    """A change's place in the list, which is by time."""

    created_at: datetime
    approval_id: UUID


async def read_clock(conn: AsyncConnection) -> datetime:
    """Postgres's time."""
    row = await (await conn.execute(_SQL["read_clock"])).fetchone()
    assert row is not None, "a clock always answers"
    moment: datetime = row[0]
    return moment


async def insert(conn: AsyncConnection, asked: NewApproval) -> bool:
    """Adds a change; False if one with its id is there already."""
    values = asked._asdict() | {"before": Jsonb(asked.before), "after": Jsonb(asked.after)}
    return (await conn.execute(_SQL["insert"], values)).rowcount == 1


async def lock(conn: AsyncConnection, approval_id: UUID) -> Approval | None:
    """A change, locked until the transaction ends, if there is one."""
    row = await (await conn.execute(_SQL["lock"], {"approval_id": approval_id})).fetchone()
    return _approval(row) if row else None


async def decide(conn: AsyncConnection, approval_id: UUID, decision: Decision) -> None:
    """Writes what was decided about a locked change."""
    await conn.execute(_SQL["decide"], {"approval_id": approval_id, **decision._asdict()})


async def page(
    conn: AsyncConnection,
    status: ApprovalStatus | None,
    now: datetime,
    after: Place | None,
    limit: int,
    skip: int = 0,
) -> list[Approval]:
    """Changes, newest first.

    Args:
        conn: Any connection.
        status: Those of which this has become; None for all.
        now: Decides which have expired.
        after: The change after which, in that order, the page starts.
        limit: How many at most.
        skip: How many to leave out before them.
    """
    after_time, after_id = after or (None, None)
    place = {"after_time": after_time, "after_id": after_id, "limit": limit, "skip": skip}
    cursor = await conn.execute(_SQL["page"], {"status": status, "now": now, **place})
    return [_approval(row) for row in await cursor.fetchall()]


async def count(conn: AsyncConnection, status: ApprovalStatus | None, now: datetime) -> int:
    """How many changes there are."""
    row = await (await conn.execute(_SQL["count"], {"status": status, "now": now})).fetchone()
    assert row is not None, "a count always has a row"
    return int(row[0])


def _approval(row: Sequence[Any]) -> Approval:
    asked, (status, *others) = NewApproval(*row[:_ASKED]), row[_ASKED:]
    return Approval(asked, Decision(ApprovalStatus(status), *others))
