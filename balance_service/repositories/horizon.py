"""Reads from when on the ledger has entries, and what is archived of accounts.

Entries are read first and this after them: what is missing among them is known by then.
"""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain import errors
from balance_service.domain.archived import Archived, Horizon, LastArchived
from balance_service.repositories import archives

_MICROSECOND = timedelta(microseconds=1)


async def read(conn: AsyncConnection) -> Horizon | None:
    """From when on the ledger has entries; None if it has all."""
    found = await archives.horizon(conn)
    if found is None:
        return None
    valued = found.values_end_at + _MICROSECOND if found.values_end_at else found.ends_at
    return Horizon(found.ends_at, valued)


async def of_accounts(conn: AsyncConnection, account_ids: Collection[UUID]) -> Archived | None:
    """What is archived of some accounts; None if nothing is.

    Raises:
        Unavailable: It is restored just now.
    """
    forward = await archives.brought_forward(conn, account_ids)
    if not forward:
        return None
    last = {
        account_id: LastArchived(each.sequence, each.created_at)
        for account_id, each in forward.items()
    }
    return Archived(await read_met(conn), last)


async def read_met(conn: AsyncConnection) -> Horizon:
    """The horizon, for whoever met archived entries.

    Raises:
        Unavailable: They were restored meanwhile.
    """
    horizon = await read(conn)
    if horizon is None:
        raise errors.Unavailable
    return horizon
