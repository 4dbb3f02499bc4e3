"""A ledger whose older entries are archived, for tests of what callers are told of it."""

from datetime import UTC, datetime, timedelta
from typing import LiteralString

import psycopg

from balance_service.domain.archived import Horizon
from balance_service.repositories import horizon

# What has a time, and is dated back with the rest of a ledger.
DATED: dict[LiteralString, tuple[LiteralString, ...]] = {
    "movements": ("created_at", "expires_at"),
    "entries": ("created_at",),
    "system_entries": ("created_at",),
    "movement_labels": ("created_at",),
    "accounts": ("created_at", "changed_at"),
    "holds": ("created_at", "expires_at"),
    "outbox": ("created_at",),
    "waiting_receipts": ("created_at",),
}
_ARCHIVE = """
WITH taken AS (
    DELETE FROM entries WHERE created_at < %(before)s RETURNING *
),
system AS (
    DELETE FROM system_entries WHERE created_at < %(before)s RETURNING *
),
forward AS (
    INSERT INTO brought_forward (account_id, sequence, balance_minor, created_at)
    SELECT DISTINCT ON (account_id) account_id, sequence, balance_after_minor, created_at
    FROM taken
    ORDER BY account_id, sequence DESC
    ON CONFLICT (account_id) DO UPDATE SET
        sequence = excluded.sequence,
        balance_minor = excluded.balance_minor,
        created_at = excluded.created_at
),
system_forward AS (
    INSERT INTO system_brought_forward AS f (account_id, amount_minor, entries)
    SELECT account_id, sum(amount_minor), count(*) FROM system GROUP BY account_id
    ON CONFLICT (account_id) DO UPDATE SET
        amount_minor = f.amount_minor + excluded.amount_minor,
        entries = f.entries + excluded.entries
)
INSERT INTO archives (
    ends_at, starts_at, values_end_at,
    entries, entries_minor, entries_bytes, entries_sha256,
    system_entries, system_entries_minor, system_entries_bytes, system_entries_sha256,
    last_checkpoint, archived_at
)
SELECT
    %(before)s, (SELECT max(ends_at) FROM archives), max(coalesce(effective_at, created_at)),
    count(*), coalesce(sum(amount_minor), 0), 0, '',
    (SELECT count(*) FROM system), (SELECT coalesce(sum(amount_minor), 0) FROM system), 0, '',
    coalesce((SELECT max(number) FROM checkpoints), 0), clock_timestamp()
FROM taken
"""


async def archive(owner_url: str, before: datetime) -> Horizon:
    """Leaves the ledger as the archiving of all that was booked before a moment does."""
    async with await psycopg.AsyncConnection.connect(owner_url) as conn:
        await conn.execute(_ARCHIVE, {"before": before})
        return await horizon.read_met(conn)


async def run(url: str, *statements: LiteralString) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        for statement in statements:
            await conn.execute(statement)


async def date_back(url: str, to: datetime) -> None:
    """Has all that is newer than the year before last have been booked then."""
    by_ = datetime.now(UTC) - to
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        for table, columns in DATED.items():
            for column in columns:
                change = f"UPDATE {table} SET {column} = {column} - %s WHERE {column} > %s"
                await conn.execute(change.encode(), (by_, datetime.now(UTC) - timedelta(days=1)))


async def expire_events(url: str) -> None:
    """Deletes all events but the newest, as happens when their time is over."""
    await run(
        url, "DELETE FROM events WHERE last_sequence < (SELECT max(last_sequence) FROM events)"
    )
