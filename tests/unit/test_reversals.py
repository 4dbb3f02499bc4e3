"""The core: each rule of reversals by an example."""

import random
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from balance_service.domain import errors, ledger
from balance_service.domain.accounts import Account, Status
from balance_service.domain.commands import Origin, Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Reverse
from balance_service.domain.money import MINOR_MAX, Money
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.pricing import Quotation, Rates, RateSheet
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Done, How, Outcome, State
from tests.ledger import ACCOUNTS, NOW, RATES, SERVICES, USERS
from tests.unit.test_ledger import CLOSED, account, by, only, state_of


def posted(state: State, command: Command) -> Movement:
    outcome = only(state, command)
    assert isinstance(outcome, Done), outcome
    return outcome.movement


def deposited(state: State, amount: int = 100) -> Movement:
    return posted(state, Settle(by(), Kind.DEPOSIT, ACCOUNTS[0], Money(amount, "RUB")))


def transferred(state: State, amount: int = 100) -> Movement:
    return posted(state, Transfer(by(), ACCOUNTS[0], ACCOUNTS[1], Money(amount, "RUB")))


def becomes(state: State, index: int = 0, **changes: object) -> None:
    """Changes an account, as operators and other movements do."""
    changed = state.accounts[ACCOUNTS[index]]._replace(**changes)  # type: ignore[arg-type]
    state.accounts[ACCOUNTS[index]] = changed


def rub(amount: int) -> Money:
    return Money(amount, "RUB")


def balances(state: State) -> list[int]:
    return [account.balance_minor for account in state.accounts.values()]


def test_every_kind_is_taken_back_on_all_sides() -> None:
    state = state_of(account(0), account(1))
    price = Money(100, "RUB")
    for command, reversed_kind in (
        (Settle(by(), Kind.DEPOSIT, ACCOUNTS[0], rub(7)), Kind.DEPOSIT_REVERSAL),
        (Settle(by(), Kind.WITHDRAWAL, ACCOUNTS[0], rub(7)), Kind.WITHDRAWAL_REVERSAL),
        (Transfer(by(), ACCOUNTS[0], ACCOUNTS[1], rub(7)), Kind.TRANSFER_REVERSAL),
        (Purchase(by(), ACCOUNTS[0], SERVICES[0], price, RATES), Kind.REFUND),
    ):
        before = balances(state)
        original = posted(state, command)
        back = posted(state, Reverse(by(), original))
        assert (back.kind, back.original_id) == (reversed_kind, original.movement_id)
        sides = (original.from_account_id, original.to_account_id)
        assert (back.to_account_id, back.from_account_id) == sides
        assert balances(state) == before


@pytest.mark.parametrize(
    "kind",
    [Kind.DEPOSIT_REVERSAL, Kind.REFUND, Kind.TRANSFER_REVERSAL, Kind.HOLD, Kind.EXPIRY],
)
def test_what_is_no_movement_of_money_or_a_reversal_is_not_reversible(kind: Kind) -> None:
    movement = deposited(state_of(account(0)))._replace(kind=kind)
    with pytest.raises(errors.NotReversible) as refused:
        Reverse(by(), movement)
    assert refused.value.kind == kind.name


def test_parts_are_taken_back_until_nothing_is_left() -> None:
    state = state_of(account(0))
    original = deposited(state, 100)
    posted(state, Reverse(by(), original, rub(60)))
    refusal = only(state, Reverse(by(), original, rub(41)))
    assert refusal == errors.ReversalTooLarge(str(original.movement_id), "0.40", "RUB")
    rest = posted(state, Reverse(by(), original))
    assert (rest.amount_minor, rest.whole) == (40, True)
    refusal = only(state, Reverse(by(), original))
    assert refusal == errors.ReversalTooLarge(str(original.movement_id), "0.00", "RUB")


