"""The only place that decides about money: from locked state and commands it makes postings or
refusals. It is deterministic, does no I/O, and checks a command in this order:

1. its id is in the journal already: the same answer again, or IdempotencyKeyReused
2. a purchase that the account has made before: that purchase again, charging nothing
3. the quote is another caller's: QuoteNotFound; the account is unknown, or is not the caller's:
   AccountNotFound
4. a transfer to the account itself: SameAccount
5. the account is closed or frozen: AccountClosed, AccountFrozen
6. a transfer or settlement in another currency than the account's: CurrencyMismatch; one that is
   not what was quoted: QuoteMismatch
7. the caller has used the external reference: ReferenceReused; the quote: QuoteUsed, QuoteExpired
8. a purchase without a price: ServiceNotFound; at another than expected: PriceChanged; of several
   where one is sold: InvalidFields; without a charge: RateUnavailable, RateStale, ChargeTooSmall
9. too little money: InsufficientFunds; more than an amount or balance can be: BalanceOverflow
10. the account that receives a transfer or exchange, by 3, 5, 6 and 9; a caller who may not read it
    is told only ReceiverUnavailable

If an item of an all-or-nothing request is refused, its other items are BatchRefused. The order,
with the duplicate first, is that of TigerBeetle's create_transfers.
"""

