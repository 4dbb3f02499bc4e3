"""What the commands of one commit depend on, and what they leave to be written."""

import enum
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from balance_service.domain import errors
from balance_service.domain.accounts import Account, SystemAccount
from balance_service.domain.days import Day
from balance_service.domain.holds import Hold
from balance_service.domain.limits import Limits
from balance_service.domain.movements import Entry, Kind, Movement, Receipt, SystemEntry
from balance_service.domain.postings import Posting, are_balanced


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


class Follow(NamedTuple):
    """What followed a movement so far: what of it was reversed, or of a hold captured.

    Args:
        amount_minor: In minor units of its currency.
        price_minor: In minor units of its price's currency; 0 without a rate.
    """

    amount_minor: int = 0
    price_minor: int = 0


class Decision(NamedTuple):
    """What a command comes to.

    Args:
        movement: The journal's new row.
        postings: Its sides, which sum to zero in each currency; none if no money moves.
        hold: The new state of the hold that it makes or changes.
    """

    movement: Movement
    postings: tuple[Posting, ...] = ()
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What the commands of one commit may depend on, read under the accounts' locks.

    `plan` changes it as it posts, so that each command sees those before it.

    Args:
        accounts: The locked users' accounts that exist.
        movements: Movements already in the journal, by the commands' ids.
        purchases: By account and service, the movements that bought it and were not refunded whole:
            several where parts of a hold were captured.
        references: Movement ids by principal, external source and reference.
        followed: What followed the movements that are to be reversed or captured, by their ids;
            nothing did if one is missing.
        holds: Holds that are to be captured or released, by their ids.
        tried: Ids of movements that an attempt of ours tried to commit, without learning whether
            it did. The first command that finds such a movement posted it.
        limits: What the service is configured to let be debited.
        quote_uses: Movement ids by the quotes that they carried out.
        receiving: Accounts of which one sub-account is locked, that has room for what they receive.
    """

    accounts: MutableMapping[UUID, Account]
    movements: MutableMapping[UUID, Movement]
    purchases: MutableMapping[tuple[UUID, UUID], Sequence[Movement]]
    references: MutableMapping[tuple[str, str, str], UUID]
    followed: MutableMapping[UUID, Follow] = field(default_factory=dict)
    holds: MutableMapping[UUID, Hold] = field(default_factory=dict)
    tried: set[UUID] = field(default_factory=set)
    limits: Limits = field(default_factory=Limits)
    quote_uses: MutableMapping[UUID, UUID] = field(default_factory=dict)
    receiving: frozenset[UUID] = frozenset()

    def copy(self) -> "State":
        """A state that can be changed and thrown away."""
        return State(
            dict(self.accounts),
            dict(self.movements),
            dict(self.purchases),
            dict(self.references),
            dict(self.followed),
            dict(self.holds),
            set(self.tried),
            self.limits,
            dict(self.quote_uses),
            self.receiving,
        )

    def adopt(self, other: "State") -> None:
        """Takes over the changes that were made to a copy of this state."""
        self.accounts.update(other.accounts)
        self.movements.update(other.movements)
        self.purchases.update(other.purchases)
        self.references.update(other.references)
        self.followed.update(other.followed)
        self.holds.update(other.holds)
        self.tried.intersection_update(other.tried)
        self.quote_uses.update(other.quote_uses)

    def follow(self, movement: Movement) -> Follow:
        """What was reversed of a movement, or captured of a hold."""
        return self.followed.get(movement.movement_id, _NOTHING)

    def bought(self, account_id: UUID, service_id: UUID) -> Movement | None:
        """A movement by which an account has a service; None if all of it was refunded."""
        for purchase in self.purchases.get((account_id, service_id), ()):
            if self.follow(purchase).amount_minor < purchase.amount_minor:
                return purchase
        return None


_NOTHING = Follow()


@dataclass(slots=True)
class Plan:
    """What to answer and what to write.

    Args:
        outcomes: For each request, an outcome for each of its items.
        movements: New journal rows, in order.
        entries: Their entries on users' accounts.
        system_entries: Their entries on system accounts.
        receipts: What waits on sub-accounts to become entries.
        accounts: The new state of every account that changed.
        holds: The new state of every hold that is new or changed.
        purchases: By account and service, the movements by which accounts have services now.
    """

    outcomes: list[list[Outcome]] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    system_entries: list[SystemEntry] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    accounts: dict[UUID, Account] = field(default_factory=dict)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    purchases: dict[tuple[UUID, UUID], Movement] = field(default_factory=dict)

    @property
    def follows(self) -> Sequence[Movement]:
        """Movements that reverse another or capture a hold."""
        return [m for m in self.movements if m.original_id and m.kind not in _RELEASING]

    def post(self, state: State, decision: Decision) -> None:
        """Adds what was decided, and enters it in the state."""
        movement = decision.movement
        assert are_balanced(decision.postings), "postings sum to zero in each currency"
        day = state.limits.calendar.day(movement.created_at)
        for posting in decision.postings:
            self._enter(state, movement, posting, day)
        if decision.hold:
            self._hold(state, decision.hold)
        self.movements.append(movement)
        state.movements[movement.movement_id] = movement
        if movement.original_id and movement.kind not in _RELEASING:
            before = state.followed.get(movement.original_id, _NOTHING)
            state.followed[movement.original_id] = Follow(
                before.amount_minor + movement.amount_minor,
                before.price_minor + (movement.price_minor or 0),
            )
        self._claim(state, movement)

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
        if before.account_id in state.receiving:
            self._receive(state, movement, before, amount_minor)
            return
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
                movement.effective_at,
            )
        )
        state.accounts[before.account_id] = after
        self.accounts[before.account_id] = after

    def _receive(
        self, state: State, movement: Movement, before: Account, amount_minor: int
    ) -> None:
        assert amount_minor > 0, "whoever takes from an account locks it whole"
        self.receipts.append(
            Receipt(
                before.account_id,
                movement.movement_id,
                movement.kind,
                amount_minor,
                movement.from_account_id,
                movement.effective_at,
            )
        )
        state.accounts[before.account_id] = before._replace(
            balance_minor=before.balance_minor + amount_minor, changed_at=movement.created_at
        )

    def _hold(self, state: State, after: Hold) -> None:
        before = state.holds.get(after.hold_id)
        change_minor = after.left_minor - (before.left_minor if before else 0)
        account = state.accounts[after.account_id].reserved(change_minor)
        state.accounts[account.account_id] = account
        self.accounts[account.account_id] = account
        state.holds[after.hold_id] = after
        self.holds[after.hold_id] = after

    def _claim(self, state: State, movement: Movement) -> None:
        """Takes what may be used once: a service bought, a reference used."""
        if movement.reference is not None:
            key = movement.principal, movement.source or "", movement.reference
            state.references[key] = movement.movement_id
        if movement.quote_id:
            state.quote_uses[movement.quote_id] = movement.movement_id
        if movement.kind == Kind.PURCHASE and movement.service_id and movement.quantity is None:
            bought = movement.from_account_id, movement.service_id
            if state.bought(*bought) is None:
                self.purchases[bought] = movement
            state.purchases[bought] = (*state.purchases.get(bought, ()), movement)

    def extend(self, other: "Plan") -> None:
        """Adds what a plan that was made after this one is to write."""
        self.movements += other.movements
        self.entries += other.entries
        self.system_entries += other.system_entries
        self.receipts += other.receipts
        self.accounts |= other.accounts
        self.holds |= other.holds
        self.purchases |= other.purchases


_RELEASING = {Kind.RELEASE, Kind.EXPIRY}
