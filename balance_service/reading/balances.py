"""Reads accounts by id, many in one query."""

from collections.abc import Sequence
from typing import TypeAlias
from uuid import UUID

from balance_service.database.pool import Connection, Pool
from balance_service.domain.accounts import AccountProfile
from balance_service.reading.gathering import Gathering
from balance_service.repositories import accounts

ACCOUNTS_PER_QUERY_MAX = 500

AccountReads: TypeAlias = Gathering[UUID, AccountProfile]


def gather(pool: Pool) -> AccountReads:
    """Gathers reads of accounts."""
    return Gathering(pool, _read, ACCOUNTS_PER_QUERY_MAX)


async def _read(conn: Connection, account_ids: Sequence[UUID]) -> dict[UUID, AccountProfile]:
    return {p.account.account_id: p for p in await accounts.get(conn, account_ids)}
