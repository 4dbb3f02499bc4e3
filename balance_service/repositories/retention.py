"""Deletes what nobody can use any more, a bounded number of rows at a time.

No row of money is among it: docs/operating/retention.md lists every table.
"""

from datetime import timedelta
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.repositories import queries

_SQL = queries.load(__file__)

# Tables of which an index has what is old.
BY_TIME = (
    "idempotency_keys",
    "verifications",
    "sign_in_quotas",
    "known_askers",
    # Nothing is added to it any more.
    "confirmation_codes",
)
# Tables that are looked through by their keys.
BY_KEY = ("refresh_tokens", "sessions")
# Rows that one transaction deletes, or looks at.
AT_ONCE_MAX = 5_000


async def delete_old(conn: AsyncConnection, table: str, kept: timedelta) -> bool:
    """Deletes the oldest rows of a table.

    Args:
        conn: Within a transaction.
        table: One of BY_TIME.
        kept: How long they are kept after their time.

    Returns:
        Whether there may be more.
    """
    values = {"kept": kept, "limit": AT_ONCE_MAX}
    return (await conn.execute(_SQL[table], values)).rowcount == AT_ONCE_MAX


async def delete_old_of_part(
    conn: AsyncConnection, table: str, kept: timedelta, after: bytes | UUID | None
) -> bytes | UUID | None:
    """Deletes old rows among the next AT_ONCE_MAX of a table.

    Args:
        conn: Within a transaction.
        table: One of BY_KEY.
        kept: How long they are kept after their time.
        after: The last key of the part before; None to begin.

    Returns:
        The last key of this one; None at the end.
    """
    values = {"kept": kept, "limit": AT_ONCE_MAX, "after": after}
    row = await (await conn.execute(_SQL[table], values)).fetchone()
    return row[0] if row else None
