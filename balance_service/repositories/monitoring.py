"""What operators watch of the database's contents."""

from datetime import timedelta
from typing import NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from balance_service.domain.audit import Action
from balance_service.repositories import queries

_SQL = queries.load(__file__)

# Partitions are made long before: this is time enough to ask why one was not.
DUE_BEFORE = timedelta(days=30)
_PARAMETERS = {"verified": Action.LEDGER_VERIFIED, "due_before": DUE_BEFORE}


class Watched(NamedTuple):
    """What is watched; None where there is nothing yet.

    Args:
        unsealed: Events of the audit log that are not sealed, a thousand at most.
        oldest_unsealed_seconds: The age of the oldest of them; 0 for none.
        last_sealed_seconds: The age of the newest event that is sealed.
        unnumbered: Commits, and other changes, whose events have no number yet, a thousand at most.
        oldest_unnumbered_seconds: The age of the oldest of them; 0 for none.
        waiting_receipts: What waits on sub-accounts for its numbers, of a thousand commits at most.
        oldest_waiting_seconds: The age of the oldest of it; 0 for none.
        webhook_due_seconds: How long the event has been due that is for longest, of the webhooks
            that are enabled; 0 for none.
        webhook_failing_seconds: How long the endpoint has failed that has for longest.
        webhook_dead: Events that are not sent any more, a thousand at most.
        uncounted: Events that the totals of the ledger lack yet.
        uncovered: Events that no checkpoint covers yet.
        oldest_uncovered_seconds: How long the oldest of them has been numbered; 0 for none.
        checkpoint_seconds: The age of the last checkpoint.
        oldest_due_seconds: For how long the oldest schedule is due that no worker has; 0 for none.
        verified_seconds: How long ago `verify` ended.
        verify_faults: How many faults it found.
        verify_took_seconds: How long it took.
        partitions_due: Tables of entries whose newest partition ends within DUE_BEFORE.
    """

    unsealed: int
    oldest_unsealed_seconds: float
    last_sealed_seconds: float | None
    unnumbered: int
    oldest_unnumbered_seconds: float
    waiting_receipts: int
    oldest_waiting_seconds: float
    webhook_due_seconds: float
    webhook_failing_seconds: float
    webhook_dead: int
    uncounted: int
    uncovered: int
    oldest_uncovered_seconds: float
    checkpoint_seconds: float | None
    oldest_due_seconds: float
    verified_seconds: float | None
    verify_faults: int | None
    verify_took_seconds: float | None
    partitions_due: int


async def watch(conn: AsyncConnection) -> Watched:
    """Reads what is watched, by Postgres's clock."""
    cursor = conn.cursor(row_factory=dict_row)
    await cursor.execute(_SQL["watch"], _PARAMETERS)
    row = await cursor.fetchone()
    assert row is not None, "one row for all"
    verified = row["verified"] or {}
    faults, seconds = verified.get("faults"), verified.get("seconds")
    return Watched(
        unsealed=row["unsealed"],
        oldest_unsealed_seconds=row["oldest_unsealed_seconds"],
        last_sealed_seconds=row["last_sealed_seconds"],
        unnumbered=row["unnumbered"],
        oldest_unnumbered_seconds=row["oldest_unnumbered_seconds"],
        waiting_receipts=int(row["waiting_receipts"]),
        oldest_waiting_seconds=row["oldest_waiting_seconds"],
        webhook_due_seconds=row["webhook_due_seconds"],
        webhook_failing_seconds=row["webhook_failing_seconds"],
        webhook_dead=row["webhook_dead"],
        uncounted=row["uncounted"],
        uncovered=row["uncovered"],
        oldest_uncovered_seconds=row["oldest_uncovered_seconds"],
        checkpoint_seconds=row["checkpoint_seconds"],
        oldest_due_seconds=row["oldest_due_seconds"],
        verified_seconds=row["verified_seconds"],
        verify_faults=None if faults is None else int(faults),
        verify_took_seconds=None if seconds is None else float(seconds),
        partitions_due=row["partitions_due"],
    )


async def is_read_only(conn: AsyncConnection) -> bool:
    """Whether nothing can be written, as on a standby."""
    row = await (await conn.execute(_SQL["is_read_only"])).fetchone()
    assert row is not None, "a setting always has a value"
    return bool(row[0])
