"""What operators changed on accounts: added to, and never changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.account_changes import AccountChange, ChangeKind, Rules
from balance_service.domain.accounts import Status
from balance_service.domain.events import OF_CHANGES
from balance_service.repositories import outbox, queries

_SQL = queries.load(__file__)


async def read_clock(conn: AsyncConnection) -> datetime:
    """Postgres's time, which dates changes as it dates movements."""
    row = await (await conn.execute(_SQL["read_clock"])).fetchone()
    assert row is not None, "a clock always answers"
    moment: datetime = row[0]
    return moment


async def insert(conn: AsyncConnection, change: AccountChange) -> None:
    """Adds a change, and its event.

    Args:
        conn: Within the transaction that makes it, with the account locked and changed.
        change: The change.
    """
    values = {
        "change_id": change.change_id,
        "account_id": change.account_id,
        "kind": change.kind,
        "reason": change.reason,
        "principal": change.principal,
        "request_id": change.request_id,
        "created_at": change.created_at,
    }
    for when, rules in (("before", change.before), ("after", change.after)):
        values |= {
            f"status_{when}": rules.status,
            f"limit_{when}_minor": rules.limit_minor,
            f"debit_limit_{when}_minor": rules.debit_limit_minor,
            f"daily_limit_{when}_minor": rules.daily_limit_minor,
        }
    await conn.execute(_SQL["insert"], values)
    await outbox.record_account(conn, OF_CHANGES[change.kind], change.account_id)


async def last_of_kind(conn: AsyncConnection, account_id: UUID, kind: ChangeKind) -> UUID | None:
    """The id of an account's last change of a kind; None if there was none."""
    values = {"account_id": account_id, "kind": kind}
    row = await (await conn.execute(_SQL["last_of_kind"], values)).fetchone()
    return row[0] if row else None


async def page(
    conn: AsyncConnection, account_id: UUID, before: UUID | None, limit: int, skip: int = 0
) -> list[AccountChange]:
    """Changes of an account, newest first.

    Args:
        conn: Any connection.
        account_id: The account.
        before: The change after which, in that order, the page starts.
        limit: How many at most.
        skip: How many to leave out before them.
    """
    values = {"account_id": account_id, "before": before, "limit": limit, "skip": skip}
    cursor = await conn.execute(_SQL["page"], values)
    return [_change(row) for row in await cursor.fetchall()]


async def count(conn: AsyncConnection, account_id: UUID) -> int:
    """How many changes an account has."""
    cursor = await conn.execute(_SQL["count"], {"account_id": account_id})
    row = await cursor.fetchone()
    assert row is not None, "a count always has a row"
    return int(row[0])


def _change(row: Sequence[Any]) -> AccountChange:
    change_id, account_id, kind, *rules, reason, principal, request_id, created_at = row
    return AccountChange(
        change_id,
        account_id,
        ChangeKind(kind),
        Rules(Status(rules[0]), *rules[1:4]),
        Rules(Status(rules[4]), *rules[5:8]),
        reason,
        principal,
        request_id,
        created_at,
    )
