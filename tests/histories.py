"""Histories of the ledger, drawn by planning what was drawn so far: a reversal has an original."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from balance_service.domain import errors, ledger
from balance_service.domain.accounts import Account, Status
from balance_service.domain.commands import Exchange, Origin, Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Capture, Place, Release, Reverse
from balance_service.domain.money import MINOR_MAX, Money
from balance_service.domain.movements import REVERSALS, Kind, Movement
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Plan, State
from tests.ledger import ACCOUNTS, NOW, RATES, REQUESTS, SERVICES, USERS, quoted


def mostly(usual: object, *others: object) -> st.SearchStrategy[Any]:
    """One value, and now and then another: most of what is asked must succeed to lead on."""
    return st.sampled_from([*[usual] * (9 * len(others)), *others])


amounts = st.sampled_from([*range(1, 12), *[50, 99, 100, 333] * 2, 500, 1001, MINOR_MAX])
currencies = st.sampled_from(["RUB", "RUB", "RUB", "USD"])
passing = st.sampled_from([0, 0, 0, 0, 0, 1, 30, -1]).map(lambda n: timedelta(minutes=n))
lasting = st.sampled_from([60, 60, 60, 60, 10, 1, 0, -1]).map(lambda n: timedelta(minutes=n))


@dataclass(frozen=True)
class Step:
    """Requests of one commit, and its time."""

    now: datetime
    requests: list[Request]


@dataclass(frozen=True)
class History:
    """Commits one after another, from a state on.

    Args:
        state: Before the first; it is not changed.
        steps: The commits.
    """

    state: State
    steps: list[Step]

    def run(self) -> Iterator[tuple[State, Step, Plan]]:
        """Plans each step; the state after it, which goes on to change."""
        state = self.state.copy()
        for step in self.steps:
            planned = ledger.plan(state, step.requests, step.now)
            yield state, step, planned

    def end(self) -> tuple[State, datetime]:
        """The state and the time after the last step."""
        state = self.state.copy()
        for step in self.steps:
            ledger.plan(state, step.requests, step.now)
        return state, self.steps[-1].now if self.steps else NOW

    def movements(self) -> list[Movement]:
        return [movement for _, _, planned in self.run() for movement in planned.movements]


@dataclass
class Known:
    """What those who ask may refer to.

    Args:
        now: The time of the commit.
        state: What the commit is planned on.
        movements: What was posted before it.
    """

    now: datetime
    state: State
    movements: list[Movement] = field(default_factory=list)

    def of(self, kinds: Sequence[Kind]) -> list[Movement]:
        return [movement for movement in self.movements if movement.kind in kinds]


@st.composite
def states(draw: st.DrawFn) -> State:
    accounts = {}
    for index, account_id in enumerate(ACCOUNTS[: draw(mostly(3, 1, 6))]):
        limit = draw(st.sampled_from([0, 0, 0, 300]))
        held = draw(st.sampled_from([0, 0, 50]))
        balance = draw(st.sampled_from([held - limit, 100, 1000, 1000]))
        status = draw(mostly(Status.ACTIVE, Status.FROZEN, Status.CLOSED))
        if status == Status.CLOSED:
            balance = held = limit = 0
        accounts[account_id] = Account(
            account_id, USERS[index % 3], draw(currencies), balance, held, limit, status, 0, NOW
        )
    return State(accounts, {}, {}, {})


@st.composite
def origins(draw: st.DrawFn, known: Known) -> Origin:
    etags = sorted(account.etag for account in known.state.accounts.values())
    return Origin(
        principal=draw(mostly("user:1", "service:billing")),
        owner_id=draw(mostly(None, *USERS)),
        reads_all=draw(st.booleans()),
        request_id=draw(mostly(None, *REQUESTS[:8])),
        etag=draw(mostly("", "another", *etags)),
        effective_at=draw(mostly(None, NOW - timedelta(days=2))),
    )


@st.composite
def purposes(draw: st.DrawFn, known: Known, kind: Kind) -> Transfer | Purchase | Settle:
    origin = draw(origins(known))
    there = sorted(known.state.accounts)
    account = draw(st.sampled_from([*there * 4, ACCOUNTS[-1]]))
    known_account = known.state.accounts.get(account)
    currency = known_account.currency if known_account else "RUB"
    money = Money(draw(amounts), draw(mostly(currency, "USD")))
    if kind == Kind.TRANSFER:
        return Transfer(origin, account, draw(st.sampled_from([*there * 4, ACCOUNTS[-1]])), money)
    if kind == Kind.PURCHASE:
        prices = [money, Money(3, "USD"), Money(7, "USD"), Money(12, "USD"), Money(701, "RUB")]
        price = draw(st.sampled_from([None, *prices * 3]))
        return Purchase(origin, account, draw(st.sampled_from(SERVICES)), price, RATES)
    reference = draw(mostly(None, "ref-1", "ref-2", "ref-3"))
    return Settle(origin, kind, account, money, reference and "stripe", reference)


# What a quote fixes: whether that is what is paid, and how much. All of them can be rounded.
TERMS = [(True, 333), (True, 101), (False, 7), (False, 501)]


@st.composite
def carried_out(draw: st.DrawFn, known: Known) -> Transfer | Exchange:
    """What carries out one of a few quotes, each of which is always the same."""
    origin = draw(origins(known))
    there = sorted(known.state.accounts)
    payer = draw(st.sampled_from(there))
    currency = known.state.accounts[payer].currency
    pair = (currency, "RUB" if currency == "USD" else "USD")
    fitting = [account for account in there if known.state.accounts[account].currency == pair[1]]
    receiver = draw(st.sampled_from(fitting or there))
    place = draw(st.sampled_from(range(len(TERMS))))
    pays, amount = TERMS[place]
    number = ACCOUNTS.index(payer) * len(TERMS) + place
    quote = quoted(payer, Money(amount, pair[0 if pays else 1]), pair, number, life=3_600)
    if draw(st.booleans()):
        return Exchange(origin, quote, receiver)
    return Transfer(origin, payer, receiver, quote.paid, quote)


PLAIN = [Kind.DEPOSIT, Kind.WITHDRAWAL, Kind.TRANSFER, Kind.PURCHASE]


@st.composite
def commands(draw: st.DrawFn, known: Known) -> Command:
    """Any command; what refers to a movement refers to any that was posted, whoever's it is."""
    reversible, holds = known.of(list(REVERSALS)), known.of([Kind.HOLD])
    kinds: list[Kind | None] = [*PLAIN, Kind.PURCHASE, Kind.EXCHANGE, Kind.HOLD, Kind.HOLD]
    kinds += [Kind.REFUND] * 4 if reversible else []
    kinds += [Kind.RELEASE, Kind.EXPIRY, *[None] * 7] if holds else []
    kind = draw(st.sampled_from(kinds))
    if kind in PLAIN:
        return draw(purposes(known, kind))
    if kind == Kind.EXCHANGE:
        return draw(carried_out(known))
    if kind == Kind.HOLD:
        purpose = draw(purposes(known, draw(st.sampled_from([*PLAIN[1:], Kind.PURCHASE]))))
        return Place(purpose, known.now + draw(lasting), draw(st.booleans()))
    origin = draw(origins(known))
    still_open = [hold for hold in holds if known.state.holds[hold.movement_id].left_minor]
    # One sale, or exchange, in many parts is what rounding goes wrong by.
    sales = [movement for movement in reversible if movement.rate] * 4
    original = draw(
        st.sampled_from(reversible + sales if kind == Kind.REFUND else holds + still_open * 4)
    )
    money = draw(st.none() | amounts.map(lambda minor: Money(minor, original.currency)))
    if kind == Kind.REFUND:
        return Reverse(origin, original, money, draw(st.booleans()))
    # A hold that was refused is one that nobody finds.
    original = draw(mostly(original, original._replace(movement_id=UUID(int=1))))
    if kind is None:
        return Capture(origin, original, money, draw(st.booleans()))
    return Release(origin, original, kind)


@st.composite
def requests(draw: st.DrawFn, known: Known) -> Request:
    unread = errors.invalid("amount", "must be a decimal string")
    items = [
        draw(commands(known)) if draw(mostly(True, False)) else unread
        for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4])))
    ]
    return Request(
        tuple(items),
        all_or_nothing=draw(mostly(False, True, True)),
        linked=draw(mostly(frozenset(), frozenset({0}), frozenset({1, 2}))),
        validate_only=draw(mostly(False, True)),
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[History, Known]:
    """A history, and what is known at its end."""
    before = draw(states())
    known = Known(NOW, before.copy())
    steps: list[Step] = []
    for _ in range(draw(st.sampled_from([0, 3, 6, 8, 10]))):
        known.now += draw(passing)
        together = draw(st.sampled_from([1, 1, 2, 3]))
        step = Step(known.now, [draw(requests(known)) for _ in range(together)])
        known.movements += ledger.plan(known.state, step.requests, step.now).movements
        steps.append(step)
    return History(before, steps), known


whole_histories = histories().map(lambda drawn: drawn[0])


@st.composite
def continued(draw: st.DrawFn) -> tuple[History, Request]:
    """A history, and a request that comes after it."""
    history, known = draw(histories())
    return history, draw(requests(known))
