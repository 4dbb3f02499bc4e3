"""Sub-accounts in the simulated store: their locks, what waits on them, and its numbering."""

import asyncio
import itertools
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg

from balance_service.domain.accounts import Account
from balance_service.domain.days import Calendar
from balance_service.domain.movements import Entry, Receipt
from balance_service.domain.state import Plan
from balance_service.domain.sub_accounts import KnownSubAccounts, Sharing, SubAccount
from rehearsals.simulation.events import Row

if TYPE_CHECKING:
    from rehearsals.simulation.store import Database, SimulatedTransaction

# What the key of a sub-account's lock begins with.
SUB_ACCOUNT = "sub-account"


@dataclass(frozen=True, eq=False)
class Waiting:
    """What one commit added to one account, and waits for its numbers.

    Args:
        account_id: The account.
        sub_account: Where it waits.
        created_at: When it was received.
        row: What the commit left for the log of events.
        receipts: Each receipt, and the place of its movement in the row, from 0.
    """

    account_id: UUID
    sub_account: int
    created_at: datetime
    row: Row
    receipts: Sequence[tuple[int, Receipt]]


@dataclass
class Numbered:
    """Accounts on which nothing waits any more, with the entries that waited.

    Args:
        accounts: As they are then.
        entries: Of each of what waited.
    """

    accounts: dict[UUID, Account] = field(default_factory=dict)
    entries: list[tuple[Waiting, list[Entry]]] = field(default_factory=list)

    def apply(self, database: "Database") -> None:
        """Commits it."""
        database.accounts.update(self.accounts)
        for waiting, entries in self.entries:
            database.waiting.remove(waiting)
            database.entries[waiting.account_id] += entries
            for (place, _), entry in zip(waiting.receipts, entries, strict=True):
                waiting.row.complete(place, waiting.account_id, entry.sequence)
            waiting.row.waiting -= 1


class SimulatedShares:
    """What a commit does with accounts that have sub-accounts, as `SharedAccounts` does.

    Args:
        database: Where they are.
        holder: The transaction that takes their locks.
        sharing: How the commit locks them.
    """

    def __init__(
        self, database: "Database", holder: "SimulatedTransaction", sharing: Sharing
    ) -> None:
        self._database = database
        self._holder = holder
        self.sharing = sharing
        self.numbered = Numbered()
        self.now = database.now()
        self.place = 0

    async def lock(self, account_ids: Collection[UUID]) -> None:
        """Locks sub-accounts, and numbers what waits where all are locked.

        Args:
            account_ids: All accounts of a commit, which takes its turn; none of another change.
        """
        database, (whole, receiving) = self._database, self.sharing
        keys = [(account_id, share.place) for account_id, share in receiving.items()]
        for account_id in whole:
            keys += [(account_id, place) for place in database.places(account_id)]
        for key in sorted(keys):
            await database.locks.take((SUB_ACCOUNT, *key), self._holder)
            await asyncio.sleep(database.rng.expovariate(1 / 0.001))
        for account_id in sorted(whole):
            self._number(account_id)
        if not account_ids:
            return
        # A turn: all of it is at once.
        changed = [self._account(each).changed_at for each in account_ids]
        self.now = max(database.now(), database.received_at, *changed)
        database.received_at = self.now
        self.place = database.events.draw()

    async def read(self) -> tuple[dict[UUID, Account], dict[tuple[UUID, int], SubAccount]]:
        whole, receiving = self.sharing
        accounts = {each: self._account(each) for each in (*whole, *receiving)}
        wanted = [(account_id, share.place) for account_id, share in receiving.items()]
        there = [key for key in wanted if key[1] in self._database.places(key[0])]
        return accounts, {key: self._sub_account(*key) for key in there}

    def receive(self, plan: Plan, row: Row) -> None:
        """Leaves what a commit adds, as it commits."""
        numbers = {movement.movement_id: n for n, movement in enumerate(plan.movements)}
        added = sorted(plan.receipts, key=lambda receipt: receipt.account_id)
        for account_id, group in itertools.groupby(added, lambda each: each.account_id):
            receipts = [(numbers[each.movement_id], each) for each in group]
            place = self.sharing.receiving[account_id].place
            dated = plan.movements[receipts[0][0]].created_at
            self._database.waiting.append(Waiting(account_id, place, dated, row, receipts))
            row.waiting += 1

    def _account(self, account_id: UUID) -> Account:
        return self.numbered.accounts.get(account_id, self._database.accounts[account_id])

    def _sub_account(self, account_id: UUID, place: int) -> SubAccount:
        here = [
            receipt
            for waiting in self._database.waiting
            if (waiting.account_id, waiting.sub_account) == (account_id, place)
            for _, receipt in waiting.receipts
        ]
        return SubAccount(account_id, place, sum(each.amount_minor for each in here), len(here))

    def _number(self, account_id: UUID) -> None:
        account = self._database.accounts[account_id]
        mine = [each for each in self._database.waiting if each.account_id == account_id]
        for waiting in sorted(mine, key=lambda each: (each.row.place, each.row.transaction)):
            entries = []
            for _, receipt in waiting.receipts:
                account = _received(account, receipt, waiting.created_at, self._database.calendar)
                entries.append(_entry(account, receipt, waiting.created_at))
            self.numbered.entries.append((waiting, entries))
        self.numbered.accounts[account_id] = account


