"""The only place that decides about money: from locked state and commands it makes postings or
refusals. It is deterministic, does no I/O, and checks a command in this order:

1. its id is in the journal already: the same answer again, or IdempotencyKeyReused
2. a purchase that the account has made before: that purchase again, charging nothing
3. the account is unknown, or is not the caller's: AccountNotFound
4. a transfer to the account itself: SameAccount
5. the account is closed or frozen, for debits where it pays: AccountClosed, AccountFrozen
6. a transfer or settlement in another currency than the account's: CurrencyMismatch
7. the caller has used the external reference: ReferenceReused
8. a purchase without a price: ServiceNotFound, RateUnavailable, RateStale, ChargeTooSmall
9. too little money: InsufficientFunds; more than an amount or balance can be: BalanceOverflow
10. a debit beyond the account's limits: DebitLimitExceeded, DailyLimitExceeded; after 9, so that
    who is refused for want of money is told so whatever limits are set, and only who could have
    paid is told of limits
11. the account that receives a transfer, by 3, 5, 6 and 9; a caller who may not read it is told
    only ReceiverUnavailable

If an item of an all-or-nothing request is refused, its other items are BatchRefused. The order,
with the duplicate first, is that of TigerBeetle's create_transfers.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from balance_service.domain import errors, pricing
from balance_service.domain.accounts import Account, SystemAccount, SystemRole
from balance_service.domain.commands import Command, Purchase, Request, Settle, Transfer
from balance_service.domain.money import MINOR_MAX
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.state import Done, How, Outcome, Plan, Posting, State


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
    if isinstance(command, Purchase):
        bought = state.purchases.get((command.account_id, command.service_id))
        account = state.accounts.get(command.account_id)
        if bought and account and command.origin.owner_id in (None, account.owner_id):
            return Done(bought, How.ALREADY_PURCHASED)
    return None


def _carry_out(whole: Plan, state: State, command: Command, now: datetime) -> Done:
    match command:
        case Transfer():
            return _transfer(whole, state, command, now)
        case Purchase():
            return _purchase(whole, state, command, now)
        case Settle():
            return _settle(whole, state, command, now)


def _transfer(whole: Plan, state: State, command: Transfer, now: datetime) -> Done:
    sender = _account(state, command.from_account_id, command.origin.owner_id)
    if command.from_account_id == command.to_account_id:
        raise errors.SameAccount(str(sender.account_id))
    sender.check_open()
    _check_currency(sender, command.money.currency)
    amount_minor = command.money.minor
    sender.check_can_pay(amount_minor)
    state.limits.check_debit(sender, amount_minor, now)
    receiver = _receiver(state, command)
    movement = _movement(
        command,
        Kind.TRANSFER,
        from_account_id=sender.account_id,
        to_account_id=receiver.account_id,
        amount_minor=amount_minor,
        currency=sender.currency,
        balance_after_minor=sender.balance_minor - amount_minor,
        created_at=max(now, sender.changed_at, receiver.changed_at),
    )
    return whole.post(
        state, movement, (Posting(sender, -amount_minor), Posting(receiver, amount_minor))
    )


def _receiver(state: State, command: Transfer) -> Account:
    """The account that a transfer goes to, if it can take it."""
    try:
        receiver = _account(state, command.to_account_id, owner_id=None)
        receiver.check_receives()
        _check_currency(receiver, command.money.currency)
        _check_fits(receiver, command.money.minor)
    except errors.Refusal:
        account = state.accounts.get(command.to_account_id)
        if command.origin.reads_all or (account and account.owner_id == command.origin.owner_id):
            raise
        raise errors.ReceiverUnavailable from None
    return receiver


def _settle(whole: Plan, state: State, command: Settle, now: datetime) -> Done:
    account = _account(state, command.account_id, command.origin.owner_id)
    deposit = command.kind == Kind.DEPOSIT
    if deposit:
        account.check_receives()
    else:
        account.check_open()
    _check_currency(account, command.money.currency)
    key = (command.origin.principal, command.source or "", command.reference or "")
    if command.reference and (movement_id := state.references.get(key)):
        raise errors.ReferenceReused(*key[1:], movement=str(movement_id))
    settlement = command.settlement
    change_minor = command.money.minor if deposit else -command.money.minor
    if deposit:
        _check_fits(account, change_minor)
    else:
        account.check_can_pay(-change_minor)
        state.limits.check_debit(account, -change_minor, now)
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
    price = command.price
    if price is None:
        raise errors.ServiceNotFound(str(command.service_id))
    amount_minor, rate = pricing.charge(price, account.currency, command.rates, now)
    account.check_can_pay(amount_minor)
    if amount_minor > MINOR_MAX:
        # Balance and limit together may pay what no amount can be.
        raise errors.BalanceOverflow(str(account.account_id))
    state.limits.check_debit(account, amount_minor, now)
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
    )._replace(service_id=command.service_id, rate=rate, price_minor=price.minor if rate else None)
    postings = [Posting(account, -amount_minor), Posting(revenue, price.minor)]
    if rate:
        # What the account pays and what revenue earns are in two currencies; the fx accounts
        # take the one and give the other, so that each currency sums to zero.
        postings += [
            Posting(SystemAccount(SystemRole.FX, account.currency), amount_minor),
            Posting(SystemAccount(SystemRole.FX, price.currency), -price.minor),
        ]
    state.purchases[account.account_id, command.service_id] = movement
    return whole.post(state, movement, postings)


def _account(state: State, account_id: UUID, owner_id: UUID | None) -> Account:
    account = state.accounts.get(account_id)
    if account is None or owner_id not in (None, account.owner_id):
        raise errors.AccountNotFound(str(account_id))
    return account


def _check_currency(account: Account, currency: str) -> None:
    if account.currency != currency:
        raise errors.CurrencyMismatch(str(account.account_id), account.currency, currency)


def _check_fits(account: Account, amount_minor: int) -> None:
    if account.balance_minor + amount_minor > MINOR_MAX:
        raise errors.BalanceOverflow(str(account.account_id))


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
