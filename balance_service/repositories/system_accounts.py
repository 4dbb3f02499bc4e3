"""The service's own accounts: what commits added to them, rolled up into balances."""

from collections import defaultdict
from decimal import Decimal
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.accounts import SYSTEM_ACCOUNTS
from balance_service.repositories import queries

_SQL = queries.load(__file__)


async def roll_up(conn: AsyncConnection, limit: int) -> int:
    """Moves deltas into balances, within a transaction.

    Args:
        conn: A connection within a transaction.
        limit: How many deltas at most.

    Returns:
        How many deltas were moved.
    """
    deltas = await (await conn.execute(_SQL["take_deltas"], {"limit": limit})).fetchall()
    amounts: dict[UUID, Decimal] = defaultdict(Decimal)
    entries: dict[UUID, int] = defaultdict(int)
    for account_id, amount_minor, count in deltas:
        amounts[account_id] += amount_minor
        entries[account_id] += count
    account_ids = sorted(amounts)
    accounts = [SYSTEM_ACCOUNTS[account_id] for account_id in account_ids]
    if deltas:
        await conn.execute(
            _SQL["add"],
            {
                "account_ids": account_ids,
                "names": [account.name for account in accounts],
                "currencies": [account.currency for account in accounts],
                "amounts": [amounts[account_id] for account_id in account_ids],
                "entries": [entries[account_id] for account_id in account_ids],
            },
        )
    return len(deltas)
