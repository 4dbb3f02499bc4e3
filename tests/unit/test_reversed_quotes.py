"""The core: what was carried out by quote is taken back at its rate, on all five sides."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given

from balance_service.domain import errors, ledger, quotes
from balance_service.domain.accounts import SYSTEM_ACCOUNTS, Account, Status
from balance_service.domain.commands import Exchange, Transfer
from balance_service.domain.follow_up_commands import Reverse
from balance_service.domain.limits import Limits
from balance_service.domain.money import Money
from balance_service.domain.movements import REVERSALS, Kind, Movement
from balance_service.domain.pricing import Rate
from balance_service.domain.quotes import Quote
from balance_service.domain.requests import Request
from balance_service.domain.state import Done, Outcome, Plan, State
from tests.histories import History, whole_histories
from tests.ledger import ACCOUNTS, NOW, USERS
from tests.unit.test_ledger import account, by, only, state_of
from tests.unit.test_reversals import becomes, posted

PAYER, RECEIVER = ACCOUNTS[:2]
LIFE = timedelta(minutes=1)


def agreed(fixed: Money, target: str, value: Decimal) -> Quote:
    """A quote of an amount that is paid, or is received if it is in the target currency."""
    rate = Rate("RUB", target, value, "cbr", NOW)
    paid, received, rounding = quotes.price(fixed, rate, PAYER)
    by_shop = by().principal
    return Quote(UUID(int=9), by_shop, PAYER, paid, received, rate, rounding, NOW, NOW + LIFE)


def carried_out(quote: Quote, *, exchange: bool = False) -> tuple[State, Movement]:
    """The state after a quote was carried out, and the movement."""
    receiver = account(1)._replace(currency=quote.received.currency)
    if exchange:
        receiver = receiver._replace(owner_id=USERS[0])
    state = state_of(account(0, 10**9), receiver)
    if exchange:
        return state, posted(state, Exchange(by(), quote, RECEIVER))
    return state, posted(state, Transfer(by(), PAYER, RECEIVER, quote.paid, quote))


def reversed_by(state: State, command: Reverse) -> Plan:
    planned = ledger.plan(state, [Request((command,))], NOW)
    assert isinstance(planned.outcomes[0][0], Done), planned.outcomes
    return planned


def sums(plans: Sequence[Plan]) -> Counter[object]:
    """What accounts gained, system accounts by their names."""
    gained: Counter[object] = Counter()
    for planned in plans:
        for entry in planned.entries:
            gained[entry.account_id] += entry.amount_minor
        for side in planned.system_entries:
            gained[SYSTEM_ACCOUNTS[side.account_id].name] += side.amount_minor
    return gained


@pytest.mark.parametrize("exchange", [False, True])
def test_whole_reversal_mirrors_every_side(exchange: bool) -> None:
    quote = agreed(Money(10_050, "RUB"), "USD", Decimal("0.01266"))
    state, original = carried_out(quote, exchange=exchange)
    planned = reversed_by(state, Reverse(by(), original))
    (back,) = planned.movements
    assert back.kind == (Kind.EXCHANGE_REVERSAL if exchange else Kind.TRANSFER_REVERSAL)
    assert (back.original_id, back.rate, back.quote_id) == (
        original.movement_id,
        original.rate,
        None,
    )
    assert (back.amount_minor, back.currency) == (10_050, "RUB")
    assert (back.price_minor, back.price_currency) == (127, "USD")
    assert (back.account_id, back.balance_after_minor) == (RECEIVER, 1_000)
    assert (back.currency_of(RECEIVER), back.currency_of(PAYER)) == ("USD", "RUB")
    # 127.23 cents exactly: the receiver got 127, and nothing was left to the rounding account.
    assert sums([planned]) == Counter(
        {PAYER: 10_050, RECEIVER: -127, "fx/RUB": -10_050, "fx/USD": 127}
    )


@pytest.mark.parametrize("seed", range(60))
def test_parts_take_back_the_whole_on_every_side(seed: int) -> None:
    """However awkward the rate; each part the share of what is taken back so far."""
    rng = random.Random(seed)
    target = rng.choice(["USD", "JPY", "BHD"])
    fixed = Money(rng.randint(1, 999), rng.choice(["RUB", target]))
    try:
        quote = agreed(fixed, target, Decimal(rng.randint(1, 10**6)) / 7919)
    except errors.ChargeTooSmall:
        return
    state, original = carried_out(quote, exchange=rng.random() < 0.5)
    becomes(state, 1, balance_minor=quote.received.minor)
    exchanged = quotes.exchanged_minor(quote.paid, quote.rate)
    left, parts = original.amount_minor, list[Plan]()
    while left:
        part = rng.randint(1, left)
        planned = reversed_by(state, Reverse(by(), original, Money(part, "RUB")))
        parts.append(planned)
        left -= part
        gained = sums(parts)
        taken = Decimal(original.amount_minor - left) / original.amount_minor
        assert gained[PAYER] == -gained["fx/RUB"] == original.amount_minor - left
        # Never less than their share, and less than one unit more.
        assert 0 <= -gained[RECEIVER] - taken * quote.received.minor < 1
        assert abs(gained[f"fx/{target}"] - taken * exchanged) <= Decimal("0.5")
        assert gained[f"rounding/{target}"] == -gained[RECEIVER] - gained[f"fx/{target}"]
        # The company does not pay for rounding.
        kept = exchanged - quote.received.minor
        assert kept + gained[f"rounding/{target}"] >= 0
        # Nothing is entered where nothing moves.
        assert all(entry.amount_minor for entry in planned.entries)
        assert all(side.amount_minor for side in planned.system_entries)
    whole = sums(parts)
    assert whole[RECEIVER] == -quote.received.minor
    assert whole[f"fx/{target}"] == exchanged
    assert whole[f"rounding/{target}"] == quote.received.minor - exchanged
    assert isinstance(only(state, Reverse(by(), original)), errors.ReversalTooLarge)


def test_part_takes_nothing_where_the_parts_before_took_the_whole_unit() -> None:
    state, original = carried_out(agreed(Money(1, "JPY"), "JPY", Decimal("0.5")))
    assert original.amount_minor == 200
    small = reversed_by(state, Reverse(by(), original, Money(99, "RUB")))
    assert small.movements[0].price_minor == 1
    rest = reversed_by(state, Reverse(by(), original))
    assert rest.movements[0].price_minor == 0
    assert {entry.account_id for entry in rest.entries} == {PAYER}
    assert rest.movements[0].balance_after_minor == 1_000
    assert sums([small, rest])[RECEIVER] == -1


def refusal_of(state: State, original: Movement, **how: object) -> Outcome:
    return only(state, Reverse(by(), original, **how))  # type: ignore[arg-type]


def test_receiver_must_have_what_it_gives_back_in_its_own_currency() -> None:
    state, original = carried_out(agreed(Money(10_000, "RUB"), "USD", Decimal("0.0125")))
    becomes(state, 1, balance_minor=124, limit_minor=1)
    refusal = refusal_of(state, original)
    assert isinstance(refusal, errors.InsufficientFunds)
    assert (refusal.required, refusal.missing, refusal.currency) == ("1.25", "0.01", "USD")
    assert state.accounts[PAYER].balance_minor == 10**9 - 10_000
    becomes(state, 1, limit_minor=0)
    assert isinstance(refusal_of(state, original, forced=True), errors.InsufficientFunds)
    becomes(state, 1, limit_minor=1)
    forced = posted(state, Reverse(by(), original, forced=True))
    assert forced.balance_after_minor == -1
    assert state.accounts[PAYER].balance_minor == 10**9


def test_reversal_is_no_debit_and_passes_limits() -> None:
    state, original = carried_out(agreed(Money(10_000, "RUB"), "USD", Decimal("0.0125")))
    becomes(state, 1, daily_limit_minor=1, debit_limit_minor=1)
    posted(state, Reverse(by(), original))
    assert state.accounts[RECEIVER].spent_minor == 0
    # Nor does it give back what the payer may debit on the day.
    assert state.accounts[PAYER].spent_minor == 10_000
    assert state.limits == Limits()


def test_who_may_only_while_the_quote_holds_is_refused_from_its_end() -> None:
    quote = agreed(Money(10_000, "RUB"), "USD", Decimal("0.0125"))
    state, original = carried_out(quote)
    refusal = refusal_of(state, original, until=NOW)
    assert refusal == errors.QuoteExpired(str(quote.quote_id), NOW)
    posted(state, Reverse(by(), original, until=NOW + timedelta(microseconds=1)))


def test_frozen_sides_are_as_in_any_reversal() -> None:
    state, original = carried_out(agreed(Money(10_000, "RUB"), "USD", Decimal("0.0125")))
    becomes(state, 1, status=Status.DEBITS_FROZEN)
    assert isinstance(refusal_of(state, original), errors.AccountFrozen)
    becomes(state, 1, status=Status.ACTIVE)
    becomes(state, 0, status=Status.CLOSED)
    assert refusal_of(state, original, forced=True) == errors.ReceiverUnavailable()
    payer: Account = state.accounts[PAYER]
    assert payer.balance_minor == 10**9 - 10_000


@given(history=whole_histories)
def test_what_is_taken_back_whole_leaves_nothing_on_any_side(history: History) -> None:
    legs: dict[UUID, Counter[UUID]] = defaultdict(Counter)
    taken: Counter[UUID] = Counter()
    used: Counter[UUID] = Counter()
    # By each movement, what it takes back, or itself.
    about: dict[UUID, UUID] = {}
    for _, _, planned in history.run():
        for movement in planned.movements:
            original = movement.original_id if movement.kind in REVERSALS.values() else None
            about[movement.movement_id] = original or movement.movement_id
            if original:
                taken[original] += movement.amount_minor
            if movement.quote_id:
                used[movement.quote_id] += 1
        for entry in planned.entries:
            legs[about[entry.movement_id]][entry.account_id] += entry.amount_minor
        for side in planned.system_entries:
            legs[about[side.movement_id]][side.account_id] += side.amount_minor
    for movement in history.movements():
        if taken[movement.movement_id] == movement.amount_minor:
            assert not any(legs[movement.movement_id].values()), movement
    assert max(used.values(), default=1) == 1
