"""The core: each rule of `plan` by an example."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from balance_service.domain import errors, ids, ledger
from balance_service.domain.accounts import SYSTEM_ACCOUNTS, Account, Status
from balance_service.domain.commands import Origin, Purchase, Settle, Transfer
from balance_service.domain.money import MINOR_MAX, Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Done, How, Outcome, State
from tests.ledger import ACCOUNTS, NOW, RATES, REQUESTS, SERVICES, USERS


def account(index: int = 0, balance: int = 1000, **changes: object) -> Account:
    whole = Account(ACCOUNTS[index], USERS[index % 3], "RUB", balance, 0, 0, Status.ACTIVE, 0, NOW)
    return whole._replace(**changes)  # type: ignore[arg-type]


def state_of(*accounts: Account) -> State:
    return State({a.account_id: a for a in accounts}, {}, {}, {})


def only(state: State, command: Command, now: datetime = NOW) -> Outcome:
    return ledger.plan(state, [Request((command,))], now).outcomes[0][0]


def by(request: int | None = None, owner: UUID | None = None, principal: str = "user:1") -> Origin:
    request_id = None if request is None else REQUESTS[request]
    return Origin(principal=principal, owner_id=owner, request_id=request_id)


def transfer(amount: int = 10, origin: Origin | None = None, currency: str = "RUB") -> Transfer:
    origin = origin or Origin(principal="user:1", reads_all=True)
    return Transfer(origin, ACCOUNTS[0], ACCOUNTS[1], Money(amount, currency))


CLOSED = {"status": Status.CLOSED, "balance_minor": 0}


@pytest.mark.parametrize(
    ("state", "command", "refusal"),
    [
        (state_of(account(1)), transfer(), errors.AccountNotFound),
        (state_of(account(0)), transfer(), errors.AccountNotFound),
        (
            state_of(account(0), account(1)),
            transfer(origin=by(owner=USERS[1])),
            errors.AccountNotFound,
        ),
        (state_of(account(0, status=Status.FROZEN), account(1)), transfer(), errors.AccountFrozen),
        (state_of(account(0), account(1, status=Status.FROZEN)), transfer(), errors.AccountFrozen),
        (state_of(account(0), account(1, **CLOSED)), transfer(), errors.AccountClosed),
        (state_of(account(0), account(1, currency="USD")), transfer(), errors.CurrencyMismatch),
        (state_of(account(0), account(1)), transfer(currency="USD"), errors.CurrencyMismatch),
        (state_of(account(0), account(1)), transfer(1001), errors.InsufficientFunds),
        (state_of(account(0, held_minor=995), account(1)), transfer(), errors.InsufficientFunds),
        (state_of(account(0), account(1, MINOR_MAX)), transfer(), errors.BalanceOverflow),
    ],
)
def test_transfer_is_refused_for_its_reason(
    state: State, command: Transfer, refusal: type[errors.Refusal]
) -> None:
    assert isinstance(only(state, command), refusal)


def test_insufficient_funds_says_how_much_is_missing() -> None:
    refusal = only(state_of(account(0, 1000), account(1)), transfer(1550))
    assert isinstance(refusal, errors.InsufficientFunds)
    assert (refusal.available, refusal.required, refusal.missing) == ("10.00", "15.50", "5.50")


def test_limit_lets_an_account_go_below_zero_and_no_further() -> None:
    state = state_of(account(0, 0, limit_minor=100), account(1))
    assert isinstance(only(state, transfer(100)), Done)
    assert isinstance(only(state, transfer(1)), errors.InsufficientFunds)


def test_same_request_with_other_content_names_what_differs() -> None:
    state = state_of(account(0), account(1))
    assert isinstance(only(state, transfer(10, by(1))), Done)
    origin = Origin(principal="user:1", request_id=REQUESTS[1], description="other")
    refusal = only(state, transfer(11, origin))
    assert isinstance(refusal, errors.IdempotencyKeyReused)
    assert set(refusal.fields) == {"amount", "description"}
    other_method = Settle(by(1), Kind.DEPOSIT, ACCOUNTS[0], Money(10, "RUB"))
    refusal = only(state, other_method)
    assert isinstance(refusal, errors.IdempotencyKeyReused)
    assert refusal.fields == ("method",)


def test_request_ids_of_others_are_their_own() -> None:
    state = state_of(account(0), account(1))
    first = only(state, transfer(10, by(1, principal="user:1")))
    second = only(state, transfer(10, by(1, principal="user:2")))
    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert first.movement.movement_id != second.movement.movement_id


def test_references_of_others_are_their_own() -> None:
    state = state_of(account(0))

    def refer(principal: str) -> Outcome:
        origin = by(principal=principal)
        source = "service:billing"
        return only(
            state, Settle(origin, Kind.DEPOSIT, ACCOUNTS[0], Money(1, "RUB"), source, "ch_1")
        )

    burnt = refer("user:1")
    first = refer("service:billing")
    again = refer("service:billing")
    assert isinstance(burnt, Done)
    assert isinstance(first, Done)
    assert isinstance(again, errors.ReferenceReused)
    assert again.movement == str(first.movement.movement_id)


def test_refusal_does_not_burn_the_request_id() -> None:
    state = state_of(account(0, 0), account(1))
    assert isinstance(only(state, transfer(10, by(1))), errors.InsufficientFunds)
    only(state, Settle(by(), Kind.DEPOSIT, ACCOUNTS[0], Money(10, "RUB")))
    outcome = only(state, transfer(10, by(1)))
    assert isinstance(outcome, Done)
    assert outcome.how == How.POSTED


def test_charge_beyond_what_an_amount_can_be_is_refused() -> None:
    state = state_of(account(0, MINOR_MAX, limit_minor=1000))
    price = Money(MINOR_MAX // 80 + 1, "USD")
    command = Purchase(by(), ACCOUNTS[0], SERVICES[0], price, RATES)
    assert MINOR_MAX < price.minor * 80 <= MINOR_MAX + 1000
    assert isinstance(only(state, command), errors.BalanceOverflow)


def test_purchase_in_another_currency_goes_through_the_fx_accounts() -> None:
    state = state_of(account(0, 100_000))
    command = Purchase(by(), ACCOUNTS[0], SERVICES[0], Money(100, "USD"), RATES)
    planned = ledger.plan(state, [Request((command,))], NOW)
    legs = {
        (
            str(SYSTEM_ACCOUNTS[e.account_id].role),
            SYSTEM_ACCOUNTS[e.account_id].currency,
        ): e.amount_minor
        for e in planned.system_entries
    }
    assert legs == {("revenue", "USD"): 100, ("fx", "RUB"): 8000, ("fx", "USD"): -100}
    assert planned.movements[0].price_minor == 100
    assert planned.entries[0].amount_minor == -8000


def test_second_purchase_returns_the_first_even_when_no_longer_for_sale() -> None:
    state = state_of(account(0, 100_000))
    first = only(state, Purchase(by(), ACCOUNTS[0], SERVICES[0], Money(500, "RUB"), RATES))
    again = only(state, Purchase(by(), ACCOUNTS[0], SERVICES[0], None, RATES))
    assert isinstance(first, Done)
    assert again == Done(first.movement, How.ALREADY_PURCHASED)


def test_purchase_at_another_price_than_expected_is_refused_with_the_price() -> None:
    state = state_of(account(0, 100_000))
    price, other = Money(500, "RUB"), Money(499, "RUB")
    sold = (ACCOUNTS[0], SERVICES[0], price, RATES)
    refusal = only(state, Purchase(by(), *sold, expected_price=other))
    assert refusal == errors.PriceChanged(str(SERVICES[0]), "5.00", "RUB")
    first = only(state, Purchase(by(1), *sold, expected_price=price))
    assert isinstance(first, Done)
    again = only(state, Purchase(by(1), *sold, expected_price=other))
    assert again == Done(first.movement, How.REPLAYED)


def test_purchase_of_somebody_elses_account_does_not_show_what_they_bought() -> None:
    state = state_of(account(0, 100_000))
    only(state, Purchase(by(), ACCOUNTS[0], SERVICES[0], Money(500, "RUB"), RATES))
    nosy = Purchase(by(owner=USERS[2]), ACCOUNTS[0], SERVICES[0], Money(500, "RUB"), RATES)
    assert isinstance(only(state, nosy), errors.AccountNotFound)


def test_time_never_goes_back_along_a_statement() -> None:
    later = NOW + timedelta(seconds=5)
    state = state_of(account(0), account(1, changed_at=later))
    outcome = only(state, transfer())
    assert isinstance(outcome, Done)
    assert outcome.movement.created_at == later


def test_transfer_to_the_same_account_is_refused_to_its_owner_alone() -> None:
    state = state_of(account(0))

    def to_itself(owner: UUID) -> Outcome:
        return only(state, Transfer(by(owner=owner), ACCOUNTS[0], ACCOUNTS[0], Money(1, "RUB")))

    assert isinstance(to_itself(USERS[0]), errors.SameAccount)
    # Whether a number is that of an account whose id they know is nothing to others.
    assert isinstance(to_itself(USERS[1]), errors.AccountNotFound)


UNFIT = [
    [],
    [account(1, status=Status.FROZEN)],
    [account(1, **CLOSED)],
    [account(1, currency="USD")],
    [account(1, MINOR_MAX)],
]


@pytest.mark.parametrize("receiver", UNFIT)
@pytest.mark.parametrize("owner", [USERS[0], None])
def test_receiver_that_cannot_receive_is_one_refusal_to_who_may_not_read_it(
    receiver: list[Account], owner: UUID | None
) -> None:
    state = state_of(account(0), *receiver)
    assert only(state, transfer(10, by(owner=owner))) == errors.ReceiverUnavailable()
    # Nor does it show to one who could not have paid.
    poor = only(state, transfer(1001, by(owner=owner)))
    assert poor == only(state_of(account(0), account(1)), transfer(1001, by(owner=owner)))


@pytest.mark.parametrize("receiver", UNFIT[1:])
def test_owner_of_both_accounts_hears_why_one_cannot_receive(receiver: list[Account]) -> None:
    state = state_of(account(0), receiver[0]._replace(owner_id=USERS[0]))
    outcome = only(state, transfer(10, by(owner=USERS[0])))
    seen = only(state, transfer())
    assert outcome == seen
    assert not isinstance(outcome, errors.ReceiverUnavailable)


def test_settlement_needs_no_lock_and_no_state() -> None:
    state = state_of(account(0, 0))
    planned = ledger.plan(
        state, [Request((Settle(by(), Kind.DEPOSIT, ACCOUNTS[0], Money(5, "RUB")),))], NOW
    )
    assert [e.amount_minor for e in planned.system_entries] == [-5]
    assert set(planned.accounts) == {ACCOUNTS[0]}
    assert ids.named_id("settlement/RUB") == planned.system_entries[0].account_id
