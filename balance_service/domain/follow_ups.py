"""What commands about an earlier movement come to: reversals, and holds with what becomes of them.

A reversal mirrors every side of its original, at the original's rate. What parts give back of a
sale's price, or of what was received by quote, is rounded over all parts so far, so that together
they give back the whole.
"""

from datetime import datetime

from balance_service.domain import decisions, errors, quotes
from balance_service.domain.accounts import Account, SystemAccount, SystemRole
from balance_service.domain.commands import Purchase, Transfer
from balance_service.domain.follow_up_commands import Capture, Place, Release, Reverse
from balance_service.domain.holds import Hold, HoldStatus, newly_placed
from balance_service.domain.money import Money, format_minor, share_minor
from balance_service.domain.movements import BETWEEN_USERS, PAYING_IN, Kind, Movement
from balance_service.domain.postings import Posting
from balance_service.domain.state import Decision, Follow, State


def reverse(state: State, command: Reverse, now: datetime) -> Decision:
    """Takes a movement back, or a part of it, never more than is left."""
    original, origin = command.original, command.origin
    paying_in = command.kind in PAYING_IN
    about = command.receiver_id if paying_in else command.payer_id
    assert about is not None, "one side of a reversal is a user's"
    account = decisions.find_account(state, about, origin)
    if paying_in or command.forced:
        decisions.check_receives(account, forced=command.forced)
    else:
        account.check_open()
    if command.until and now >= command.until:
        raise errors.QuoteExpired(str(original.quote_id), command.until)
    done = state.follow(original)
    amount_minor = _reversed_minor(command, done)
    money = Money(amount_minor, original.currency)
    price_minor = _price_part(original, done, amount_minor)
    receiver = None
    if paying_in:
        account.check_fits(amount_minor)
    else:
        account.check_has(price_minor, account.limit_minor if command.forced else 0)
        if command.receiver_id:
            receiver = decisions.find_receiver(
                state, command.receiver_id, money, origin, forced=command.forced
            )
    movement = decisions.new_movement(
        origin,
        command.kind,
        from_account_id=original.to_account_id,
        to_account_id=original.from_account_id,
        money=money,
        balance_after_minor=account.balance_minor + (amount_minor if paying_in else -price_minor),
        created_at=max(now, account.changed_at, receiver.changed_at if receiver else now),
    )._replace(
        original_id=original.movement_id,
        whole=command.money is None,
        rate=original.rate,
        price_minor=price_minor if original.rate else None,
    )
    if receiver and original.rate:
        return Decision(movement, _exchanged_back(original, done, movement, account, receiver))
    return Decision(movement, _mirrored(movement, account, receiver, price_minor))


def _reversed_minor(command: Reverse, done: Follow) -> int:
    original = command.original
    left_minor = original.amount_minor - done.amount_minor
    asked_minor = command.money.minor if command.money else left_minor
    if not 0 < asked_minor <= left_minor:
        raise errors.ReversalTooLarge(
            str(original.movement_id),
            format_minor(left_minor, original.currency),
            original.currency,
        )
    return asked_minor


def _mirrored(
    movement: Movement, account: Account, receiver: Account | None, price_minor: int
) -> tuple[Posting, ...]:
    amount_minor = movement.amount_minor
    if movement.kind == Kind.REFUND:
        return decisions.sale_postings(account, -amount_minor, movement.rate, -price_minor)
    if receiver:
        return (Posting(account, -amount_minor, is_debit=False), Posting(receiver, amount_minor))
    change_minor = amount_minor if movement.kind in PAYING_IN else -amount_minor
    outside = SystemAccount(SystemRole.SETTLEMENT, movement.currency)
    return (Posting(account, change_minor, is_debit=False), Posting(outside, -change_minor))


def _exchanged_back(
    original: Movement, done: Follow, part: Movement, account: Account, receiver: Account
) -> tuple[Posting, ...]:
    """The sides of the reversal of a movement by quote; those of all parts are the original's.

    Args:
        original: What is taken back.
        done: What parts before took of it.
        part: The reversal.
        account: The account that had received, and pays.
        receiver: The account that had paid.
    """
    rate, price_minor = original.rate, part.price_minor
    assert rate, "a quote has one"
    assert price_minor is not None, "with a rate"
    whole_minor = quotes.exchanged_minor(Money(original.amount_minor, original.currency), rate)
    until_now, before = (
        share_minor(whole_minor, amount_minor, original.amount_minor)
        for amount_minor in (done.amount_minor + part.amount_minor, done.amount_minor)
    )
    return quotes.exchange_postings(
        receiver, account, -part.amount_minor, -price_minor, before - until_now
    )


