"""Accounts outside the hot path: opening, reading, and operators' changes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain import ids
from balance_service.domain.accounts import Account, AccountProfile, Status
from balance_service.repositories import queries

_SQL = queries.load(__file__)


async def open_account(conn: AsyncConnection, owner_id: UUID, currency: str) -> tuple[UUID, bool]:
    """Opens an account, unless the user has one in this currency.

    Args:
        conn: A connection within a transaction.
        owner_id: An existing user.
        currency: ISO 4217 code.

    Returns:
        The account's id, and whether it is new.
    """
    values: dict[str, object] = {
        "account_id": ids.new_id(),
        "owner_id": owner_id,
        "currency": currency,
    }
    claimed = await conn.execute(_SQL["claim_owner"], values)
    if not claimed.rowcount:
        existing = await find_id(conn, owner_id, currency)
        assert existing is not None, "account owners are never deleted"
        return existing, False
    while not (await conn.execute(_SQL["claim_number"], _numbered(values))).rowcount:
        pass  # One number in two thousand is taken at a million accounts: draw again.
    await conn.execute(_SQL["insert"], values)
    account_id = values["account_id"]
    assert isinstance(account_id, UUID)
    return account_id, True


def _numbered(values: dict[str, object]) -> dict[str, object]:
    values["number"] = ids.new_account_number()
    return values


async def find_id(conn: AsyncConnection, owner_id: UUID, currency: str) -> UUID | None:
    """The account that a user has in a currency, if any."""
    cursor = await conn.execute(_SQL["find_id"], {"owner_id": owner_id, "currency": currency})
    row = await cursor.fetchone()
    return row[0] if row else None


async def ids_of_owner(conn: AsyncConnection, owner_id: UUID) -> list[UUID]:
    """All accounts of a user, oldest first."""
    cursor = await conn.execute(_SQL["ids_of_owner"], {"owner_id": owner_id})
    return [row[0] for row in await cursor.fetchall()]


async def id_of_number(conn: AsyncConnection, number: int) -> UUID | None:
    """The account with a public number, if any."""
    cursor = await conn.execute(_SQL["id_of_number"], {"number": number})
    row = await cursor.fetchone()
    return row[0] if row else None


async def get(conn: AsyncConnection, account_ids: Sequence[UUID]) -> list[AccountProfile]:
    """Those accounts that exist, oldest first."""
    cursor = await conn.execute(_SQL["get"], {"account_ids": list(account_ids)})
    return [_profile(row) for row in await cursor.fetchall()]


async def lock(conn: AsyncConnection, account_id: UUID) -> AccountProfile | None:
    """An account, locked until the transaction ends."""
    cursor = await conn.execute(_SQL["lock"], {"account_id": account_id})
    row = await cursor.fetchone()
    return _profile(row) if row else None


async def free(conn: AsyncConnection, account_ids: Sequence[UUID]) -> tuple[datetime, set[UUID]]:
    """Which of some accounts no commit has locked, and when by Postgres's clock.

    What is committed on these later is dated later: movements are dated under the accounts' locks.

    Args:
        conn: A connection outside any transaction.
        account_ids: Existing accounts.
    """
    # Undone rather than committed, for a commit would wait for the disk and for standbys.
    async with conn.transaction(force_rollback=True):
        cursor = await conn.execute(_SQL["lock_if_free"], {"account_ids": list(account_ids)})
        row = await cursor.fetchone()
    assert row is not None, "a clock always answers"
    return row[0], set(row[1])


async def set_rules(
    conn: AsyncConnection, account_id: UUID, status: Status, limit_minor: int
) -> None:
    """Changes whether and how far money may move on a locked account."""
    await conn.execute(
        _SQL["set_rules"],
        {"account_id": account_id, "status": status, "limit_minor": limit_minor},
    )


def account_of(row: Sequence[Any]) -> Account:
    """The account of a row with the columns of Account, in their order; on the hot path."""
    return Account._make([*row[:6], Status(row[6]), *row[7:9]])


def _profile(row: Sequence[Any]) -> AccountProfile:
    """The profile of a row with the columns of Account, then those of AccountProfile."""
    return AccountProfile(account_of(row), number=row[9], created_at=row[10])
