"""What a deposit, withdrawal, transfer, exchange or purchase comes to; the order is `ledger`'s."""

from datetime import datetime
from uuid import UUID

from balance_service.domain import errors, pricing
from balance_service.domain.accounts import Account, SystemAccount, SystemRole
from balance_service.domain.commands import Exchange, Origin, Purchase, Settle, Transfer
from balance_service.domain.money import MINOR_MAX, Money
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.postings import Posting
from balance_service.domain.pricing import Rate
from balance_service.domain.state import Decision, State


def transfer(state: State, command: Transfer | Exchange, now: datetime) -> Decision:
    """Moves money between two users' accounts; by a quote, from one currency to another."""
    if quote := command.quote:
        quote.check_asker(command.origin.principal)
    sender = find_account(state, command.from_account_id, command.origin)
    if command.from_account_id == command.to_account_id:
        raise errors.SameAccount(str(sender.account_id))
    sender.check_open()
    if quote:
        quote.check_agreed(sender.account_id, command.money)
        quote.check_usable(state.quote_uses, now)
    sender.check_currency(command.money.currency)
    amount_minor = command.money.minor
    sender.check_can_pay(amount_minor)
    state.limits.check_debit(sender, amount_minor, now)
    exchanging = isinstance(command, Exchange)
    receiver = find_receiver(
        state,
        command.to_account_id,
        quote.received if quote else command.money,
        command.origin,
        # An exchange stays with its owner.
        owner_id=sender.owner_id if exchanging else None,
    )
    movement = new_movement(
        command.origin,
        Kind.EXCHANGE if exchanging else Kind.TRANSFER,
        from_account_id=sender.account_id,
        to_account_id=receiver.account_id,
        money=command.money,
        balance_after_minor=sender.balance_minor - amount_minor,
        created_at=max(now, sender.changed_at, receiver.changed_at),
    )
    if quote is None:
        sides = (Posting(sender, -amount_minor), Posting(receiver, amount_minor))
        return Decision(movement, sides)
    movement = movement._replace(
        quote_id=quote.quote_id, rate=quote.rate, price_minor=quote.received.minor
    )
    return Decision(movement, quote.postings(sender, receiver))


def settle(state: State, command: Settle, now: datetime) -> Decision:
    """Brings money in from outside, or sends it there."""
    account = find_account(state, command.account_id, command.origin)
    deposit = command.kind == Kind.DEPOSIT
    if deposit:
        account.check_receives()
    else:
        account.check_open()
    account.check_currency(command.money.currency)
    key = (command.origin.principal, command.source or "", command.reference or "")
    if command.reference and (movement_id := state.references.get(key)):
        raise errors.ReferenceReused(*key[1:], movement=str(movement_id))
    settlement = command.settlement
    change_minor = command.money.minor if deposit else -command.money.minor
    if deposit:
        account.check_fits(change_minor)
    else:
        account.check_can_pay(-change_minor)
        state.limits.check_debit(account, -change_minor, now)
    movement = new_movement(
        command.origin,
        command.kind,
        from_account_id=settlement.account_id if deposit else account.account_id,
        to_account_id=account.account_id if deposit else settlement.account_id,
        money=command.money,
        balance_after_minor=account.balance_minor + change_minor,
        created_at=max(now, account.changed_at),
    )._replace(source=command.source, reference=command.reference)
    return Decision(movement, (Posting(account, change_minor), Posting(settlement, -change_minor)))


def purchase(state: State, command: Purchase, now: datetime) -> Decision:
    """Buys a service at its price, converted where it is in another currency."""
    account = find_account(state, command.account_id, command.origin)
    account.check_open()
    price = command.total_price()
    amount_minor, rate = pricing.charge(price, account.currency, command.rates, now)
    account.check_can_pay(amount_minor)
    if max(amount_minor, price.minor) > MINOR_MAX:
        # Balance and limit together may pay what no amount can be.
        raise errors.BalanceOverflow(str(account.account_id))
    state.limits.check_debit(account, amount_minor, now)
    movement = new_movement(
        command.origin,
        Kind.PURCHASE,
        from_account_id=account.account_id,
        to_account_id=SystemAccount(SystemRole.REVENUE, price.currency).account_id,
        money=Money(amount_minor, account.currency),
        balance_after_minor=account.balance_minor - amount_minor,
        created_at=max(now, account.changed_at),
    )._replace(
        service_id=command.service_id,
        rate=rate,
        price_minor=price.minor if rate else None,
        quantity=command.quantity if command.repeatable else None,
    )
    return Decision(movement, sale_postings(account, amount_minor, rate, price.minor))


