"""A store of the commit path, and its look-ups, in memory."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TypeVar, cast
from uuid import UUID

from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors, ids, ledger
from balance_service.domain.accounts import Account, AccountProfile, Status
from balance_service.domain.commands import Origin
from balance_service.domain.events import Balance, Event, EventType, Place
from balance_service.domain.follow_up_commands import Release
from balance_service.domain.holds import HoldStatus
from balance_service.domain.movements import MOVING_NOTHING, Entry, Kind, Movement
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Plan, State
from balance_service.ledger.expiry import PRINCIPAL
from balance_service.reading.gathering import Gathering
from balance_service.reading.lookups import Lookups

Key = TypeVar("Key")
Value = TypeVar("Value")


class MemoryLedger:
    """Users, accounts and the journal: the state that `plan` decides on is all there is."""

    def __init__(self) -> None:
        self.users: set[UUID] = set()
        self.state = State({}, {}, {}, {})
        self.profiles: dict[UUID, AccountProfile] = {}
        self.owned: dict[tuple[UUID, str], UUID] = {}
        self.numbers: dict[int, UUID] = {}
        self.entries: dict[UUID, list[Entry]] = {}
        self.captures: dict[UUID, list[UUID]] = {}
        self.events: list[Event] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["MemoryLedger"]:
        """As of `ledger.store.Store`: there is one caller at a time, and nothing to roll back."""
        yield self

    async def load(
        self,
        commands: Sequence[Command],  # noqa: ARG002 - all that any could depend on is there
        tried: Collection[UUID],  # noqa: ARG002 - no attempt fails
    ) -> tuple[State, datetime]:
        """The state, which `plan` enters in what it posts."""
        return self.state, self.expire()

    async def confirm(self, requests: Sequence[Request], plan: Plan) -> None:
        """Nothing: all that was done is there."""

    async def write(self, plan: Plan) -> None:
        """Keeps what is not in the state: the lines of statements, and what captured a hold."""
        self._keep(plan)

    def expire(self) -> datetime:
        """Gives back what is left of holds whose time is over by now, and tells that time."""
        now = datetime.now(UTC)
        over = [
            hold.hold_id
            for hold in self.state.holds.values()
            if hold.status == HoldStatus.OPEN and hold.expires_at <= now
        ]
        for hold_id in over:
            origin = Origin(principal=PRINCIPAL, request_id=hold_id)
            release = Release(origin, self.state.movements[hold_id], Kind.EXPIRY)
            self._keep(ledger.plan(self.state, [Request((release,))], now))
        return now

    def open_account(self, owner_id: UUID, currency: str) -> tuple[UUID, bool]:
        """A user's account in a currency, and whether it is new.

        Raises:
            UserNotFound: There is no such user.
        """
        if owner_id not in self.users:
            raise errors.UserNotFound(str(owner_id))
        if there := self.owned.get((owner_id, currency)):
            return there, False
        account_id, number, now = ids.new_id(), ids.new_account_number(), datetime.now(UTC)
        while number in self.numbers:
            number = ids.new_account_number()
        account = Account(account_id, owner_id, currency, 0, 0, 0, Status.ACTIVE, 0, now)
        self.state.accounts[account_id] = account
        self.profiles[account_id] = AccountProfile(account, number, now)
        self.owned[owner_id, currency] = account_id
        self.numbers[number] = account_id
        self._tell(EventType.ACCOUNT_OPENED, now, ids.new_id(), account_id, account=account)
        return account_id, True

    def add_user(self) -> UUID:
        """A new user's id."""
        user_id = ids.new_id()
        self.users.add(user_id)
        self._tell(EventType.USER_CREATED, datetime.now(UTC), ids.new_id(), user_id)
        return user_id

    def profile(self, account_id: UUID) -> AccountProfile | None:
        """An account as it is now, if there is one."""
        opened = self.profiles.get(account_id)
        return opened and opened._replace(account=self.state.accounts[account_id])

    def lookups(self) -> Lookups:
        """What requests refer to."""
        return Lookups(
            _gather(self.profile),
            _gather(self.owned.get),
            _gather(self.numbers.get),
            _gather(_nothing),
            _gather(_nothing),
            _gather(self.movement),
        )

    def movement(self, movement_id: UUID) -> Movement | None:
        """A movement, if there is one."""
        return self.state.movements.get(movement_id)

    def _keep(self, plan: Plan) -> None:
        for entry in plan.entries:
            self.entries.setdefault(entry.account_id, []).append(entry)
        for movement in plan.follows:
            assert movement.original_id, "it follows one"
            self.captures.setdefault(movement.original_id, []).append(movement.movement_id)
        left: dict[UUID, list[Balance]] = {}
        for entry in plan.entries:
            balance = Balance(entry.account_id, entry.sequence, entry.balance_after_minor)
            left.setdefault(entry.movement_id, []).append(balance)
        for movement in plan.movements:
            captures = movement.original_id and movement.kind not in MOVING_NOTHING
            self._tell(
                EventType.HOLD_CAPTURED if captures else EventType(movement.kind),
                movement.created_at,
                movement.movement_id,
                movement.movement_id,
                movement,
                left.get(movement.movement_id, ()),
            )

    def _tell(
        self,
        event_type: EventType,
        time: datetime,
        event_id: UUID,
        subject_id: UUID,
        movement: Movement | None = None,
        balances: Sequence[Balance] = (),
        account: Account | None = None,
    ) -> None:
        place = Place(len(self.events) + 1, event_id)
        self.events.append(Event(place, event_type, time, subject_id, movement, balances, account))


def _nothing(_: UUID) -> None:
    """The value of what memory does not have: services and quotes."""


def no_pool() -> Pool:
    """What readers take their connections from: there is nothing to connect to."""
    return cast("Pool", _NoPool())


class _NoPool:
    @asynccontextmanager
    async def connection(self) -> AsyncIterator[None]:
        yield


def _gather(find: Callable[[Key], Value | None]) -> Gathering[Key, Value]:
    async def read(_: Connection, keys: Sequence[Key]) -> Mapping[Key, Value]:
        found = {key: find(key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    return Gathering(no_pool(), read, 500)
