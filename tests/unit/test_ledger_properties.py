"""The core: what holds for `plan` over every generated history."""

from collections import defaultdict
from datetime import date, timedelta, timezone
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain import errors, ledger
from balance_service.domain.accounts import SYSTEM_ACCOUNTS, Account, Status
from balance_service.domain.commands import Command, Origin, Purchase, Request, Settle, Transfer
from balance_service.domain.days import Calendar
from balance_service.domain.limits import Limits
from balance_service.domain.money import MINOR_MAX, Money
from balance_service.domain.movements import Entry, Kind, SystemEntry
from balance_service.domain.state import Done, How, Plan, State
from tests.ledger import ACCOUNTS, NOW, RATES, REQUESTS, SERVICES, USERS

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
def test_every_movement_sums_to_zero_in_each_currency(state: State, history: list[Request]) -> None:
    currency = {a: account.currency for a, account in state.accounts.items()}
    currency |= {a: account.currency for a, account in SYSTEM_ACCOUNTS.items()}
    planned = plan(state, history)
    sums: dict[tuple[UUID, str], int] = defaultdict(int)
    legs: list[Entry | SystemEntry] = [*planned.entries, *planned.system_entries]
    for entry in legs:
        sums[entry.movement_id, currency[entry.account_id]] += entry.amount_minor
    assert {movement for movement, _ in sums} == {m.movement_id for m in planned.movements}
    assert not any(sums.values())


@given(state=states(), history=histories)
def test_no_account_is_taken_below_its_limit(state: State, history: list[Request]) -> None:
    before = dict(state.accounts)
    for entry in plan(state, history).entries:
        account = before[entry.account_id]
        if entry.amount_minor < 0:
            available = entry.balance_after_minor - account.held_minor
            assert available >= -account.limit_minor
        assert entry.balance_after_minor <= MINOR_MAX


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


@given(state=states(), history=histories)
def test_entries_are_numbered_without_gaps_and_chain(state: State, history: list[Request]) -> None:
    running = {
        a: (account.sequence, account.balance_minor) for a, account in state.accounts.items()
    }
    planned = plan(state, history)
    for entry in planned.entries:
        sequence, balance = running[entry.account_id]
        assert entry.sequence == sequence + 1
        assert entry.balance_after_minor == balance + entry.amount_minor
        running[entry.account_id] = (entry.sequence, entry.balance_after_minor)
    for account_id, account in state.accounts.items():
        assert running[account_id] == (account.sequence, account.balance_minor)
    assert planned.accounts.keys() == {entry.account_id for entry in planned.entries}


@given(state=states(), history=histories, command=commands())
def test_refusal_leaves_no_trace(state: State, history: list[Request], command: Command) -> None:
    plan(state, history)
    before = state.copy()
    planned = plan(state, [Request((command,))])
    if isinstance(planned.outcomes[0][0], errors.Refusal):
        assert state == before
        assert (planned.movements, planned.entries, planned.system_entries) == ([], [], [])
        assert planned.accounts == {}
    else:
        assert len(planned.movements) <= 1


@given(state=states(), history=histories)
def test_batched_is_the_same_as_one_by_one(state: State, history: list[Request]) -> None:
    together, apart = state.copy(), state.copy()
    planned = plan(together, history)
    singly = [plan(apart, [batch]) for batch in history]
    assert together == apart
    assert planned.outcomes == [outcomes for p in singly for outcomes in p.outcomes]
    assert planned.entries == [entry for p in singly for entry in p.entries]
    assert planned.system_entries == [entry for p in singly for entry in p.system_entries]


@given(state=states(), history=histories)
def test_repeating_what_was_done_changes_nothing(state: State, history: list[Request]) -> None:
    planned = plan(state, history)
    after = state.copy()
    answers = {
        command.origin.movement_id: (command, outcome)
        for batch, outcomes in zip(history, planned.outcomes, strict=True)
        for command, outcome in zip(batch.commands, outcomes, strict=True)
        if isinstance(outcome, Done) and outcome.how == How.POSTED
    }
    for command, outcome in answers.values():
        again = plan(state, [Request((command,))])
        assert again.outcomes == [[Done(outcome.movement, How.REPLAYED)]]
        assert again.movements == []
    assert state == after


@given(state=states(), history=histories)
def test_all_or_nothing_is_all_or_nothing(state: State, history: list[Request]) -> None:
    planned = plan(state, history)
    posted = {movement.movement_id for movement in planned.movements}
    for batch, outcomes in zip(history, planned.outcomes, strict=True):
        refused = [isinstance(outcome, errors.Refusal) for outcome in outcomes]
        if not batch.all_or_nothing:
            continue
        assert all(refused) or not any(refused)
        if any(refused):
            causes = [o for o in outcomes if not isinstance(o, errors.BatchRefused)]
            assert len(causes) == 1
        for outcome in outcomes:
            if isinstance(outcome, Done) and outcome.how == How.POSTED:
                assert outcome.movement.movement_id in posted


@given(state=states(), history=histories)
def test_an_account_buys_a_service_once(state: State, history: list[Request]) -> None:
    bought = [
        (m.from_account_id, m.service_id)
        for m in plan(state, history).movements
        if m.kind == Kind.PURCHASE
    ]
    assert len(bought) == len(set(bought))


@given(state=states(), history=histories)
def test_a_reference_is_used_once(state: State, history: list[Request]) -> None:
    used = [
        (m.principal, m.source, m.reference) for m in plan(state, history).movements if m.reference
    ]
    assert len(used) == len(set(used))
