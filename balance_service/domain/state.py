"""What the commands of one commit depend on, and what they leave to be written."""

import enum
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from balance_service.domain import errors
from balance_service.domain.accounts import Account, SystemAccount
from balance_service.domain.days import Day
from balance_service.domain.limits import Limits
from balance_service.domain.movements import Entry, Movement, SystemEntry


class How(enum.Enum):
    """How a movement came to be the answer."""

    POSTED = "posted"
    REPLAYED = "replayed"
    ALREADY_PURCHASED = "already purchased"


class Done(NamedTuple):
    """The answer to a command that was carried out, now or before."""

    movement: Movement
    how: How


Outcome = Done | errors.Refusal


@dataclass(frozen=True, slots=True)
class State:
    """What the commands of one commit may depend on, read under the accounts' locks.

    `plan` changes it as it posts, so that each command sees those before it.

    Args:
        accounts: The locked users' accounts that exist.
        movements: Movements already in the journal, by the commands' ids.
        purchases: Movements by account and service bought.
        references: Movement ids by principal, external source and reference.
        tried: Ids of movements that an attempt of ours tried to commit, without learning whether
            it did. The first command that finds such a movement posted it.
        limits: What the service is configured to let be debited.
    """

    accounts: MutableMapping[UUID, Account]
    movements: MutableMapping[UUID, Movement]
    purchases: MutableMapping[tuple[UUID, UUID], Movement]
    references: MutableMapping[tuple[str, str, str], UUID]
    tried: set[UUID] = field(default_factory=set)
    limits: Limits = field(default_factory=Limits)

    def copy(self) -> "State":
        """A state that can be changed and thrown away."""
        return State(
            dict(self.accounts),
            dict(self.movements),
            dict(self.purchases),
            dict(self.references),
            set(self.tried),
            self.limits,
        )

    def adopt(self, other: "State") -> None:
        """Takes over the changes that were made to a copy of this state."""
        self.accounts.update(other.accounts)
        self.movements.update(other.movements)
        self.purchases.update(other.purchases)
        self.references.update(other.references)
        self.tried.intersection_update(other.tried)


class Posting(NamedTuple):
    """One side of a movement: an amount that an account gains, or loses if it is negative.

    Args:
        account: A user's, as it is before, or a system account.
        amount_minor: The amount in minor units.
        is_debit: Whether it counts for the limits of the account if it loses it.
    """

    account: Account | SystemAccount
    amount_minor: int
    is_debit: bool = True


@dataclass(slots=True)
class Plan:
    """What to answer and what to write.

    Args:
        outcomes: For each request, an outcome for each of its items.
        movements: New journal rows, in order.
        entries: Their entries on users' accounts.
        system_entries: Their entries on system accounts.
        accounts: The new state of every account that changed.
    """

    outcomes: list[list[Outcome]] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    system_entries: list[SystemEntry] = field(default_factory=list)
    accounts: dict[UUID, Account] = field(default_factory=dict)

    def post(self, state: State, movement: Movement, postings: Sequence[Posting]) -> Done:
        """Adds a movement with its entries to the plan, and enters them in the state."""
        assert _balanced(postings), "postings sum to zero in each currency"
        day = state.limits.calendar.day(movement.created_at)
        for posting in postings:
            self._enter(state, movement, posting, day)
        self.movements.append(movement)
        state.movements[movement.movement_id] = movement
        return Done(movement, How.POSTED)

    def _enter(self, state: State, movement: Movement, posting: Posting, day: Day) -> None:
        if isinstance(posting.account, SystemAccount):
            self.system_entries.append(
                SystemEntry(
                    movement.movement_id,
                    posting.account.account_id,
                    posting.amount_minor,
                    movement.created_at,
                )
            )
            return
        before, amount_minor = posting.account, posting.amount_minor
        debited_minor = -amount_minor if amount_minor < 0 and posting.is_debit else 0
        after = before.entered(amount_minor, movement.created_at, day, debited_minor)
        sent = before.account_id == movement.from_account_id
        self.entries.append(
            Entry(
                before.account_id,
                after.sequence,
                movement.movement_id,
                movement.kind,
                amount_minor,
                after.balance_minor,
                movement.to_account_id if sent else movement.from_account_id,
                movement.created_at,
            )
        )
        state.accounts[before.account_id] = after
        self.accounts[before.account_id] = after

    def extend(self, other: "Plan") -> None:
        """Adds what a plan that was made after this one is to write."""
        self.movements += other.movements
        self.entries += other.entries
        self.system_entries += other.system_entries
        self.accounts |= other.accounts


def _balanced(postings: Sequence[Posting]) -> bool:
    sums: dict[str, int] = {}
    for posting in postings:
        currency = posting.account.currency
        sums[currency] = sums.get(currency, 0) + posting.amount_minor
    return not any(sums.values())
