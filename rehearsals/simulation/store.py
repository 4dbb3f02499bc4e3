"""A store in memory, with Postgres's rules for locks, keys and commits, and its ways to fail."""

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import psycopg
from psycopg import errors as pg

from balance_service.domain.accounts import Account
from balance_service.domain.commands import Exchange, Purchase, Settle, Transfer
from balance_service.domain.days import Calendar
from balance_service.domain.follow_up_commands import Capture, Place, Release, Reverse
from balance_service.domain.holds import Hold
from balance_service.domain.movements import Entry, Movement
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Follow, Plan, State
from balance_service.domain.sub_accounts import KnownSubAccounts, Sharing
from balance_service.reading.past import SKEW_MAX
from balance_service.repositories.failures import LockedOtherwise
from balance_service.repositories.sub_accounts import check_shared
from rehearsals.simulation.events import EventLog
from rehearsals.simulation.sub_accounts import SUB_ACCOUNT, SimulatedShares, Waiting

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
LOCK_TIMEOUT_SECONDS = 5.0
SLOW_COMMITS = 0.05

Key = TypeVar("Key")
Value = TypeVar("Value")


class Collision(psycopg.OperationalError):
    """Stands for a violation of a primary key that two transactions claimed at once."""


@dataclass
class Locks:
    """Locks held until their transaction ends, and granted in the order of asking."""

    held: dict[object, "SimulatedTransaction"] = field(default_factory=dict)
    waiting: dict[object, deque[asyncio.Future[None]]] = field(
        default_factory=lambda: defaultdict(deque)
    )

    async def take(self, key: object, holder: "SimulatedTransaction") -> None:
        """Waits for a lock.

        Raises:
            LockNotAvailable: It took too long.
        """
        while self.held.get(key, holder) is not holder:
            turn = asyncio.get_running_loop().create_future()
            self.waiting[key].append(turn)
            try:
                await asyncio.wait_for(turn, LOCK_TIMEOUT_SECONDS)
            except TimeoutError:
                raise pg.LockNotAvailable from None
        self.held[key] = holder

    def release(self, holder: "SimulatedTransaction") -> None:
        for key in [key for key, theirs in self.held.items() if theirs is holder]:
            del self.held[key]
            waiting = self.waiting.pop(key, deque())
            # All waiters look again: the first takes the lock, the others queue up anew.
            for turn in waiting:
                if not turn.done():
                    turn.set_result(None)


