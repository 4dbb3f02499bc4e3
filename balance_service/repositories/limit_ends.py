"""When limits end that operators set for a time."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.repositories import queries

_SQL = queries.load(__file__)


class LimitEnd(NamedTuple):
    """When an account's limits end, and what holds again then.

    Args:
        account_id: The account.
        change_id: The change that set them: once another has set limits, this end is void.
        ends_at: When.
        debit_limit_minor: The account's own limit for one debit from then on; None for none.
        daily_limit_minor: Likewise, for the debits of a day.
        principal: Who set them.
    """

    account_id: UUID
    change_id: UUID
    ends_at: datetime
    debit_limit_minor: int | None
    daily_limit_minor: int | None
    principal: str


async def put(conn: AsyncConnection, end: LimitEnd) -> None:
    """Notes when the limits of a locked account end, in place of what was noted before."""
    await conn.execute(_SQL["put"], end._asdict())


async def find(conn: AsyncConnection, account_id: UUID) -> LimitEnd | None:
    """What is noted of an account, void or not."""
    cursor = await conn.execute(_SQL["find"], {"account_id": account_id})
    row = await cursor.fetchone()
    return LimitEnd(*row) if row else None


async def due(conn: AsyncConnection, limit: int) -> list[UUID]:
    """Accounts whose limits have ended, void or not, by Postgres's clock; some of them."""
    cursor = await conn.execute(_SQL["due"], {"limit": limit})
    return [account_id for (account_id,) in await cursor.fetchall()]


async def take(conn: AsyncConnection, account_id: UUID) -> LimitEnd | None:
    """What is noted of a locked account, if its time has come: it is noted no more."""
    cursor = await conn.execute(_SQL["take"], {"account_id": account_id})
    row = await cursor.fetchone()
    return LimitEnd(*row) if row else None
