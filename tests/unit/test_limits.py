"""Limits of debits, and what operators change: each rule by an example."""

from datetime import timedelta
from typing import Any

import pytest

from balance_service.domain import account_changes, errors, ledger, money
from balance_service.domain.account_changes import NewLimits
from balance_service.domain.accounts import Account, FreezeScope, Status
from balance_service.domain.commands import Origin, Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Place
from balance_service.domain.limits import Limits
from balance_service.domain.money import MINOR_MAX, Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Done, Outcome, State
from tests.ledger import ACCOUNTS, NOW, RATES, SERVICES, USERS

TODAY = Limits().calendar.day(NOW)
YESTERDAY = TODAY.start - timedelta(microseconds=1)


def account(index: int = 0, **changes: Any) -> Account:
    whole = Account(ACCOUNTS[index], USERS[index], "RUB", 1000, 0, 0, Status.ACTIVE, 0, NOW)
    return whole._replace(**changes)


def transfer(amount_minor: int, sender: int = 0) -> Transfer:
    origin = Origin(principal="user:1", reads_all=True)
    return Transfer(origin, ACCOUNTS[sender], ACCOUNTS[1 - sender], Money(amount_minor, "RUB"))


def settle(kind: Kind, amount_minor: int) -> Settle:
    return Settle(Origin(principal="user:1"), kind, ACCOUNTS[0], Money(amount_minor, "RUB"))


def purchase(amount_minor: int, number: int = 0) -> Purchase:
    price = Money(amount_minor, "RUB")
    return Purchase(Origin(principal="user:1"), ACCOUNTS[0], SERVICES[number], price, RATES)


def outcomes(limits: Limits, sender: Account, *commands: Command) -> list[Outcome]:
    state = State({a.account_id: a for a in (sender, account(1))}, {}, {}, {}, limits=limits)
    planned = ledger.plan(state, [Request(tuple(commands))], NOW)
    return planned.outcomes[0]


def kinds(found: list[Outcome]) -> list[type]:
    return [type(outcome) for outcome in found]


DEBITS = (transfer(60), settle(Kind.WITHDRAWAL, 60), purchase(60))


@pytest.mark.parametrize("debit", DEBITS, ids=lambda debit: type(debit).__name__)
def test_every_debit_is_limited(debit: Command) -> None:
    for limits, own in (
        (Limits(debit_minor={"RUB": 59}), {}),
        (Limits(debit_minor={"RUB": 999}), {"debit_limit_minor": 59}),
    ):
        assert kinds(outcomes(limits, account(**own), debit)) == [errors.DebitLimitExceeded]
    for limits, own in (
        (Limits(daily_minor={"RUB": 99}), {"spent_minor": 40}),
        (Limits(), {"daily_limit_minor": 99, "spent_minor": 40}),
    ):
        assert kinds(outcomes(limits, account(**own), debit)) == [errors.DailyLimitExceeded]
        # What was spent on another day does not count.
        assert kinds(outcomes(limits, account(**own, changed_at=YESTERDAY), debit)) == [Done]
    for limits, own in (
        (Limits(debit_minor={"RUB": 60}, daily_minor={"RUB": 100}), {"spent_minor": 40}),
        (Limits(debit_minor={"RUB": 1}), {"debit_limit_minor": 60}),
        (Limits(daily_minor={"RUB": 1}), {"daily_limit_minor": 60}),
        (Limits(debit_minor={"USD": 1}, daily_minor={"USD": 1}), {}),
    ):
        assert kinds(outcomes(limits, account(**own), debit)) == [Done]


def test_debits_of_a_commit_count_for_those_after_them() -> None:
    debits = (transfer(40), settle(Kind.DEPOSIT, 500), transfer(30, sender=1), purchase(40))
    found = outcomes(Limits(daily_minor={"RUB": 100}), account(), *debits, transfer(21))
    assert kinds(found) == [Done, Done, Done, Done, errors.DailyLimitExceeded]
    refusal = found[-1]
    assert isinstance(refusal, errors.DailyLimitExceeded)
    assert (refusal.limit, refusal.spent, refusal.left) == ("1.00", "0.80", "0.20")
    assert refusal.day_end == TODAY.end


def test_want_of_money_is_told_before_limits_and_these_before_the_receiver() -> None:
    limits = Limits(debit_minor={"RUB": 10}, daily_minor={"RUB": 5})
    assert kinds(outcomes(limits, account(), transfer(1001))) == [errors.InsufficientFunds]
    assert kinds(outcomes(limits, account(), transfer(11))) == [errors.DebitLimitExceeded]
    nowhere = Transfer(Origin(principal="user:1"), ACCOUNTS[0], ACCOUNTS[5], Money(6, "RUB"))
    assert kinds(outcomes(limits, account(), nowhere)) == [errors.DailyLimitExceeded]