def _received(account: Account, receipt: Receipt, at: datetime, calendar: Calendar) -> Account:
    return account.entered(receipt.amount_minor, at, calendar.day(at), 0)


def _entry(account: Account, receipt: Receipt, at: datetime) -> Entry:
    return Entry(
        account.account_id,
        account.sequence,
        receipt.movement_id,
        receipt.kind,
        receipt.amount_minor,
        account.balance_minor,
        receipt.counterparty_id,
        at,
        receipt.effective_at,
    )


async def lock_whole(
    database: "Database", conn: "SimulatedTransaction", account_id: UUID
) -> Account:
    """An account, locked with all its sub-accounts, on which nothing waits once this commits."""
    await database.locks.take(account_id, conn)
    shares = await conn.share(Sharing(frozenset({account_id}), {}), [])
    return shares.numbered.accounts[account_id]


@dataclass
class Divider:
    """What workers and operators do with sub-accounts: number what waits, and set how many.

    Args:
        database: Where they are.
    """

    database: "Database"

    async def keep_numbering(self) -> None:
        """What a worker does, until it is cancelled."""
        while True:
            await asyncio.sleep(self.database.rng.expovariate(1 / 0.2))
            await self.number_all()

    async def number_all(self) -> None:
        """Numbers what waits, an account at a time, unless that is locked or it fails."""
        for account_id in sorted({each.account_id for each in self.database.waiting}):
            if account_id not in self.database.locks.held:
                await self._change(account_id, None)

    async def keep_setting(self) -> None:
        """What operators do, until they are cancelled."""
        rng = self.database.rng
        while True:
            await asyncio.sleep(rng.expovariate(1 / 0.5))
            account_id = rng.choice(list(self.database.accounts))
            await self._change(account_id, rng.choice([0, 1, 2, 3]))

    async def finish(self) -> None:
        """Numbers the rest, once nothing is under way."""
        while self.database.waiting:
            await self.number_all()

    async def _change(self, account_id: UUID, count: int | None) -> None:
        database = self.database
        try:
            async with database.transaction() as conn:
                account = await lock_whole(database, conn, account_id)
                await conn.step()
                if count is not None:
                    after = account._replace(sub_account_count=count)
                    conn.stage(lambda: database.accounts.update({account_id: after}))
        except psycopg.Error:
            pass


@dataclass
class WorkerStore:
    """The database as one worker knows it.

    Args:
        database: What it commits to.
    """

    database: "Database"
    known: KnownSubAccounts = field(default_factory=KnownSubAccounts)

    def transaction(self) -> AbstractAsyncContextManager["SimulatedTransaction"]:
        return self.database.transaction(self.known)
