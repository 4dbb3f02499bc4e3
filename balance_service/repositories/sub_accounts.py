"""Sub-accounts: locking them for a commit, what waits on them, and numbering it on the account."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor

from balance_service.domain.accounts import Account, AccountProfile
from balance_service.domain.days import Calendar
from balance_service.domain.movements import Movement, Receipt
from balance_service.domain.sub_accounts import KnownSubAccounts, Sharing, SubAccount
from balance_service.repositories import accounts, arrays, queries
from balance_service.repositories.failures import LockedOtherwise
from balance_service.telemetry import traces

_SQL = queries.load(__file__)
# A receipt is numbered once it has waited for so long, unless the account is wanted before.
NUMBERED_AFTER_SECONDS = 0.2
NUMBERED_AT_ONCE_MAX = 1_000


class SharedAccounts:
    """What a commit does with accounts that have sub-accounts.

    Args:
        conn: A connection in pipeline mode, within a transaction.
        sharing: How the commit locks them.
        zone: The zone of the days on which debits count.
    """

    def __init__(self, conn: AsyncConnection, sharing: Sharing, zone: str) -> None:
        self._conn = conn
        self._zone = zone
        self._sent: Sequence[AsyncCursor] = ()
        self.sharing = sharing
        self.now: datetime
        self.place: str

    async def lock(self, account_ids: Collection[UUID]) -> None:
        """Sends what locks sub-accounts, and numbers what waits on accounts that are locked whole.

        Args:
            account_ids: All accounts of the commit; those of which no sub-account alone is to be
                locked are locked already.
        """
        whole, receiving = self.sharing
        wanted = {
            "whole": arrays.uuids(whole),
            "account_ids": arrays.uuids(receiving),
            "places": arrays.smallints(share.place for share in receiving.values()),
        }
        locked = await self._send("lock", wanted)
        if whole:
            waiting = {"account_ids": arrays.uuids(whole)}
            await self._send("lock_told", waiting)
            await self._send("number", {**waiting, "zone": self._zone})
        read = await accounts.read_for_commit(self._conn, [*whole, *receiving])
        turn = await self._send("take_turn", {"account_ids": arrays.uuids(account_ids)})
        self._sent = locked, read, turn

    async def read(self) -> tuple[dict[UUID, Account], dict[tuple[UUID, int], SubAccount]]:
        """The accounts of which it locked sub-accounts, and these, by account and place."""
        locked, read, turn = self._sent
        found = [SubAccount(*row) for row in await locked.fetchall()]
        shared = [accounts.account_of(row) for row in await read.fetchall()]
        ((self.now, self.place),) = await turn.fetchall()
        by_place = {(each.account_id, each.place): each for each in found}
        return {account.account_id: account for account in shared}, by_place

    async def receive(self, made: Sequence[Movement], receipts: Sequence[Receipt]) -> None:
        """Writes what a commit adds to the accounts whose sub-accounts it has locked.

        Args:
            made: All its movements, in the order of its events.
            receipts: What waits by them.
        """
        ordinals = {movement.movement_id: place for place, movement in enumerate(made, 1)}
        dated = {movement.movement_id: movement.created_at for movement in made}
        by_account = sorted(receipts, key=lambda receipt: receipt.account_id)
        for account_id, group in itertools.groupby(by_account, lambda each: each.account_id):
            added = list(group)
            await self._send(
                "receive",
                {
                    "account_id": account_id,
                    "place": self.place,
                    "sub_account": self.sharing.receiving[account_id].place,
                    "created_at": dated[added[0].movement_id],
                    "ordinals": arrays.bigints(ordinals[each.movement_id] for each in added),
                    "movement_ids": arrays.uuids(each.movement_id for each in added),
                    "kinds": arrays.smallints(each.kind for each in added),
                    "amounts_minor": arrays.bigints(each.amount_minor for each in added),
                    "counterparty_ids": arrays.uuids(each.counterparty_id for each in added),
                    "effective_at": arrays.times(each.effective_at for each in added),
                    "received_minor": sum(each.amount_minor for each in added),
                    "receipts": len(added),
                },
            )

    async def _send(self, query: str, values: Mapping[str, object] | None = None) -> AsyncCursor:
        """Sends a prepared statement, whose rows are read later."""
        traces.statement_sent(query)
        return await self._conn.execute(_SQL[query], values, prepare=True)


class Shares(Protocol):
    """What a commit has locked of accounts that have sub-accounts, in any store."""

    sharing: Sharing

    async def read(self) -> tuple[dict[UUID, Account], dict[tuple[UUID, int], SubAccount]]:
        """As of `SharedAccounts`."""


async def check_shared(
    known: KnownSubAccounts, shared: Shares | None, locked: Mapping[UUID, Account]
) -> Mapping[UUID, Account]:
    """Checks that a commit locked the sub-accounts that it has to.

    Args:
        known: What this worker knows of them; it learns what it did not know.
        shared: What the commit does with those that were known; None if none was.
        locked: The accounts that it locked.

    Returns:
        The accounts of which it locked sub-accounts, as they are since.

    Raises:
        LockedOtherwise: An account has other sub-accounts than were known, or one has no room.
    """
    if shared is None and not any(account.sub_account_count for account in locked.values()):
        return {}
    found, by_place = await shared.read() if shared else ({}, {})
    whole, receiving = shared.sharing if shared else Sharing(frozenset(), {})
    wrong = False
    for account_id, account in {**locked, **found}.items():
        if share := receiving.get(account_id):
            taken = by_place.get((account_id, share.place))
            if taken and taken.has_room(share, account):
                continue
            wrong = True
            if taken:
                known.lock_whole(account_id)
                continue
        elif account.sub_account_count and account_id not in whole:
            wrong = True
        elif account_id not in whole:
            continue
        known.learn(account_id, account.sub_account_count)
    if wrong:
        raise LockedOtherwise
    return found


async def lock_account(
    conn: AsyncConnection, account_id: UUID, calendar: Calendar
) -> AccountProfile | None:
    """An account, locked with all its sub-accounts, on which nothing waits then.

    Args:
        conn: Within a transaction.
        account_id: The account.
        calendar: The days on which debits count.
    """
    profile = await accounts.lock(conn, account_id)
    if profile is None or not profile.account.sub_account_count:
        return profile
    await number(conn, account_id, calendar)
    return await accounts.lock(conn, account_id)


async def number(conn: AsyncConnection, account_id: UUID, calendar: Calendar) -> None:
    """Locks the sub-accounts of a locked account, and numbers what waits on them.

    Args:
        conn: Within a transaction that has locked the account.
        account_id: The account.
        calendar: The days on which debits count.
    """
    one = [account_id]
    await conn.execute(_SQL["lock"], {"whole": one, "account_ids": [], "places": []})
    await conn.execute(_SQL["lock_told"], {"account_ids": one})
    await conn.execute(_SQL["number"], {"account_ids": one, "zone": calendar.zone_name})


async def find_waiting(conn: AsyncConnection) -> list[UUID]:
    """Accounts on which receipts have waited long enough, NUMBERED_AT_ONCE_MAX at most."""
    values = {"seconds": NUMBERED_AFTER_SECONDS, "limit": NUMBERED_AT_ONCE_MAX}
    rows = await (await conn.execute(_SQL["find_waiting"], values)).fetchall()
    return [row[0] for row in rows]


async def waits_before(conn: AsyncConnection, moment: datetime) -> bool:
    """Whether a receipt that is dated before a moment waits for its number."""
    row = await (await conn.execute(_SQL["waits_before"], {"moment": moment})).fetchone()
    assert row is not None, "a question always has an answer"
    return bool(row[0])


async def waiting_since(conn: AsyncConnection) -> datetime | None:
    """When the oldest receipt was dated that waits for its number; None if none waits."""
    row = await (await conn.execute(_SQL["waiting_since"])).fetchone()
    return row[0] if row else None


async def lock_if_free(conn: AsyncConnection, account_id: UUID) -> bool:
    """Locks an account, unless another transaction has it locked; whether it did."""
    cursor = await conn.execute(_SQL["lock_if_free"], {"account_id": account_id})
    return await cursor.fetchone() is not None


async def set_count(conn: AsyncConnection, account_id: UUID, count: int) -> None:
    """Gives an account so many sub-accounts; 0 for none.

    Args:
        conn: Within a transaction that has the account locked, and on which nothing waits.
        account_id: The account.
        count: How many, up to SUB_ACCOUNTS_MAX.
    """
    values = {"account_id": account_id, "count": count}
    await conn.execute(_SQL["set_count"], values)
    await conn.execute(_SQL["add"], values)
    await conn.execute(_SQL["remove"], values)
