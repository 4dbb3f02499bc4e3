"""Quotes: what two amounts are at a rate, and in which order a quote is refused."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from balance_service.domain import errors, ledger, quotes
from balance_service.domain.accounts import SYSTEM_ACCOUNTS, Account, Status
from balance_service.domain.commands import Exchange, Origin, Transfer
from balance_service.domain.money import DECIMALS, MINOR_MAX, Money
from balance_service.domain.movements import Kind
from balance_service.domain.pricing import Rate
from balance_service.domain.quotes import Quote, Rounding
from balance_service.domain.requests import Request
from balance_service.domain.state import Done, How, Outcome, State
from tests.ledger import ACCOUNTS, NOW, REQUESTS, USERS, quoted

CODES = ["RUB", "USD", "JPY", "BHD"]
pairs = st.sampled_from([(a, b) for a in CODES for b in CODES if a != b])
# At the lowest rate, and with the most decimals, what is paid for these still fits.
minors = st.integers(1, 10**9)
values = st.decimals("0.0001", "9999", places=4).map(lambda value: value.normalize())


def rate_of(pair: tuple[str, str], value: Decimal) -> Rate:
    return Rate(*pair, value, "cbr", NOW)


def exact(paid: Money, rate: Rate) -> Fraction:
    """What is paid, at the rate, in minor units of the other currency: by the definition."""
    units = Fraction(paid.minor, 10 ** DECIMALS[paid.currency])
    return units * Fraction(rate.value) * Fraction(10) ** DECIMALS[rate.target]


@given(minor=minors, pair=pairs, value=values)
def test_what_is_received_for_an_amount_is_rounded_down(
    minor: int, pair: tuple[str, str], value: Decimal
) -> None:
    rate = rate_of(pair, value)
    fixed = Money(minor, pair[0])
    assume(exact(fixed, rate) >= 1)
    paid, received, rounding = quotes.price(fixed, rate, ACCOUNTS[0])
    assert (paid, rounding) == (fixed, Rounding.DOWN)
    assert 0 <= exact(paid, rate) - received.minor < 1


@given(minor=minors, pair=pairs, value=values)
def test_what_is_paid_for_an_amount_is_rounded_up(
    minor: int, pair: tuple[str, str], value: Decimal
) -> None:
    rate = rate_of(pair, value)
    fixed = Money(minor, pair[1])
    paid, received, rounding = quotes.price(fixed, rate, ACCOUNTS[0])
    assert (received, rounding) == (fixed, Rounding.UP)
    assert exact(paid, rate) >= received.minor
    assert exact(Money(paid.minor - 1, paid.currency), rate) < received.minor


@given(minor=minors, pair=pairs, value=values, side=st.sampled_from([0, 1]))
def test_sides_balance_and_the_company_does_not_lose(
    minor: int, pair: tuple[str, str], value: Decimal, side: int
) -> None:
    rate = rate_of(pair, value)
    fixed = Money(minor, pair[side])
    assume(side or exact(fixed, rate) >= 1)
    priced = quotes.price(fixed, rate, ACCOUNTS[0])
    quote = Quote(UUID(int=1), "user:1", ACCOUNTS[0], *priced[:2], rate, priced[2], NOW, NOW)
    payer, receiver = account(0, pair[0]), account(1, pair[1])
    sums = dict.fromkeys(pair, 0)
    for posting in quote.postings(payer, receiver):
        assert posting.amount_minor
        sums[posting.account.currency] += posting.amount_minor
        if posting.account not in (payer, receiver) and "rounding" in posting.account.name:  # type: ignore[union-attr]
            assert posting.amount_minor > 0
    assert not any(sums.values())
    assert abs(quote.exchanged_minor - exact(quote.paid, rate)) <= Fraction(1, 2)


def test_amount_that_is_worth_nothing_has_no_quote() -> None:
    with pytest.raises(errors.ChargeTooSmall):
        quotes.price(Money(1, "RUB"), rate_of(("RUB", "USD"), Decimal("0.0125")), ACCOUNTS[0])


@pytest.mark.parametrize(
    ("fixed", "pair", "value"),
    [
        (Money(MINOR_MAX, "USD"), ("USD", "RUB"), "80"),
        (Money(MINOR_MAX, "USD"), ("RUB", "USD"), "0.0125"),
        # Both amounts fit, and what the fx account gives does not.
        (Money(MINOR_MAX, "RUB"), ("USD", "RUB"), "80"),
    ],
)
def test_amount_beyond_the_ledger_has_no_quote(
    fixed: Money, pair: tuple[str, str], value: str
) -> None:
    with pytest.raises(errors.BalanceOverflow):
        quotes.price(fixed, rate_of(pair, Decimal(value)), ACCOUNTS[0])


# Carrying one out


def account(index: int, currency: str = "RUB", balance: int = 100_000) -> Account:
    owner = USERS[0]
    return Account(ACCOUNTS[index], owner, currency, balance, 0, 0, Status.ACTIVE, 0, NOW)


RUBLES, DOLLARS = account(0), account(1, "USD", 0)
QUOTE = quoted(ACCOUNTS[0], Money(8_119, "RUB"), ("RUB", "USD"))


def state_of(*accounts: Account, used: bool = False) -> State:
    state = State({a.account_id: a for a in accounts}, {}, {}, {})
    if used:
        state.quote_uses[QUOTE.quote_id] = UUID(int=7)
    return state


def by(request: int | None = None, principal: str = "user:1") -> Origin:
    request_id = None if request is None else REQUESTS[request]
    return Origin(principal=principal, owner_id=USERS[0], request_id=request_id)


def exchange(origin: Origin | None = None, quote: Quote = QUOTE) -> Exchange:
    return Exchange(origin or by(), quote, ACCOUNTS[1])


def transfer(quote: Quote = QUOTE, **changes: object) -> Transfer:
    values = {
        "origin": by(),
        "from_account_id": ACCOUNTS[0],
        "to_account_id": ACCOUNTS[1],
        "money": quote.paid,
        "quote": quote,
        **changes,
    }
    return Transfer(**values)  # type: ignore[arg-type]


def only(state: State, command: Exchange | Transfer) -> Outcome:
    return ledger.plan(state, [Request((command,))], NOW).outcomes[0][0]


def test_exchange_goes_through_the_fx_and_rounding_accounts() -> None:
    planned = ledger.plan(state_of(RUBLES, DOLLARS), [Request((exchange(),))], NOW)
    legs = {SYSTEM_ACCOUNTS[e.account_id].name: e.amount_minor for e in planned.system_entries}
    # 81.19 roubles are 1.014875 dollars, of which the customer gets 1.01.
    assert legs == {"fx/RUB": 8119, "fx/USD": -101}
    (movement,) = planned.movements
    assert (movement.kind, movement.quote_id) == (Kind.EXCHANGE, QUOTE.quote_id)
    assert (movement.price_minor, movement.price_currency) == (101, "USD")
    assert [e.amount_minor for e in planned.entries] == [-8119, 101]
    more = quoted(ACCOUNTS[0], Money(8_121, "RUB"), ("RUB", "USD"))
    planned = ledger.plan(state_of(RUBLES, DOLLARS), [Request((exchange(quote=more),))], NOW)
    legs = {SYSTEM_ACCOUNTS[e.account_id].name: e.amount_minor for e in planned.system_entries}
    # 81.21 roubles are 1.015125 dollars: nearest 1.02, of which a cent is kept.
    assert legs == {"fx/RUB": 8121, "fx/USD": -102, "rounding/USD": 1}


EXPIRED = QUOTE._replace(expires_at=NOW)
FROZEN = RUBLES._replace(status=Status.FROZEN)
OTHER = Money(8_118, "RUB")


@pytest.mark.parametrize(
    ("state", "command", "refusal"),
    [
        # Each is also refused for the reasons that come after, so the order shows.
        (
            state_of(used=True),
            transfer(EXPIRED, origin=by(principal="user:2"), money=OTHER),
            errors.QuoteNotFound,
        ),
        (state_of(used=True), transfer(EXPIRED, money=OTHER), errors.AccountNotFound),
        (state_of(FROZEN, used=True), transfer(EXPIRED, money=OTHER), errors.AccountFrozen),
        (state_of(RUBLES, used=True), transfer(EXPIRED, money=OTHER), errors.QuoteMismatch),
        (state_of(RUBLES, used=True), transfer(EXPIRED), errors.QuoteUsed),
        (state_of(account(0, balance=8_118)), transfer(EXPIRED), errors.QuoteExpired),
        (state_of(account(0, balance=8_118)), transfer(), errors.InsufficientFunds),
        (state_of(RUBLES), transfer(), errors.ReceiverUnavailable),
        (state_of(RUBLES, account(1, "EUR")), transfer(), errors.CurrencyMismatch),
    ],
)
def test_refusals_come_in_their_order(
    state: State, command: Transfer, refusal: type[errors.Refusal]
) -> None:
    assert type(only(state, command)) is refusal


def test_mismatch_names_what_differs() -> None:
    state = state_of(RUBLES, DOLLARS, account(2, "USD"))
    refusal = only(state, transfer(from_account_id=ACCOUNTS[2], money=Money(1, "USD")))
    assert isinstance(refusal, errors.QuoteMismatch)
    assert refusal.fields == ("from_account", "amount", "currency")
    assert refusal.quote == str(QUOTE.quote_id)


def test_exchange_does_not_leave_its_owner() -> None:
    strangers = DOLLARS._replace(owner_id=USERS[1])
    assert only(state_of(RUBLES, strangers), exchange()) == errors.ReceiverUnavailable()
    assert isinstance(only(state_of(RUBLES, strangers), transfer()), Done)


def test_quote_is_used_once_and_says_by_what() -> None:
    state = state_of(RUBLES, DOLLARS)
    first = only(state, exchange())
    assert isinstance(first, Done)
    for command in (exchange(), transfer()):
        refusal = only(state, command)
        assert isinstance(refusal, errors.QuoteUsed)
        assert refusal.movement == str(first.movement.movement_id)


def test_quote_is_used_once_by_a_batch_and_what_follows_it() -> None:
    state = state_of(RUBLES, DOLLARS)
    together = Request((exchange(), transfer()), all_or_nothing=True)
    first, second = ledger.plan(state, [together], NOW).outcomes[0]
    assert isinstance(first, errors.BatchRefused)
    assert isinstance(second, errors.QuoteUsed)
    assert state.quote_uses == {}
    apart = [Request((exchange(),), all_or_nothing=True) for _ in range(2)]
    done, again = ledger.plan(state, apart, NOW).outcomes
    assert isinstance(done[0], Done)
    assert isinstance(again[0], errors.QuoteUsed)


def test_repeat_is_answered_after_the_quote_has_expired() -> None:
    state = state_of(RUBLES, DOLLARS)
    first = only(state, exchange(by(1)))
    later = NOW + timedelta(hours=1)
    again = ledger.plan(state, [Request((exchange(by(1)),))], later).outcomes[0][0]
    assert isinstance(first, Done)
    assert again == Done(first.movement, How.REPLAYED)
    other = quoted(ACCOUNTS[0], Money(80, "RUB"), ("RUB", "USD"), 1)
    reused = only(state, exchange(by(1), other))
    assert isinstance(reused, errors.IdempotencyKeyReused)
    assert reused.fields == ("quote",)
    as_transfer = only(state, transfer(origin=by(1)))
    assert isinstance(as_transfer, errors.IdempotencyKeyReused)
    assert as_transfer.fields == ("method",)


def test_transfer_by_quote_is_another_request_than_one_without() -> None:
    state = state_of(RUBLES, DOLLARS)
    assert isinstance(only(state, transfer(origin=by(1))), Done)
    refusal = only(state, transfer(origin=by(1), quote=QUOTE._replace(quote_id=UUID(int=3))))
    assert isinstance(refusal, errors.IdempotencyKeyReused)
    assert refusal.fields == ("quote",)
