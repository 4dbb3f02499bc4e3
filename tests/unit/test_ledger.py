"""The core: every rule of `plan`, over generated histories."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain import errors, ids, ledger
from balance_service.domain.accounts import SYSTEM_ACCOUNTS, Account, Status
from balance_service.domain.commands import Command, Origin, Purchase, Request, Settle, Transfer
from balance_service.domain.ledger import Done, How, Plan, State
from balance_service.domain.money import MINOR_MAX, Money
from balance_service.domain.movements import Entry, Kind, SystemEntry
from balance_service.domain.pricing import Quotation, Rates, RateSheet

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RATES = Rates(
    (RateSheet("cbr", "RUB", NOW, {"USD": Quotation(Decimal(1), Decimal(80))}),),
    lambda as_of: as_of + timedelta(hours=96),
)
USERS = [UUID(int=n) for n in range(1, 4)]
ACCOUNTS = [UUID(int=100 + n) for n in range(6)]
SERVICES = [UUID(int=1000 + n) for n in range(3)]
REQUESTS = [UUID(int=10_000 + n) for n in range(12)]

amounts = st.integers(1, 500) | st.just(MINOR_MAX)
currencies = st.sampled_from(["RUB", "RUB", "RUB", "USD"])


@st.composite
def states(draw: st.DrawFn) -> State:
    accounts = {}
    for index, account_id in enumerate(ACCOUNTS[: draw(st.integers(1, len(ACCOUNTS)))]):
        limit = draw(st.sampled_from([0, 0, 0, 300]))
        held = draw(st.sampled_from([0, 0, 50]))
        balance = draw(st.integers(held - limit, 1000))
        status = draw(st.sampled_from([Status.ACTIVE] * 6 + [Status.FROZEN, Status.CLOSED]))
        if status == Status.CLOSED:
            balance = held = limit = 0
        accounts[account_id] = Account(
            account_id, USERS[index % 3], draw(currencies), balance, held, limit, status, 0, NOW
        )
    return State(accounts, {}, {}, {})


@st.composite
def commands(draw: st.DrawFn) -> Command:
    origin = Origin(
        principal=draw(st.sampled_from(["user:1", "service:billing"])),
        owner_id=draw(st.sampled_from([None, None, *USERS])),
        request_id=draw(st.none() | st.sampled_from(REQUESTS)),
    )
    money = Money(draw(amounts), draw(currencies))
    kind = draw(st.sampled_from(Kind))
    account = draw(st.sampled_from(ACCOUNTS))
    if kind == Kind.TRANSFER:
        other = draw(st.sampled_from([a for a in ACCOUNTS if a != account]))
        return Transfer(origin, account, other, money)
    if kind == Kind.PURCHASE:
        price = draw(st.sampled_from([None, money, Money(3, "USD"), Money(7, "EUR")]))
        return Purchase(origin, account, draw(st.sampled_from(SERVICES)), price, RATES)
    reference = draw(st.none() | st.sampled_from(["ref-1", "ref-2", "ref-3"]))
    return Settle(origin, kind, account, money, reference and "stripe", reference)


requests = st.builds(
    Request, st.lists(commands(), min_size=1, max_size=6).map(tuple), st.booleans()
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


def account(index: int = 0, balance: int = 1000, **changes: object) -> Account:
    whole = Account(ACCOUNTS[index], USERS[index % 3], "RUB", balance, 0, 0, Status.ACTIVE, 0, NOW)
    return whole._replace(**changes)  # type: ignore[arg-type]


def state_of(*accounts: Account) -> State:
    return State({a.account_id: a for a in accounts}, {}, {}, {})


def only(state: State, command: Command, now: datetime = NOW) -> ledger.Outcome:
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

    def refer(principal: str) -> ledger.Outcome:
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

    def to_itself(owner: UUID) -> ledger.Outcome:
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