def _price_part(whole: Movement, done: Follow, amount_minor: int) -> int:
    """What a part has of the price, or of what was received; without either, the amount itself.

    Args:
        whole: The sale, the hold for it, or the movement by quote.
        done: What parts before took of it.
        amount_minor: What this part takes of its amount.
    """
    if whole.price_minor is None:
        return amount_minor
    until_now = share_minor(
        whole.price_minor,
        done.amount_minor + amount_minor,
        whole.amount_minor,
        # What a customer gives back, or many small parts would each win them half a unit.
        up=whole.kind in BETWEEN_USERS,
    )
    return until_now - done.price_minor


def place(state: State, command: Place, now: datetime) -> Decision:
    """Holds the money that a movement would take now."""
    purpose = command.purpose
    if isinstance(purpose, Transfer):
        intended = decisions.transfer(state, purpose, now).movement
    elif isinstance(purpose, Purchase):
        _check_not_bought(state, purpose)
        intended = decisions.purchase(state, purpose, now).movement
    else:
        intended = decisions.settle(state, purpose, now).movement
    movement = intended._replace(
        kind=Kind.HOLD,
        balance_after_minor=intended.balance_after_minor + intended.amount_minor,
        expires_at=command.expires_at,
    )
    hold = newly_placed(movement)
    hold.check_open(movement.created_at)
    return Decision(movement, hold=hold)


def _check_not_bought(state: State, purpose: Purchase) -> None:
    # As for a purchase: what is looked up for a commit depends on it, too.
    if not purpose.is_for_one:
        return
    # Who may not change the account is to hear that first.
    decisions.find_any_account(state, purpose.account_id, purpose.origin.owner_id)
    if bought := state.bought(purpose.account_id, purpose.service_id):
        raise errors.AlreadyPurchased(str(purpose.service_id), str(bought.movement_id))


def capture(state: State, command: Capture, now: datetime) -> Decision:
    """Makes the movement that money is held for, or a part of it."""
    origin, placed = command.origin, command.hold
    account = decisions.find_account(state, placed.from_account_id, origin)
    hold = _find_hold(state, placed)
    account.check_open()
    hold.check_open(now)
    amount_minor = command.money.minor if command.money else hold.left_minor
    hold.check_left(amount_minor, placed)
    money = Money(amount_minor, placed.currency)
    if command.kind == Kind.PURCHASE and placed.service_id and placed.quantity is None:
        bought = state.bought(account.account_id, placed.service_id)
        if bought and bought.original_id != placed.movement_id:
            raise errors.AlreadyPurchased(str(placed.service_id), str(bought.movement_id))
    receiver = None
    if command.kind == Kind.TRANSFER:
        receiver = decisions.find_receiver(state, placed.to_account_id, money, origin)
    after = hold.captured(amount_minor, keep_rest=command.keep_rest)
    price_minor = _price_part(placed, state.follow(placed), amount_minor)
    movement = decisions.new_movement(
        origin,
        command.kind,
        from_account_id=account.account_id,
        to_account_id=placed.to_account_id,
        money=money,
        balance_after_minor=account.balance_minor - amount_minor,
        created_at=max(
            now, placed.created_at, account.changed_at, receiver.changed_at if receiver else now
        ),
    )._replace(
        original_id=placed.movement_id,
        whole=command.money is None,
        final=after.status != HoldStatus.OPEN,
        service_id=placed.service_id,
        quantity=placed.quantity,
        rate=placed.rate,
        price_minor=price_minor if placed.rate else None,
    )
    if command.kind == Kind.PURCHASE:
        sides = decisions.sale_postings(account, amount_minor, placed.rate, price_minor)
        return Decision(movement, sides, after)
    other = receiver or SystemAccount(SystemRole.SETTLEMENT, placed.currency)
    return Decision(
        movement, (Posting(account, -amount_minor), Posting(other, amount_minor)), after
    )


def release(state: State, command: Release, now: datetime) -> Decision:
    """Gives back what is left of a hold, by request or because its time is over."""
    placed, expiring = command.hold, command.kind == Kind.EXPIRY
    account = decisions.find_account(state, placed.from_account_id, command.origin)
    hold = _find_hold(state, placed)
    if expiring and now < hold.expires_at:
        raise errors.HoldClosed(str(hold.hold_id), hold.status.name)
    hold.check_open(None if expiring else now)
    movement = decisions.new_movement(
        command.origin,
        command.kind,
        from_account_id=account.account_id,
        to_account_id=placed.to_account_id,
        money=Money(hold.left_minor, placed.currency),
        balance_after_minor=account.balance_minor,
        created_at=max(now, placed.created_at, account.changed_at),
    )._replace(original_id=placed.movement_id)
    status = HoldStatus.EXPIRED if expiring else HoldStatus.VOIDED
    return Decision(movement, hold=hold.released(status))


def _find_hold(state: State, placed: Movement) -> Hold:
    hold = state.holds.get(placed.movement_id)
    if hold is None:
        raise errors.HoldNotFound(str(placed.movement_id))
    return hold