import enum
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain import errors, pricing
from balance_service.domain.accounts import Account, SystemAccount, SystemRole
from balance_service.domain.commands import Command, Exchange, Purchase, Request, Settle, Transfer
from balance_service.domain.money import MINOR_MAX, Money
from balance_service.domain.movements import Entry, Kind, Movement, SystemEntry
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
        quote_uses: Movement ids by the quotes that they carried out.
    """

    accounts: MutableMapping[UUID, Account]
    movements: MutableMapping[UUID, Movement]
    purchases: MutableMapping[tuple[UUID, UUID], Movement]
    references: MutableMapping[tuple[str, str, str], UUID]
    tried: set[UUID] = field(default_factory=set)
    quote_uses: MutableMapping[UUID, UUID] = field(default_factory=dict)

    def copy(self) -> "State":
        """A state that can be changed and thrown away."""
        return State(
            dict(self.accounts),
            dict(self.movements),
            dict(self.purchases),
            dict(self.references),
            set(self.tried),
            dict(self.quote_uses),
        )

    def adopt(self, other: "State") -> None:
        """Takes over the changes that were made to a copy of this state."""
        self.accounts.update(other.accounts)
        self.movements.update(other.movements)
        self.purchases.update(other.purchases)
        self.references.update(other.references)
        self.tried.intersection_update(other.tried)
        self.quote_uses.update(other.quote_uses)


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
        assert are_balanced(postings), "postings sum to zero in each currency"
        for posting in postings:
            self._enter(state, movement, posting)
        self.movements.append(movement)
        state.movements[movement.movement_id] = movement
        return Done(movement, How.POSTED)

    def _enter(self, state: State, movement: Movement, posting: Posting) -> None:
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
        before = posting.account
        after = before.entered(posting.amount_minor, movement.created_at)
        sent = before.account_id == movement.from_account_id
        self.entries.append(
            Entry(
                before.account_id,
                after.sequence,
                movement.movement_id,
                movement.kind,
                posting.amount_minor,
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


def plan(state: State, requests: Sequence[Request], now: datetime) -> Plan:
    """Decides every command, in order.

    The result is the same as planning the requests one by one, each on the state left by the last.

    Args:
        state: What they depend on. It is changed: what is posted is entered in it.
        requests: In the order they came.
        now: The time of what is posted, unless an account's last entry is later.
    """
    whole = Plan()
    for request in requests:
        if request.all_or_nothing:
            whole.outcomes.append(_all_or_nothing(whole, state, request, now))
        else:
            whole.outcomes.append([_outcome(whole, state, item, now) for item in request.items])
    return whole


def _all_or_nothing(whole: Plan, state: State, request: Request, now: datetime) -> list[Outcome]:
    """Decides a request on a copy, which is adopted if nothing was refused."""
    unread = {i: item for i, item in enumerate(request.items) if isinstance(item, errors.Refusal)}
    if unread:
        others = errors.BatchRefused(min(unread))
        return [unread.get(index, others) for index in range(len(request.items))]
    trial, copy = Plan(), state.copy()
    outcomes: list[Outcome] = []
    for index, item in enumerate(request.items):
        outcome = _outcome(trial, copy, item, now)
        if isinstance(outcome, errors.Refusal):
            refused: list[Outcome] = [errors.BatchRefused(index) for _ in request.items]
            refused[index] = outcome
            return refused
        outcomes.append(outcome)
    state.adopt(copy)
    whole.extend(trial)
    return outcomes


def _outcome(whole: Plan, state: State, item: Command | errors.Refusal, now: datetime) -> Outcome:
    if isinstance(item, errors.Refusal):
        return item
    try:
        return _replay(state, item) or _carry_out(whole, state, item, now)
    except errors.Refusal as refusal:
        return refusal


def _replay(state: State, command: Command) -> Done | None:
    """The answer given before to the same request, if there was one."""
    movement = state.movements.get(command.origin.movement_id)
    if movement is not None:
        if differing := command.differences(movement):
            origin = command.origin
            sent = origin.request_text or str(origin.request_id)
            raise errors.IdempotencyKeyReused(sent, tuple(differing))
        if movement.movement_id in state.tried:
            state.tried.discard(movement.movement_id)
            return Done(movement, How.POSTED)
        return Done(movement, How.REPLAYED)
    if isinstance(command, Purchase) and command.is_for_one:
        bought = state.purchases.get((command.account_id, command.service_id))
        account = state.accounts.get(command.account_id)
        if bought and account and command.origin.owner_id in (None, account.owner_id):
            return Done(bought, How.ALREADY_PURCHASED)
    return None


def _carry_out(whole: Plan, state: State, command: Command, now: datetime) -> Done:
    match command:
        case Transfer() | Exchange():
            return _transfer(whole, state, command, now)
        case Purchase():
            return _purchase(whole, state, command, now)
        case Settle():
            return _settle(whole, state, command, now)


def _transfer(whole: Plan, state: State, command: Transfer | Exchange, now: datetime) -> Done:
    if quote := command.quote:
        quote.check_asker(command.origin.principal)
    sender = _account(state, command.from_account_id, command.origin.owner_id)
    if command.from_account_id == command.to_account_id:
        raise errors.SameAccount(str(sender.account_id))
    sender.check_open()
    if quote:
        quote.check_agreed(sender.account_id, command.money)
        quote.check_usable(state.quote_uses, now)
    sender.check_currency(command.money.currency)
    amount_minor = command.money.minor
    sender.check_can_pay(amount_minor)
    receiver = _receiver(state, command, sender, quote.received if quote else command.money)
    movement = _movement(
        command,
        Kind.EXCHANGE if isinstance(command, Exchange) else Kind.TRANSFER,
        from_account_id=sender.account_id,
        to_account_id=receiver.account_id,
        amount_minor=amount_minor,
        currency=sender.currency,
        balance_after_minor=sender.balance_minor - amount_minor,
        created_at=max(now, sender.changed_at, receiver.changed_at),
    )
    if quote is None:
        postings = [Posting(sender, -amount_minor), Posting(receiver, amount_minor)]
        return whole.post(state, movement, postings)
    movement = movement._replace(
        quote_id=quote.quote_id, rate=quote.rate, price_minor=quote.received.minor
    )
    state.quote_uses[quote.quote_id] = movement.movement_id
    return whole.post(state, movement, quote.postings(sender, receiver))


def _receiver(state: State, command: Transfer | Exchange, sender: Account, money: Money) -> Account:
    """The account that a transfer or exchange goes to, if it can take the money."""
    try:
        # An exchange stays with its owner.
        owner_id = sender.owner_id if isinstance(command, Exchange) else None
        receiver = _account(state, command.to_account_id, owner_id)
        receiver.check_open()
        receiver.check_currency(money.currency)
        receiver.check_fits(money.minor)
    except errors.Refusal:
        account = state.accounts.get(command.to_account_id)
        if command.origin.reads_all or (account and account.owner_id == command.origin.owner_id):
            raise
        raise errors.ReceiverUnavailable from None
    return receiver


def _settle(whole: Plan, state: State, command: Settle, now: datetime) -> Done:
    account = _account(state, command.account_id, command.origin.owner_id)
    account.check_open()
    account.check_currency(command.money.currency)
    key = (command.origin.principal, command.source or "", command.reference or "")
    if command.reference and (movement_id := state.references.get(key)):
        raise errors.ReferenceReused(*key[1:], movement=str(movement_id))
    settlement = command.settlement
    deposit = command.kind == Kind.DEPOSIT
    change_minor = command.money.minor if deposit else -command.money.minor
    if deposit:
        account.check_fits(change_minor)
    else:
        account.check_can_pay(-change_minor)
    movement = _movement(
        command,
        command.kind,
        from_account_id=settlement.account_id if deposit else account.account_id,
        to_account_id=account.account_id if deposit else settlement.account_id,
        amount_minor=command.money.minor,
        currency=account.currency,
        balance_after_minor=account.balance_minor + change_minor,
        created_at=max(now, account.changed_at),
    )._replace(source=command.source, reference=command.reference)
    if command.reference:
        state.references[key] = movement.movement_id
    return whole.post(
        state, movement, (Posting(account, change_minor), Posting(settlement, -change_minor))
    )


def _purchase(whole: Plan, state: State, command: Purchase, now: datetime) -> Done:
    account = _account(state, command.account_id, command.origin.owner_id)
    account.check_open()
    price = command.total_price()
    amount_minor, rate = pricing.charge(price, account.currency, command.rates, now)
    account.check_can_pay(amount_minor)
    if max(amount_minor, price.minor) > MINOR_MAX:
        # Balance and limit together may pay what no amount can be.
        raise errors.BalanceOverflow(str(account.account_id))
    revenue = SystemAccount(SystemRole.REVENUE, price.currency)
    movement = _movement(
        command,
        Kind.PURCHASE,
        from_account_id=account.account_id,
        to_account_id=revenue.account_id,
        amount_minor=amount_minor,
        currency=account.currency,
        balance_after_minor=account.balance_minor - amount_minor,
        created_at=max(now, account.changed_at),
    )._replace(
        service_id=command.service_id,
        rate=rate,
        price_minor=price.minor if rate else None,
        quantity=command.quantity if command.repeatable else None,
    )
    postings = [Posting(account, -amount_minor), Posting(revenue, price.minor)]
    if rate:
        # What the account pays and what revenue earns are in two currencies; the fx accounts
        # take the one and give the other, so that each currency sums to zero.
        postings += [
            Posting(SystemAccount(SystemRole.FX, account.currency), amount_minor),
            Posting(SystemAccount(SystemRole.FX, price.currency), -price.minor),
        ]
    if not command.repeatable:
        state.purchases[account.account_id, command.service_id] = movement
    return whole.post(state, movement, postings)


def _account(state: State, account_id: UUID, owner_id: UUID | None) -> Account:
    account = state.accounts.get(account_id)
    if account is None or owner_id not in (None, account.owner_id):
        raise errors.AccountNotFound(str(account_id))
    return account


def _movement(
    command: Command,
    kind: Kind,
    *,
    from_account_id: UUID,
    to_account_id: UUID,
    amount_minor: int,
    currency: str,
    balance_after_minor: int,
    created_at: datetime,
) -> Movement:
    origin = command.origin
    return Movement(
        origin.movement_id,
        kind,
        from_account_id,
        to_account_id,
        amount_minor,
        currency,
        balance_after_minor,
        origin.principal,
        origin.request_id,
        origin.description,
        origin.metadata,
        created_at,
    )
