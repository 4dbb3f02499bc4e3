"""Events: what was committed, one for each movement and each change of an account or a user.

They are numbered once everybody can see them, in an order in which those of an account follow each
other as they were committed. They tell of people by their ids alone.
"""

import enum
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain.account_changes import ChangeKind
from balance_service.domain.accounts import Account
from balance_service.domain.movements import MOVING_NOTHING, Entry, Movement, Receipt
from balance_service.domain.schedules import OccurrenceOutcome, ScheduleChange

# What stands before each type in the contract.
PREFIX = "balance.v1."


class EventType(enum.IntEnum):
    """What happened. The numbers are stored; those of movements are their kinds."""

    DEPOSIT_CREATED = 1
    WITHDRAWAL_CREATED = 2
    PURCHASE_CREATED = 3
    TRANSFER_CREATED = 4
    DEPOSIT_REVERSED = 5
    WITHDRAWAL_REVERSED = 6
    PURCHASE_REFUNDED = 7
    TRANSFER_REVERSED = 8
    EXCHANGE_CREATED = 9
    HOLD_CREATED = 10
    HOLD_VOIDED = 11
    HOLD_EXPIRED = 12
    EXCHANGE_REVERSED = 13
    # A withdrawal, purchase or transfer that was held for; it has no event besides.
    HOLD_CAPTURED = 100
    ACCOUNT_OPENED = 201
    ACCOUNT_FROZEN = 202
    ACCOUNT_UNFROZEN = 203
    ACCOUNT_CLOSED = 204
    ACCOUNT_REOPENED = 205
    ACCOUNT_LIMITS_SET = 206
    USER_CREATED = 301
    USER_DISABLED = 302
    USER_ENABLED = 303
    USER_ERASED = 304
    SCHEDULE_CREATED = 401
    SCHEDULE_CHANGED = 402
    SCHEDULE_PAUSED = 403
    SCHEDULE_RESUMED = 404
    SCHEDULE_CANCELLED = 405
    SCHEDULE_OCCURRENCE_DONE = 411
    SCHEDULE_OCCURRENCE_SKIPPED = 412
    SCHEDULE_OCCURRENCE_FAILED = 413

    @property
    def text(self) -> str:
        """The type's name in the contract, such as `balance.v1.transfer.created`."""
        noun, verb = self.name.lower().split("_", 1)
        return f"{PREFIX}{noun}.{verb}"

    @property
    def subject(self) -> str:
        """What it happened to: a movement, an account, a user or a schedule."""
        noun = self.name.lower().split("_", 1)[0]
        return noun if noun in ("account", "user", "schedule") else "movement"


OF_CHANGES = {
    ChangeKind.FREEZE: EventType.ACCOUNT_FROZEN,
    ChangeKind.UNFREEZE: EventType.ACCOUNT_UNFROZEN,
    ChangeKind.CLOSE: EventType.ACCOUNT_CLOSED,
    ChangeKind.REOPEN: EventType.ACCOUNT_REOPENED,
    ChangeKind.SET_LIMITS: EventType.ACCOUNT_LIMITS_SET,
}
OF_OCCURRENCES = {
    OccurrenceOutcome.DONE: EventType.SCHEDULE_OCCURRENCE_DONE,
    OccurrenceOutcome.SKIPPED: EventType.SCHEDULE_OCCURRENCE_SKIPPED,
    OccurrenceOutcome.FAILED: EventType.SCHEDULE_OCCURRENCE_FAILED,
}
TYPES = {event_type.text: event_type for event_type in EventType}


def entry_numbers(
    made: Sequence[Movement], entered: Sequence[Entry], receipts: Sequence[Receipt] = ()
) -> tuple[list[int | None], list[int | None]]:
    """The numbers of movements' entries: on the accounts that they left, and that they reached.

    Args:
        made: The movements of a commit.
        entered: Their entries on users' accounts, in the same order.
        receipts: What waits by them to become entries.

    Returns:
        Two numbers for each movement; None where it has no such entry, 0 where that waits.
    """
    waiting = {receipt.movement_id for receipt in receipts}
    left: list[int | None] = []
    reached: list[int | None] = []
    entries = iter(entered)
    entry = next(entries, None)
    for movement in made:
        sent, received = None, 0 if movement.movement_id in waiting else None
        while entry is not None and entry.movement_id == movement.movement_id:
            if entry.account_id == movement.from_account_id:
                sent = entry.sequence
            else:
                received = entry.sequence
            entry = next(entries, None)
        left.append(sent)
        reached.append(received)
    assert entry is None, "entries come in the order of their movements"
    return left, reached


class Place(NamedTuple):
    """A place in the log: after an event.

    Args:
        sequence: The event's number; 0 for the beginning.
        event_id: Its id, by which a log that lost it is told from the one that had it.
    """

    sequence: int
    event_id: UUID