def sale_postings(
    account: Account, amount_minor: int, rate: Rate | None, price_minor: int
) -> tuple[Posting, ...]:
    """The sides of a sale, or of a refund, whose amounts are below zero.

    Args:
        account: Whose owner pays.
        amount_minor: What they pay, in minor units of the account's currency.
        rate: What turned the price into that; None where both are in one currency.
        price_minor: The price in minor units of its own currency; without a rate, the amount.
    """
    paid = Posting(account, -amount_minor)
    if rate is None:
        return (paid, Posting(SystemAccount(SystemRole.REVENUE, account.currency), amount_minor))
    # What the account pays and what revenue earns are in two currencies; the fx accounts take the
    # one and give the other, so that each currency sums to zero.
    sides = (paid, Posting(SystemAccount(SystemRole.FX, account.currency), amount_minor))
    if not price_minor:
        # A small part of a sale may be less than half of the price's minor unit.
        return sides
    return (
        *sides,
        Posting(SystemAccount(SystemRole.REVENUE, rate.currency), price_minor),
        Posting(SystemAccount(SystemRole.FX, rate.currency), -price_minor),
    )


def find_account(state: State, account_id: UUID, origin: Origin) -> Account:
    """The account that a command is about.

    Raises:
        AccountNotFound: There is none, or the caller may change only others.
        EtagMismatch: It has changed since the caller read it.
    """
    account = find_any_account(state, account_id, origin.owner_id)
    account.check_etag(origin.etag)
    return account


def find_any_account(state: State, account_id: UUID, owner_id: UUID | None = None) -> Account:
    """An account of an owner, or of any; raises AccountNotFound."""
    account = state.accounts.get(account_id)
    if account is None or owner_id not in (None, account.owner_id):
        raise errors.AccountNotFound(str(account_id))
    return account


def find_receiver(
    state: State,
    account_id: UUID,
    money: Money,
    origin: Origin,
    *,
    owner_id: UUID | None = None,
    forced: bool = False,
) -> Account:
    """The account that money goes to, if it can take it.

    Args:
        state: Where it is.
        account_id: Its id.
        money: What it is to take.
        origin: Who asks: who may not read the account is told only that it cannot.
        owner_id: Whose it must be; None for anybody's.
        forced: Whether it takes it even if it is frozen.
    """
    try:
        receiver = find_any_account(state, account_id, owner_id)
        check_receives(receiver, forced=forced)
        receiver.check_currency(money.currency)
        receiver.check_fits(money.minor)
    except errors.Refusal:
        account = state.accounts.get(account_id)
        if origin.reads_all or (account and account.owner_id == origin.owner_id):
            raise
        raise errors.ReceiverUnavailable from None
    return receiver


def check_receives(account: Account, *, forced: bool) -> None:
    """Raises AccountFrozen or AccountClosed unless money may enter; only the latter if forced."""
    if forced:
        account.check_not_closed()
    else:
        account.check_receives()


def new_movement(
    origin: Origin,
    kind: Kind,
    *,
    from_account_id: UUID,
    to_account_id: UUID,
    money: Money,
    balance_after_minor: int,
    created_at: datetime,
) -> Movement:
    """The journal's row of what an origin asked for."""
    return Movement(
        origin.movement_id,
        kind,
        from_account_id,
        to_account_id,
        money.minor,
        money.currency,
        balance_after_minor,
        origin.principal,
        origin.request_id,
        origin.description,
        origin.metadata,
        created_at,
        effective_at=origin.effective_at,
    )