@dataclass
class Database:
    """Committed state, and the failures on the way to it.

    Args:
        rng: Decides what fails, from the run's seed.
        trouble: How likely each step is to fail.
        accounts: Each account's state.
        calendar: The days on which debits count.
    """

    rng: random.Random
    trouble: float
    accounts: dict[UUID, Account]
    calendar: Calendar = field(default_factory=Calendar)
    movements: dict[UUID, Movement] = field(default_factory=dict)
    references: dict[tuple[str, str, str], UUID] = field(default_factory=dict)
    quote_uses: dict[UUID, UUID] = field(default_factory=dict)
    purchases: dict[tuple[UUID, UUID], Movement] = field(default_factory=dict)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    followed: dict[UUID, Follow] = field(default_factory=dict)
    entries: dict[UUID, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    locks: Locks = field(default_factory=Locks)
    # Grows with each crash of Postgres: a transaction begun before it can no longer commit.
    life: int = 0
    # How far its clock is off: after a crash another server, with another clock, may take over.
    skew: timedelta = timedelta()
    lingering: set[asyncio.Task[None]] = field(default_factory=set)
    events: EventLog = field(init=False)
    waiting: list[Waiting] = field(default_factory=list)
    # The time of the last receipt; no rollback takes it back.
    received_at: datetime = EPOCH

    def __post_init__(self) -> None:
        self.events = EventLog(self.rng, self.trouble)

    def crash(self) -> None:
        """Ends every transaction under way, and goes on with another clock."""
        self.life += 1
        self.skew = SKEW_MAX * self.rng.choice([0, 0.5, -0.5])

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time()) + self.skew

    def balance_at(self, account_id: UUID, end: datetime) -> int:
        """The sum of an account's committed entries dated before a moment."""
        return sum(e.amount_minor for e in self.entries[account_id] if e.created_at < end)

    def places(self, account_id: UUID) -> range:
        """The sub-accounts that an account has."""
        return range(1, self.accounts[account_id].sub_account_count + 1)

    def is_free(self, account_id: UUID) -> bool:
        """Whether neither an account nor a sub-account of it is locked, and nothing waits on it."""
        keys = [account_id, *((SUB_ACCOUNT, account_id, p) for p in self.places(account_id))]
        return self.locks.held.keys().isdisjoint(keys) and all(
            waiting.account_id != account_id for waiting in self.waiting
        )

    @asynccontextmanager
    async def transaction(
        self, known: KnownSubAccounts | None = None
    ) -> AsyncIterator["SimulatedTransaction"]:
        """As `Store.transaction`; its connection may be lost before, within or after the commit.

        Args:
            known: What its worker knows of accounts with sub-accounts.
        """
        transaction = SimulatedTransaction(self, self.life, known or KnownSubAccounts())
        committing = False
        try:
            yield transaction
            committing = True
            await transaction.step()
            if self.rng.random() < SLOW_COMMITS:
                # A synchronous standby is slow to confirm the commit.
                await asyncio.sleep(self.rng.expovariate(1 / 2))
                await transaction.step()
            transaction.apply()
            await transaction.step()
        except BaseException as error:
            told = isinstance(error, LockedOtherwise) or getattr(error, "sqlstate", None)
            # Postgres notices late that a client is gone, and may still execute what it was sent.
            if not told and not transaction.ended and self.rng.random() < 0.5:
                self._linger(transaction, may_commit=committing)
            raise
        finally:
            if not transaction.lingers:
                transaction.end()

    def _linger(self, transaction: "SimulatedTransaction", *, may_commit: bool) -> None:
        """Keeps the locks of a transaction that has lost its client for a while."""
        transaction.lingers = True

        async def end() -> None:
            await asyncio.sleep(self.rng.expovariate(1 / 0.05))
            if may_commit and self.rng.random() < 0.5 and transaction.alive:
                transaction.apply()
            transaction.end()

        task = asyncio.create_task(end())
        self.lingering.add(task)
        task.add_done_callback(self.lingering.discard)