def test_reversal_of_what_is_spent_needs_the_overdraft_and_force() -> None:
    state = state_of(account(0, 0, limit_minor=50), account(1, 0))
    original = deposited(state, 100)
    transferred(state, 100)
    becomes(state, limit_minor=99)
    assert isinstance(only(state, Reverse(by(), original, rub(1))), errors.InsufficientFunds)
    forced = only(state, Reverse(by(), original, forced=True))
    assert isinstance(forced, errors.InsufficientFunds)
    assert forced.missing == "0.01"
    assert posted(state, Reverse(by(), original, rub(99), forced=True)).balance_after_minor == -99


def test_reversal_takes_nothing_that_is_held() -> None:
    state = state_of(account(0, 0))
    original = deposited(state, 100)
    becomes(state, held_minor=40)
    assert isinstance(only(state, Reverse(by(), original, rub(61))), errors.InsufficientFunds)
    posted(state, Reverse(by(), original, rub(60)))


def test_frozen_account_gives_and_takes_back_only_by_force() -> None:
    state = state_of(account(0), account(1))
    paid, sent = deposited(state), transferred(state)
    becomes(state, 0, status=Status.FROZEN)
    assert isinstance(only(state, Reverse(by(), paid)), errors.AccountFrozen)
    # The receiver of the transfer's reversal is the frozen one.
    seen = Origin(principal="user:1", reads_all=True)
    assert isinstance(only(state, Reverse(seen, sent)), errors.AccountFrozen)
    assert only(state, Reverse(by(), sent)) == errors.ReceiverUnavailable()
    posted(state, Reverse(by(), paid, forced=True))
    posted(state, Reverse(by(), sent, forced=True))


@pytest.mark.parametrize("forced", [False, True])
def test_closed_account_gives_and_takes_nothing_back(forced: bool) -> None:
    state = state_of(account(0), account(1))
    out = posted(state, Settle(by(), Kind.WITHDRAWAL, ACCOUNTS[0], rub(1000)))
    becomes(state, **CLOSED)
    assert isinstance(only(state, Reverse(by(), out, forced=forced)), errors.AccountClosed)
    state = state_of(account(0, 100), account(1))
    sent = transferred(state)
    becomes(state, 0, **CLOSED)
    refusal = only(state, Reverse(by(), sent, forced=forced))
    assert refusal == errors.ReceiverUnavailable()


def test_reversal_that_the_account_cannot_hold_is_refused() -> None:
    state = state_of(account(0), account(1))
    out = posted(state, Settle(by(), Kind.WITHDRAWAL, ACCOUNTS[0], rub(10)))
    sent = transferred(state)
    becomes(state, balance_minor=MINOR_MAX - 5)
    assert isinstance(only(state, Reverse(by(), out)), errors.BalanceOverflow)
    assert only(state, Reverse(by(), sent)) == errors.ReceiverUnavailable()
    posted(state, Reverse(by(), out, rub(5)))


def test_refusals_come_in_their_order() -> None:
    """Each is mended in turn, and shows the next."""
    state = state_of(account(0, 1000), account(1, 0))
    sent = transferred(state, 100)
    becomes(state, 0, status=Status.FROZEN)
    becomes(state, 1, status=Status.FROZEN, balance_minor=50)

    def refused(owner: UUID = USERS[1], amount: int = 101, etag: str = "other") -> Outcome:
        origin = Origin(principal="user:1", owner_id=owner, etag=etag)
        return only(state, Reverse(origin, sent, rub(amount)))

    assert isinstance(refused(owner=USERS[0]), errors.AccountNotFound)
    assert isinstance(refused(), errors.EtagMismatch)
    etag = state.accounts[ACCOUNTS[1]].etag
    assert isinstance(refused(etag=etag), errors.AccountFrozen)
    becomes(state, 1, status=Status.ACTIVE)
    etag = state.accounts[ACCOUNTS[1]].etag
    assert isinstance(refused(etag=etag), errors.ReversalTooLarge)
    assert isinstance(refused(etag=etag, amount=51), errors.InsufficientFunds)
    assert isinstance(refused(etag=etag, amount=50), errors.ReceiverUnavailable)
    becomes(state, 0, status=Status.ACTIVE)
    assert isinstance(refused(etag=etag, amount=50), Done)