class Balance(NamedTuple):
    """What a movement left on a user's account.

    Args:
        sequence: The number of its entry on the account.
        balance_minor: In minor units of the account's currency.
    """

    account_id: UUID
    sequence: int
    balance_minor: int


class Event(NamedTuple):
    """What happened.

    Args:
        place: Its number and its id: that of a movement is the movement's.
        type: What it was.
        time: When it was done, by Postgres's clock.
        subject_id: The movement, account, user or schedule.
        movement: Of a movement.
        balances: What a movement left on users' accounts.
        account: Of an account's change, the account right after it.
        schedule: Of a schedule's change, what it is since.
    """

    place: Place
    type: EventType
    time: datetime
    subject_id: UUID
    movement: Movement | None = None
    balances: Sequence[Balance] = ()
    account: Account | None = None
    schedule: ScheduleChange | None = None

    @property
    def account_ids(self) -> Collection[UUID]:
        """The users' accounts that it is about."""
        if self.account is not None:
            return (self.account.account_id,)
        if self.schedule is not None:
            return (self.schedule.account_id,)
        if self.movement is None:
            return ()
        if self.movement.kind in MOVING_NOTHING:
            return (self.movement.from_account_id,)
        return tuple(balance.account_id for balance in self.balances)


class Wanted(NamedTuple):
    """Which events a reader keeps.

    Args:
        types: Of one of these; empty for all.
        account_ids: About one of these accounts; None for all, and what is about none.
        owner_ids: Accounts that these users open are added to those accounts.
        private: Whether the reader may see the balances of those accounts alone.
    """

    types: frozenset[EventType] = frozenset()
    account_ids: frozenset[UUID] | None = None
    owner_ids: frozenset[UUID] = frozenset()
    private: bool = False

    def view(self, event: Event) -> Event | None:
        """An event as the reader sees it; None if it is not kept."""
        if self.types and event.type not in self.types:
            return None
        if self.account_ids is None:
            return event
        if self.account_ids.isdisjoint(event.account_ids):
            return None
        if self.private:
            seen = [each for each in event.balances if each.account_id in self.account_ids]
            return event._replace(balances=seen)
        return event

    def extended(self, event: Event) -> "Wanted | None":
        """With the account that an event opened, if that is to be kept from then on."""
        if event.type is not EventType.ACCOUNT_OPENED or event.account is None:
            return None
        account_id, owner_id = event.account.account_id, event.account.owner_id
        if self.account_ids is None or owner_id not in self.owner_ids:
            return None
        if account_id in self.account_ids:
            return None
        return self._replace(account_ids=self.account_ids | {account_id})

    def covers(self, other: "Wanted") -> bool:
        """Whether it keeps all that another reader does."""
        if self.types and not (other.types and other.types <= self.types):
            return False
        if not other.owner_ids <= self.owner_ids:
            return self.account_ids is None
        if self.account_ids is None:
            return True
        return other.account_ids is not None and other.account_ids <= self.account_ids


def together(readers: Iterable[Wanted], accounts_max: int) -> Wanted:
    """What some of several readers keep, and perhaps more.

    Args:
        readers: What each keeps.
        accounts_max: How many accounts it may name; if there were more, it names none and keeps
            the events of all.
    """
    types: set[EventType] | None = set()
    account_ids: set[UUID] | None = set()
    owner_ids: set[UUID] = set()
    for wanted in readers:
        types = None if types is None or not wanted.types else types | wanted.types
        owner_ids |= wanted.owner_ids
        if account_ids is not None:
            account_ids.update(wanted.account_ids or ())
            if wanted.account_ids is None or len(account_ids) > accounts_max:
                account_ids = None
    if account_ids is None:
        return Wanted(frozenset(types or ()), None, frozenset(owner_ids))
    return Wanted(frozenset(types or ()), frozenset(account_ids), frozenset(owner_ids))


class EventPage(NamedTuple):
    """A part of the log.

    Args:
        start: The place after which it begins.
        end: The place up to which it was looked through.
        events: What was kept of it.
        head: The number of the log's last event then.
    """

    start: Place
    end: Place
    events: Sequence[Event]
    head: int

    def seen_by(self, wanted: Wanted) -> "tuple[EventPage, Wanted]":
        """What a reader keeps of it, and what the reader keeps from its end on.

        It ends where an account is opened that the reader keeps: what follows on that account may
        not have been read.
        """
        kept: list[Event] = []
        for event in self.events:
            extended = wanted.extended(event)
            if seen := (extended or wanted).view(event):
                kept.append(seen)
            if extended:
                return self._replace(end=event.place, events=kept), extended
        return self._replace(events=kept), wanted