def test_counter_is_bounded_and_starts_again_with_a_day() -> None:
    busy = account(spent_minor=MINOR_MAX - 1)
    assert busy.entered(-5, NOW, TODAY, 5).spent_minor == MINOR_MAX
    tomorrow = Limits().calendar.day(TODAY.end)
    assert busy.entered(-5, TODAY.end, tomorrow, 5).spent_minor == 5
    assert busy.entered(5, TODAY.end, tomorrow, 0).spent_minor == 0
    assert busy.spent_on(tomorrow) == 0


def test_what_is_held_counts_until_it_is_released() -> None:
    limits = Limits(daily_minor={"RUB": 100})
    held = account(held_minor=60)
    assert kinds(outcomes(limits, held, transfer(41))) == [errors.DailyLimitExceeded]
    assert kinds(outcomes(limits, held, transfer(40))) == [Done]
    hold = Place(transfer(41), NOW + timedelta(days=1))
    assert kinds(outcomes(limits, held, hold)) == [errors.DailyLimitExceeded]


def test_account_frozen_for_debits_pays_nothing_and_receives() -> None:
    frozen = account(status=Status.DEBITS_FROZEN)
    found = outcomes(Limits(), frozen, *DEBITS, settle(Kind.DEPOSIT, 1), transfer(1, sender=1))
    assert kinds(found) == [errors.AccountFrozen] * 3 + [Done] * 2
    assert isinstance(found[0], errors.AccountFrozen)
    assert (found[0].scope, "debits" in found[0].message) == ("DEBITS", True)
    (whole,) = outcomes(Limits(), account(status=Status.FROZEN), settle(Kind.DEPOSIT, 1))
    assert isinstance(whole, errors.AccountFrozen)
    assert (whole.scope, whole.message) == ("ALL", "The account is frozen.")


@pytest.mark.parametrize(
    ("before", "scope", "after"),
    [
        (Status.ACTIVE, FreezeScope.DEBITS, Status.DEBITS_FROZEN),
        (Status.ACTIVE, FreezeScope.ALL, Status.FROZEN),
        (Status.DEBITS_FROZEN, FreezeScope.ALL, Status.FROZEN),
        (Status.FROZEN, FreezeScope.DEBITS, Status.FROZEN),
    ],
)
def test_a_freeze_is_widened_and_never_narrowed(
    before: Status, scope: FreezeScope, after: Status
) -> None:
    assert account_changes.freeze(account(status=before), scope).status == after
    assert account_changes.unfreeze(account(status=after)).status == Status.ACTIVE


def test_only_a_closed_account_is_reopened() -> None:
    closed = account_changes.close(account(balance_minor=0, status=Status.FROZEN))
    for change in (account_changes.unfreeze, lambda a: account_changes.freeze(a, FreezeScope.ALL)):
        with pytest.raises(errors.AccountClosed):
            change(closed)
    assert account_changes.reopen(closed).status == Status.ACTIVE
    for status in (Status.ACTIVE, Status.FROZEN, Status.DEBITS_FROZEN):
        with pytest.raises(errors.AccountNotClosed):
            account_changes.reopen(account(status=status))


def test_limits_that_are_left_out_stay() -> None:
    limits = Limits(overdraft_minor={"RUB": 500})
    first = account_changes.set_limits(account(), NewLimits("5.00", "1", "2.50"), limits)
    assert (first.limit_minor, first.debit_limit_minor, first.daily_limit_minor) == (500, 100, 250)
    second = account_changes.set_limits(first, NewLimits(debit="", daily="0"), limits)
    assert (second.limit_minor, second.debit_limit_minor, second.daily_limit_minor) == (
        500,
        None,
        0,
    )
    with pytest.raises(errors.OverdraftAboveMax) as refused:
        account_changes.set_limits(account(), NewLimits("5.01"), limits)
    assert refused.value.maximum == "5.00"
    # What was allowed before there was a ceiling stays, while other limits are set.
    before = account(limit_minor=900)
    assert account_changes.set_limits(before, NewLimits(debit="1"), limits).limit_minor == 900
    owing = account(balance_minor=-300, limit_minor=400)
    with pytest.raises(errors.LimitBelowBalance):
        account_changes.set_limits(owing, NewLimits("2.99"), limits)


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("", {}),
        ("RUB=100000.00,USD=1000", {"RUB": 10_000_000, "USD": 100_000}),
        (" JPY = 5 , BHD=0.001,", {"JPY": 5, "BHD": 1}),
        ("RUB=0", {"RUB": 0}),
    ],
)
def test_table_of_amounts_is_read(text: str, table: dict[str, int]) -> None:
    assert money.parse_table(text, "debit_max") == table


@pytest.mark.parametrize("text", ["RUB", "RUB=", "rub=1", "RUB=1,RUB=2", "RUB=-1", "JPY=1.5", "=1"])
def test_table_of_amounts_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidFields):
        money.parse_table(text, "debit_max")
