"""The outbox: what transactions say of what they did, and its numbering once everybody can see it.

A commit of movements adds its row with its own statement (journal.sql). Numbers are given
afterwards, to what is committed, so that no commit waits for another and none can come to light
behind a number that was read already.
"""

from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from balance_service.domain import ids
from balance_service.domain.events import EventType
from balance_service.domain.schedules import ScheduleChange
from balance_service.repositories import queries

_SQL = queries.load(__file__)

NUMBERED_AT_ONCE_MAX = 1_000
_LOCK = 0x6576656E7473  # "events"


async def record(conn: AsyncConnection, event_type: EventType, user_id: UUID) -> None:
    """Says that something happened to a user, within the transaction of the act."""
    values = {"event_id": ids.new_id(), "kind": event_type, "subject_id": user_id}
    await conn.execute(_SQL["record"], values)


async def record_account(conn: AsyncConnection, event_type: EventType, account_id: UUID) -> None:
    """Says that something happened to an account, and how the account is since.

    Args:
        conn: Within the transaction of the act, which holds the account's lock or has opened it.
        event_type: What happened.
        account_id: The account.
    """
    values = {"event_id": ids.new_id(), "kind": event_type, "account_id": account_id}
    if not queries.is_of_cluster(conn):
        await conn.execute(_SQL["record_account"], values)
        return
    row = await (await conn.execute(_SQL.on_cluster["account_details"], values)).fetchone()
    assert row is not None, "the account is locked, or was opened in this transaction"
    written = {**values, "subject_id": account_id, "details": Jsonb(row[0])}
    await conn.execute(_SQL["record_details"], written)


async def record_schedule(
    conn: AsyncConnection, event_type: EventType, change: ScheduleChange
) -> None:
    """Says that something happened to a schedule, within a transaction that holds its lock."""
    details: dict[str, object] = {
        "account_id": str(change.account_id),
        "status": int(change.status),
    }
    if done := change.occurrence:
        details["occurrence"] = {
            "occurs_at": done.occurs_at.isoformat(),
            "outcome": int(done.outcome),
            "reason": done.reason,
            "movement_id": done.movement_id and str(done.movement_id),
            "attempts": done.attempts,
            "decided_at": done.decided_at.isoformat(),
        }
    values = {"event_id": ids.new_id(), "kind": event_type, "subject_id": change.schedule_id}
    await conn.execute(_SQL["record_details"], values | {"details": Jsonb(details)})


class Waiting(NamedTuple):
    """What has no number yet.

    Args:
        commits: Rows of the outbox, NUMBERED_AT_ONCE_MAX at most.
        receipts: Receipts of sub-accounts in these.
    """

    commits: int
    receipts: int


async def look(conn: AsyncConnection) -> Waiting:
    """What waits for its number."""
    row = await (await conn.execute(_SQL["look"], {"limit": NUMBERED_AT_ONCE_MAX})).fetchone()
    assert row is not None, "an aggregate always answers"
    return Waiting(*row)


async def number(conn: AsyncConnection) -> int:
    """Numbers what can be seen in the outbox, at most NUMBERED_AT_ONCE_MAX rows.

    Args:
        conn: Within a transaction at READ COMMITTED.

    Returns:
        How many rows; 0 also if another transaction is numbering.
    """
    locked = await (await conn.execute(_SQL["lock"], {"lock": _LOCK})).fetchone()
    if locked is None or not locked[0]:
        return 0
    limit = {"limit": NUMBERED_AT_ONCE_MAX}
    if not queries.is_of_cluster(conn):
        return (await conn.execute(_SQL["number"], limit)).rowcount
    values = limit | {"account_opened": int(EventType.ACCOUNT_OPENED)}
    settled = await (await conn.execute(_SQL.on_cluster["settled"], values)).fetchall()
    rows = {
        "places": [place for place, _ in settled],
        "transaction_ids": [transaction_id for _, transaction_id in settled],
    }
    return (await conn.execute(_SQL.on_cluster["number"], rows)).rowcount
