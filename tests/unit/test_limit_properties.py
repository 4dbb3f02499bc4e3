"""Limits: what holds for debits over generated histories."""

from collections import defaultdict
from datetime import date, timedelta, timezone
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain import ledger
from balance_service.domain.accounts import Account, Status
from balance_service.domain.commands import Origin, Purchase, Settle, Transfer
from balance_service.domain.days import Calendar
from balance_service.domain.limits import Limits
from balance_service.domain.money import MINOR_MAX, Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Plan, State
from tests.ledger import ACCOUNTS, NOW, RATES, REQUESTS, SERVICES, USERS

KINDS = (Kind.DEPOSIT, Kind.WITHDRAWAL, Kind.PURCHASE, Kind.TRANSFER)

amounts = st.integers(1, 500) | st.just(MINOR_MAX)


currencies = st.sampled_from(["RUB", "RUB", "RUB", "USD"])

OTHER_STATUSES = [Status.FROZEN, Status.CLOSED, Status.DEBITS_FROZEN]

# Of these the second has its noon in the other zone's night, where another day begins.
LIMITS = (
    Limits(),
    Limits(debit_minor={"RUB": 300}, calendar=Calendar(timezone(timedelta(hours=12)))),
    Limits(daily_minor={"RUB": 600, "USD": 100}),
)


@st.composite
def states(draw: st.DrawFn) -> State:
    accounts = {}
    for index, account_id in enumerate(ACCOUNTS[: draw(st.integers(3, len(ACCOUNTS)))]):
        limit = draw(st.sampled_from([0, 0, 0, 300]))
        held = draw(st.sampled_from([0, 0, 50]))
        balance = draw(st.integers(held - limit, 1000))
        status = draw(st.sampled_from([Status.ACTIVE] * 12 + OTHER_STATUSES))
        if status == Status.CLOSED:
            balance = held = limit = 0
        accounts[account_id] = Account(
            account_id,
            USERS[index % 3],
            draw(currencies),
            balance,
            held,
            limit,
            status,
            0,
            draw(st.sampled_from([NOW, NOW - timedelta(days=1), NOW + timedelta(days=1)])),
            draw(st.sampled_from([0, 0, 100])),
            draw(st.sampled_from([None, None, 0, 50, 400])),
            draw(st.sampled_from([None, None, 0, 200, 800, MINOR_MAX])),
        )
    return State(accounts, {}, {}, {}, limits=draw(st.sampled_from(LIMITS)))


@st.composite
def commands(draw: st.DrawFn) -> Command:
    origin = Origin(
        principal=draw(st.sampled_from(["user:1", "service:billing"])),
        owner_id=draw(st.sampled_from([None] * 9 + USERS)),
        request_id=draw(st.none() | st.sampled_from(REQUESTS)),
    )
    money = Money(draw(amounts), draw(currencies))
    kind = draw(st.sampled_from([*Kind, Kind.TRANSFER, Kind.TRANSFER]))
    # The last of them is often not there.
    account = draw(st.sampled_from(ACCOUNTS[:3] * 3 + ACCOUNTS))
    if kind == Kind.TRANSFER:
        other = draw(st.sampled_from([a for a in ACCOUNTS[:3] * 2 + ACCOUNTS if a != account]))
        return Transfer(origin, account, other, money)
    if kind == Kind.PURCHASE:
        price = draw(st.sampled_from([None, money, Money(3, "USD"), Money(7, "EUR")]))
        return Purchase(origin, account, draw(st.sampled_from(SERVICES)), price, RATES)
    reference = draw(st.none() | st.sampled_from(["ref-1", "ref-2", "ref-3"]))
    return Settle(origin, kind, account, money, reference and "stripe", reference)


requests = st.builds(
    Request,
    st.lists(commands(), min_size=1, max_size=6).map(tuple),
    st.sampled_from([False, False, False, True]),
)


histories = st.lists(requests, max_size=12)


def plan(state: State, history: list[Request]) -> Plan:
    return ledger.plan(state, history, NOW)


@given(state=states(), history=histories)
def test_debits_are_counted_and_stay_within_the_limits_of_their_day(
    state: State, history: list[Request]
) -> None:
    """Against a model that keeps a sum for each account and local date."""
    limits, before = state.limits, dict(state.accounts)
    zone = limits.calendar._zone
    spent: dict[tuple[UUID, date], int] = defaultdict(int)
    last: dict[UUID, date] = {}
    for account_id, account in before.items():
        last[account_id] = account.changed_at.astimezone(zone).date()
        spent[account_id, last[account_id]] = account.spent_minor
    for entry in plan(state, history).entries:
        account, day = before[entry.account_id], entry.created_at.astimezone(zone).date()
        last[entry.account_id] = day
        if entry.amount_minor > 0:
            assert account.status in (Status.ACTIVE, Status.DEBITS_FROZEN)
            continue
        assert account.status == Status.ACTIVE
        spent[entry.account_id, day] -= entry.amount_minor
        for own, service, amount in (
            (account.debit_limit_minor, limits.debit_minor, -entry.amount_minor),
            (account.daily_limit_minor, limits.daily_minor, spent[entry.account_id, day]),
        ):
            limit = service.get(account.currency) if own is None else own
            assert limit is None or amount <= limit
    for account_id, account in state.accounts.items():
        assert account.spent_minor == min(spent[account_id, last[account_id]], MINOR_MAX)