class SimulatedTransaction:
    """One transaction: reads what is committed, under locks, and writes all at once.

    Args:
        database: The database that it is on.
        life: The database's life when the transaction began.
        known: What its worker knows of accounts with sub-accounts.
    """

    def __init__(self, database: Database, life: int, known: KnownSubAccounts) -> None:
        self.lingers = False
        self.ended = False
        self._database = database
        self._life = life
        self._plan: Plan | None = None
        self._changes: list[Callable[[], None]] = []
        self._drawn = (0, 0)
        self._known = known
        self._shares: SimulatedShares | None = None

    @property
    def alive(self) -> bool:
        return self._life == self._database.life

    async def step(self) -> None:
        """Lets time pass, in which Postgres may crash or this step fail."""
        database = self._database
        await asyncio.sleep(database.rng.expovariate(1 / 0.002))
        if not self.alive:
            raise psycopg.OperationalError("Postgres has crashed")
        if database.rng.random() < database.trouble:
            kinds = [psycopg.OperationalError, pg.DeadlockDetected, pg.QueryCanceled]
            raise database.rng.choice(kinds)("trouble")

    def stage(self, change: Callable[[], None]) -> None:
        """Has something changed when this commits."""
        self._changes.append(change)

    async def share(self, sharing: Sharing, account_ids: Collection[UUID]) -> SimulatedShares:
        """Locks sub-accounts, as `SimulatedShares.lock` has it."""
        self._shares = SimulatedShares(self._database, self, sharing)
        await self._shares.lock(account_ids)
        return self._shares

    async def load(
        self, commands: Sequence[Command], tried: Collection[UUID]
    ) -> tuple[State, datetime]:
        database = self._database
        await self.step()
        account_ids = {account_id for command in commands for account_id in command.account_ids}
        sharing = self._known.sharing(commands)
        drawn = 0
        for account_id in sorted(account_ids - sharing.receiving.keys()):
            await database.locks.take(account_id, self)
            drawn = drawn or database.events.draw()
            # Others may lock the next one meanwhile.
            await asyncio.sleep(database.rng.expovariate(1 / 0.001))
        self._drawn = (drawn, 0)
        accounts = _rows_of(database.accounts, account_ids - sharing.receiving.keys())
        now = database.now()
        if sharing.whole or sharing.receiving:
            now = (await self.share(sharing, account_ids)).now
        accounts |= await check_shared(self._known, self._shares, accounts)
        await self.step()
        origins = [command.origin for command in commands]
        wanted = [o.movement_id for o in origins if o.request_id or o.movement_id in tried]
        referred = [
            (c.origin.principal, c.source or "", c.reference or "")
            for c in (c.purpose if isinstance(c, Place) else c for c in commands)
            if isinstance(c, Settle) and c.reference
        ]
        quotes = [c.quote for c in commands if isinstance(c, Transfer | Exchange) and c.quote]
        held = [c.hold.movement_id for c in commands if isinstance(c, Capture | Release)]
        originals = [c.original.movement_id for c in commands if isinstance(c, Reverse)]
        bought = _rows_of(
            database.purchases,
            [(c.account_id, c.service_id) for c in commands if isinstance(c, Purchase)],
        )
        paid = [movement.movement_id for movement in bought.values()]
        state = State(
            accounts=accounts,
            movements=_rows_of(database.movements, wanted),
            purchases={key: [movement] for key, movement in bought.items()},
            references=_rows_of(database.references, referred),
            followed=_rows_of(database.followed, held + originals + paid),
            holds=_rows_of(database.holds, held),
            tried=set(tried),
            quote_uses=_rows_of(database.quote_uses, [quote.quote_id for quote in quotes]),
            receiving=frozenset(sharing.receiving),
        )
        return state, now

    async def confirm(self, requests: Sequence[Request], plan: Plan) -> None:
        """Nothing: a commit can be seen as a whole."""

    async def write(self, plan: Plan) -> None:
        database = self._database
        await self.step()
        for movement in sorted(plan.movements, key=lambda m: m.movement_id):
            await database.locks.take(("movement", movement.movement_id), self)
            if movement.movement_id in database.movements:
                raise Collision
            if movement.reference:
                reference = _reference_key(movement)
                await database.locks.take(("reference", reference), self)
                if reference in database.references:
                    raise Collision
            if movement.quote_id:
                await database.locks.take(("quote", movement.quote_id), self)
                if movement.quote_id in database.quote_uses:
                    raise Collision
        await self.step()
        self._plan = plan
        place = self._shares.place if self._shares else database.events.draw()
        self._drawn = (self._drawn[0], place)

    def apply(self) -> None:
        """Commits: all of it is durable at once."""
        database, plan = self._database, self._plan
        if self._shares:
            self._shares.numbered.apply(database)
        if plan:
            for movement in plan.movements:
                database.movements[movement.movement_id] = movement
                if movement.reference:
                    database.references[_reference_key(movement)] = movement.movement_id
                if movement.quote_id:
                    database.quote_uses[movement.quote_id] = movement.movement_id
            for movement in plan.follows:
                assert movement.original_id, "it follows one"
                before = database.followed.get(movement.original_id, Follow())
                after = Follow(
                    before.amount_minor + movement.amount_minor,
                    before.price_minor + (movement.price_minor or 0),
                )
                database.followed[movement.original_id] = after
            database.holds.update(plan.holds)
            database.purchases.update(plan.purchases)
            for entry in plan.entries:
                database.entries[entry.account_id].append(entry)
            database.accounts.update(plan.accounts)
            row = database.events.add(*self._drawn, plan)
            if self._shares:
                self._shares.receive(plan, row)
        for change in self._changes:
            change()
        self.end()

    def end(self) -> None:
        """Lets go of its locks."""
        self.ended = True
        self._database.locks.release(self)


def _reference_key(movement: Movement) -> tuple[str, str, str]:
    return movement.principal, movement.source or "", movement.reference or ""


def _rows_of(table: Mapping[Key, Value], keys: Iterable[Key]) -> dict[Key, Value]:
    return {key: table[key] for key in keys if key in table}
