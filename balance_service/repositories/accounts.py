"""Accounts outside the hot path: opening, reading, and operators' changes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor

from balance_service.domain import ids
from balance_service.domain.accounts import Account, AccountFilter, AccountProfile, Status
from balance_service.domain.events import EventType
from balance_service.domain.external_ids import ExternalId, Subject
from balance_service.repositories import arrays, outbox, queries
from balance_service.repositories.failures import Unsettled

_SQL = queries.load(__file__)
# A number is taken with a chance of one in 900 at a million accounts: ten in a row never are.
NUMBER_DRAWS_MAX = 10
# Looking a status up takes a quarter of the time of making one.
_STATUSES = {int(status): status for status in Status}


async def open_account(conn: AsyncConnection, owner_id: UUID, currency: str) -> tuple[UUID, bool]:
    """Opens an account, unless the user has one in this currency.

    Args:
        conn: A connection within a transaction.
        owner_id: An existing user.
        currency: ISO 4217 code.

    Returns:
        The account's id, and whether it is new.

    Raises:
        Unsettled: On a cluster, it was opened just now and cannot be seen yet.
    """
    account_id = ids.new_id()
    owner = {"owner_id": owner_id, "currency": currency, "account_id": account_id}
    if not (await conn.execute(_SQL["claim_owner"], owner)).rowcount:
        opened_before = (await find_ids(conn, [(owner_id, currency)]))[owner_id, currency]
        if queries.is_of_cluster(conn) and not await get(conn, [opened_before]):
            raise Unsettled
        return opened_before, False
    number = await _claim_number(conn, account_id)
    await conn.execute(_SQL["insert"], {**owner, "number": number})
    await outbox.record_account(conn, EventType.ACCOUNT_OPENED, account_id)
    return account_id, True


async def _claim_number(conn: AsyncConnection, account_id: UUID) -> int:
    for _ in range(NUMBER_DRAWS_MAX):
        number = ids.new_account_number()
        claim = {"number": number, "account_id": account_id}
        if (await conn.execute(_SQL["claim_number"], claim)).rowcount:
            return number
    raise RuntimeError(f"{NUMBER_DRAWS_MAX} account numbers in a row were taken")


async def find_ids(
    conn: AsyncConnection, owned: Sequence[tuple[UUID, str]]
) -> dict[tuple[UUID, str], UUID]:
    """The accounts that users have in currencies, by user and ISO 4217 code; those there are."""
    values = {
        "owner_ids": arrays.uuids(owner_id for owner_id, _ in owned),
        "currencies": arrays.texts(currency for _, currency in owned),
    }
    rows = await (await conn.execute(_SQL["find_ids"], values)).fetchall()
    return {(owner_id, currency): account_id for owner_id, currency, account_id in rows}


async def ids_of_owner(conn: AsyncConnection, owner_id: UUID) -> list[UUID]:
    """All accounts of a user, oldest first."""
    cursor = await conn.execute(_SQL["ids_of_owner"], {"owner_id": owner_id})
    return [row[0] for row in await cursor.fetchall()]


async def page(
    conn: AsyncConnection, owner_id: UUID, after: UUID | None, limit: int, skip: int = 0
) -> list[AccountProfile]:
    """Accounts of a user, oldest first.

    Args:
        conn: Any connection.
        owner_id: The user.
        after: The account after which the page starts.
        limit: How many at most.
        skip: How many to leave out before them.
    """
    values = {"owner_id": owner_id, "after": after, "limit": limit, "skip": skip}
    cursor = await conn.execute(_SQL["page"], values)
    return await get(conn, [row[0] for row in await cursor.fetchall()])


async def count(conn: AsyncConnection, owner_id: UUID) -> int:
    """How many accounts a user has."""
    cursor = await conn.execute(_SQL["count"], {"owner_id": owner_id})
    row = await cursor.fetchone()
    assert row is not None, "a count always has a row"
    return int(row[0])


async def search(
    conn: AsyncConnection,
    wanted: AccountFilter,
    after: UUID,
    limit: int,
    skip: int,
    reach: int | None,
) -> list[AccountProfile]:
    """Everybody's accounts, oldest first.

    Args:
        conn: Any connection.
        wanted: Which to keep.
        after: The account after which the page starts.
        limit: How many at most.
        skip: How many to leave out before them.
        reach: How many accounts it looks at; None for all.
    """
    values = {"after": after, "limit": limit, "skip": skip, "reach": reach}
    cursor = await conn.execute(_SQL.of(conn)["search"], wanted._asdict() | values)
    return [_profile(row) for row in await cursor.fetchall()]


async def end_of_reach(conn: AsyncConnection, after: UUID, reach: int) -> UUID | None:
    """The last account that a page looked at; None if it looked at all there are.

    Args:
        conn: Any connection.
        after: The account after which the page starts.
        reach: How many accounts it looks at.
    """
    cursor = await conn.execute(_SQL["end_of_reach"], {"after": after, "reach": reach})
    row = await cursor.fetchone()
    return row[0] if row else None


async def count_search(conn: AsyncConnection, wanted: AccountFilter) -> int:
    """How many accounts of everybody a list keeps."""
    cursor = await conn.execute(_SQL["count_search"], wanted._asdict())
    row = await cursor.fetchone()
    assert row is not None, "a count always has a row"
    return int(row[0])


async def ids_of_numbers(conn: AsyncConnection, numbers: Sequence[int]) -> dict[int, UUID]:
    """The accounts with public numbers, by number; those there are."""
    values = {"numbers": arrays.bigints(numbers)}
    return dict(await (await conn.execute(_SQL["ids_of_numbers"], values)).fetchall())


async def find_by_number(conn: AsyncConnection, number: int) -> AccountProfile | None:
    """The account with a public number, if any."""
    return await _find(conn, "find_by_number", {"number": number})


async def find_by_owner(
    conn: AsyncConnection, owner_id: UUID, currency: str
) -> AccountProfile | None:
    """The account of a user in a currency, if any."""
    return await _find(conn, "find_by_owner", {"owner_id": owner_id, "currency": currency})


async def find_by_external_id(
    conn: AsyncConnection, external_id: ExternalId
) -> AccountProfile | None:
    """The account that a source calls so, if any."""
    values = {"source": external_id.source, "external_id": external_id.text}
    return await _find(conn, "find_by_external_id", {**values, "kind": Subject.ACCOUNT})


async def get(conn: AsyncConnection, account_ids: Sequence[UUID]) -> list[AccountProfile]:
    """Those accounts that exist, oldest first."""
    cursor = await conn.execute(_SQL.of(conn)["get"], {"account_ids": list(account_ids)})
    return [_profile(row) for row in await cursor.fetchall()]


async def lock(conn: AsyncConnection, account_id: UUID) -> AccountProfile | None:
    """An account, locked until the transaction ends; its sub-accounts may take receipts still."""
    return await _find(conn, "lock", {"account_id": account_id})


async def find_unlocked(
    conn: AsyncConnection, account_ids: Sequence[UUID]
) -> tuple[datetime, set[UUID]]:
    """Postgres's time, and which of some accounts no commit had locked then; nothing waits on them.

    Movements are dated under the accounts' locks, so what is committed on these later is dated
    later.

    Args:
        conn: A connection outside any transaction.
        account_ids: Existing accounts.
    """
    # Rolled back, because a commit would wait for the disk and for standbys.
    async with conn.transaction(force_rollback=True):
        if queries.is_of_cluster(conn):
            return await _find_each_unlocked(conn, account_ids)
        cursor = await conn.execute(_SQL["lock_if_free"], {"account_ids": list(account_ids)})
        row = await cursor.fetchone()
    assert row is not None, "a clock always answers"
    now, free, with_sub_accounts, free_sub_accounts = row
    taken: Counter[UUID] = Counter(with_sub_accounts) - Counter(free_sub_accounts)
    return now, set(free) - taken.keys()


async def _find_each_unlocked(
    conn: AsyncConnection, account_ids: Sequence[UUID]
) -> tuple[datetime, set[UUID]]:
    """As `find_unlocked`, by a statement an account: no statement locks on several shards."""
    clock = await (await conn.execute(_SQL.on_cluster["clock"])).fetchone()
    assert clock is not None, "a clock always answers"
    free = set()
    for account_id in account_ids:
        values = {"account_id": account_id}
        if await (await conn.execute(_SQL.on_cluster["lock_if_free"], values)).fetchone():
            free.add(account_id)
    return clock[0], free


async def set_rules(conn: AsyncConnection, account: Account) -> None:
    """Changes whether and how far money may move on a locked account to what it says of that."""
    await conn.execute(
        _SQL["set_rules"],
        {
            "account_id": account.account_id,
            "status": account.status,
            "limit_minor": account.limit_minor,
            "debit_limit_minor": account.debit_limit_minor,
            "daily_limit_minor": account.daily_limit_minor,
        },
    )


async def read_for_commit(conn: AsyncConnection, account_ids: Iterable[UUID]) -> AsyncCursor:
    """As `lock_for_commit`, for accounts that the commit has locked, or a sub-account of each."""
    columns = {"account_ids": arrays.uuids(account_ids)}
    return await conn.execute(_SQL["read_for_commit"], columns, prepare=True)


async def lock_for_commit(conn: AsyncConnection, account_ids: Iterable[UUID]) -> AsyncCursor:
    """Sends the statement that locks the accounts of a commit; its rows are for `account_of`.

    Args:
        conn: A connection in pipeline mode, within a transaction.
        account_ids: In any order.
    """
    columns = {"account_ids": arrays.uuids(account_ids)}
    return await conn.execute(_SQL["lock_for_commit"], columns, prepare=True)


async def lock_each_for_commit(
    conn: AsyncConnection, account_ids: Iterable[UUID]
) -> list[AsyncCursor]:
    """As `lock_for_commit`, by a statement an account: no statement locks on several shards.

    Args:
        conn: A connection in pipeline mode, within a transaction.
        account_ids: In any order.
    """
    return [
        await conn.execute(_SQL["lock_one_for_commit"], {"account_id": account_id}, prepare=True)
        for account_id in sorted(account_ids)
    ]


def account_of(row: Sequence[Any]) -> Account:
    """The account of a row with the columns of Account, in their order: names cost time here."""
    account_id, owner_id, currency, balance, held, limit, status, sequence, *rest = row
    changed_at, spent, debit_limit, daily_limit, sub_account_count = rest
    return Account(
        account_id,
        owner_id,
        currency,
        balance,
        held,
        limit,
        _STATUSES[status],
        sequence,
        changed_at,
        spent,
        debit_limit,
        daily_limit,
        sub_account_count,
    )


async def _find(
    conn: AsyncConnection, query: str, values: Mapping[str, object]
) -> AccountProfile | None:
    cursor = await conn.execute(_SQL.of(conn)[query], values)
    row = await cursor.fetchone()
    return _profile(row) if row else None


def _profile(row: Sequence[Any]) -> AccountProfile:
    number, created_at, *account, waiting_minor, waiting = row
    return AccountProfile(account_of(account), number, created_at, waiting_minor, waiting)
