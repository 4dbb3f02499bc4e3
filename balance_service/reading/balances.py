"""Reads accounts, many in one query: the reads that come while a query runs share the next one.

A query costs the event loop several times what an account in its answer adds. A read joins only a
query that was not sent yet, so it sees all that was committed before it came.
"""

import asyncio
from collections.abc import Mapping
from uuid import UUID

from balance_service.database.pool import Pool
from balance_service.domain.accounts import AccountProfile
from balance_service.repositories import accounts

READS_PER_QUERY_MAX = 500

Answer = asyncio.Future[AccountProfile | None]


class AccountReads:
    """Reads accounts by id.

    Args:
        pool: One connection of it is used at a time.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[UUID, Answer] = {}
        self._under_way: asyncio.Task[None] | None = None

    async def get(self, account_id: UUID) -> AccountProfile | None:
        """An account, if it exists."""
        answer = self._waiting.get(account_id)
        if answer is None:
            answer = asyncio.get_running_loop().create_future()
            self._waiting[account_id] = answer
            if self._under_way is None:
                self._under_way = asyncio.create_task(self._run())
        # A caller who goes away must not take the others' answer along.
        return await asyncio.shield(answer)

    async def _run(self) -> None:
        while self._waiting:
            answers = dict(list(self._waiting.items())[:READS_PER_QUERY_MAX])
            for account_id in answers:
                del self._waiting[account_id]
            try:
                async with self._pool.connection() as conn:
                    profiles = await accounts.get(conn, list(answers))
            except Exception as error:  # noqa: BLE001 - whatever it is, every caller must hear it
                for answer in answers.values():
                    answer.set_exception(error)
            else:
                _answer(answers, {p.account.account_id: p for p in profiles})
        self._under_way = None


def _answer(answers: Mapping[UUID, Answer], profiles: Mapping[UUID, AccountProfile]) -> None:
    for account_id, answer in answers.items():
        answer.set_result(profiles.get(account_id))