def test_repeat_of_a_reversal_is_the_same_and_of_another_is_refused() -> None:
    state = state_of(account(0))
    original, other = deposited(state), deposited(state)
    first = posted(state, Reverse(by(1), original, rub(10)))
    assert only(state, Reverse(by(1), original, rub(10))) == Done(first, How.REPLAYED)
    for command, field in (
        (Reverse(by(1), other, rub(10)), "deposit"),
        (Reverse(by(1), original, rub(11)), "amount"),
        (Reverse(by(1), original), "amount"),
        (Settle(by(1), Kind.DEPOSIT, ACCOUNTS[0], rub(10)), "method"),
    ):
        refusal = only(state, command)
        assert isinstance(refusal, errors.IdempotencyKeyReused)
        assert refusal.fields == (field,)


def test_reversal_is_not_dated_before_its_accounts() -> None:
    later = NOW + timedelta(seconds=5)
    state = state_of(account(0), account(1))
    sent = transferred(state)
    becomes(state, 0, changed_at=later)
    assert posted(state, Reverse(by(), sent)).created_at == later


def rates(value: Decimal, at: timedelta = timedelta()) -> Rates:
    sheet = RateSheet("cbr", "RUB", NOW + at, {"USD": Quotation(Decimal(1), value)})
    return Rates((sheet,), lambda as_of: as_of + timedelta(hours=96))


@pytest.mark.parametrize("seed", range(40))
def test_parts_of_a_converted_purchase_give_back_all_of_it(seed: int) -> None:
    """At the original's rate, however awkward; each part the share of what is given back so far."""
    rng = random.Random(seed)
    state = state_of(account(0, 10**12))
    price = Money(rng.randint(1, 999), "USD")
    awkward = Decimal(rng.randint(1, 10**6)) / 7919
    buy = Purchase(by(), ACCOUNTS[0], SERVICES[0], price, rates(awkward))
    outcome = only(state, buy)
    if isinstance(outcome, errors.ChargeTooSmall):
        return
    assert isinstance(outcome, Done)
    original, revenue = outcome.movement, price.minor
    left = original.amount_minor
    while left:
        part = rng.randint(1, left)
        planned = ledger.plan(state, [Request((Reverse(by(), original, rub(part)),))], NOW)
        (back,) = planned.movements
        assert back.rate == original.rate
        left, revenue = left - part, revenue - (back.price_minor or 0)
        exact = Decimal(price.minor) * left / original.amount_minor
        assert abs(revenue - exact) <= Decimal("0.5")
        sides = [entry.amount_minor for entry in planned.system_entries]
        fees = [back.price_minor, back.price_minor and -back.price_minor]
        assert sorted(sides) == sorted(
            [-part, *(fee for fee in fees if fee)], key=lambda amount: amount
        )
    assert (left, revenue) == (0, 0)
    assert state.accounts[ACCOUNTS[0]].balance_minor == 10**12


def test_service_that_was_refunded_whole_may_be_bought_again() -> None:
    state = state_of(account(0))
    buy = Purchase(by(), ACCOUNTS[0], SERVICES[0], rub(100), RATES)
    first = posted(state, buy)
    posted(state, Reverse(by(), first, rub(99)))
    again = Purchase(by(), ACCOUNTS[0], SERVICES[0], rub(100), RATES)
    assert only(state, again) == Done(first, How.ALREADY_PURCHASED)
    posted(state, Reverse(by(), first))
    second = posted(state, again)
    assert second.movement_id != first.movement_id
    assert only(state, buy) == Done(first, How.REPLAYED)


def test_deposit_reversed_of_an_account_that_is_not_there() -> None:
    original = deposited(state_of(account(0)))
    there: list[Account] = [account(1)]
    assert isinstance(only(state_of(*there), Reverse(by(), original)), errors.AccountNotFound)
