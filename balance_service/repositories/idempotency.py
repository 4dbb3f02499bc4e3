"""Request ids of calls that move no money, with their answers, in the transaction of the change."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.repositories import queries

_SQL = queries.load(__file__)


class Answered(NamedTuple):
    """What a request id was used for, and what was answered."""

    method: str
    request: bytes
    answer: bytes


async def claim(
    conn: AsyncConnection,
    principal: str,
    request_id: UUID,
    method: str,
    request: bytes,
    now: datetime,
) -> Answered | None:
    """Takes a request id for this transaction.

    Returns:
        None if it is new; otherwise what it was used for before.
    """
    key = {"principal": principal, "request_id": request_id}
    values = {**key, "method": method, "request": request, "now": now}
    if (await conn.execute(_SQL["claim"], values)).rowcount:
        return None
    row = await (await conn.execute(_SQL["find"], key)).fetchone()
    assert row is not None, "a key that conflicts is committed, and kept for days"
    return Answered(*row)


async def answer(conn: AsyncConnection, principal: str, request_id: UUID, message: bytes) -> None:
    """Keeps the answer to a claimed request id."""
    values = {"principal": principal, "request_id": request_id, "answer": message}
    await conn.execute(_SQL["answer"], values)


async def forget(conn: AsyncConnection, principal: str) -> None:
    """Deletes what a principal asked and was answered."""
    await conn.execute(_SQL["forget"], {"principal": principal})
