"""The core: what holds for `plan` over every generated history."""

from collections import defaultdict
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain import errors, ledger
from balance_service.domain.accounts import SYSTEM_ACCOUNTS, Account, Status, SystemRole
from balance_service.domain.commands import (
    Command,
    Exchange,
    Origin,
    Purchase,
    Request,
    Settle,
    Transfer,
)
from balance_service.domain.ledger import Done, How, Plan, State
from balance_service.domain.money import MINOR_MAX, Money
from balance_service.domain.movements import Entry, Kind, SystemEntry
from tests.ledger import ACCOUNTS, NOW, RATES, REQUESTS, SERVICES, USERS, quoted

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
    other = draw(st.sampled_from([a for a in ACCOUNTS if a != account]))
    if kind == Kind.TRANSFER and draw(st.booleans()):
        quote = draw(st.sampled_from(QUOTES))
        # Mostly as quoted, so that some are carried out.
        asked = draw(st.sampled_from([quote.paid, quote.paid, money]))
        payer = draw(st.sampled_from([quote.account_id, quote.account_id, account]))
        return Transfer(origin, payer, other, asked, quote)
    if kind == Kind.TRANSFER:
        return Transfer(origin, account, other, money)
    if kind == Kind.EXCHANGE:
        return Exchange(origin, draw(st.sampled_from(QUOTES)), account)
    if kind == Kind.PURCHASE:
        price = draw(st.sampled_from([None, money, Money(3, "USD"), Money(7, "EUR")]))
        service = draw(st.sampled_from(SERVICES))
        expected = draw(st.sampled_from([None, None, Money(3, "USD")]))
        quantity = draw(st.sampled_from([1, 1, 3]))
        # The last of the services may be bought repeatedly.
        repeatable = service == SERVICES[-1]
        return Purchase(origin, account, service, price, RATES, repeatable, quantity, expected)
    reference = draw(st.none() | st.sampled_from(["ref-1", "ref-2", "ref-3"]))
    return Settle(origin, kind, account, money, reference and "stripe", reference)


# Few, so that the same is asked for again and again; one has expired.
QUOTES = [
    quoted(ACCOUNTS[0], Money(161, "RUB"), ("RUB", "USD"), 0),
    quoted(ACCOUNTS[1], Money(3, "USD"), ("RUB", "USD"), 1),
    quoted(ACCOUNTS[2], Money(2, "USD"), ("USD", "RUB"), 2),
    quoted(ACCOUNTS[0], Money(80, "RUB"), ("RUB", "USD"), 3, life=-1),
    quoted(ACCOUNTS[0], Money(119, "RUB"), ("RUB", "USD"), 4),
]


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
        if m.kind == Kind.PURCHASE and m.service_id != SERVICES[-1]
    ]
    assert len(bought) == len(set(bought))


@given(state=states(), history=histories)
def test_a_purchase_charges_its_quantity_at_the_expected_price(
    state: State, history: list[Request]
) -> None:
    planned = plan(state, history)
    posted = {m.movement_id: m for m in planned.movements}
    for batch, outcomes in zip(history, planned.outcomes, strict=True):
        for command, outcome in zip(batch.commands, outcomes, strict=True):
            if not isinstance(command, Purchase) or not isinstance(outcome, Done):
                continue
            movement = posted[outcome.movement.movement_id]
            if outcome.how != How.POSTED or command.price is None:
                continue
            assert command.expected_price in (None, command.price)
            assert command.quantity == 1 or command.repeatable
            total = movement.price_minor or movement.amount_minor
            assert total == command.price.minor * command.quantity
            assert movement.quantity == (command.quantity if command.repeatable else None)


@given(state=states(), history=histories)
def test_a_quote_is_carried_out_once_as_it_was_made(state: State, history: list[Request]) -> None:
    by_id = {quote.quote_id: quote for quote in QUOTES}
    before = dict(state.accounts)
    planned = plan(state, history)
    quoted_movements = [m for m in planned.movements if m.quote_id]
    used = [m.quote_id for m in quoted_movements]
    assert len(used) == len(set(used))
    assert {quote: m for quote, m in state.quote_uses.items() if quote in used} == {
        m.quote_id: m.movement_id for m in quoted_movements
    }
    changes = {(e.movement_id, e.account_id): e.amount_minor for e in planned.entries}
    for movement in quoted_movements:
        assert movement.quote_id
        quote = by_id[movement.quote_id]
        assert quote.expires_at > NOW
        assert movement.principal == quote.principal
        paid = changes[movement.movement_id, quote.account_id]
        received = changes[movement.movement_id, movement.to_account_id]
        assert (paid, received) == (-quote.paid.minor, quote.received.minor)
        assert before[movement.to_account_id].currency == quote.received.currency
        if movement.kind == Kind.EXCHANGE:
            owners = {before[a].owner_id for a in (quote.account_id, movement.to_account_id)}
            assert len(owners) == 1


@given(state=states(), history=histories)
def test_the_rounding_accounts_never_lose(state: State, history: list[Request]) -> None:
    for entry in plan(state, history).system_entries:
        if SYSTEM_ACCOUNTS[entry.account_id].role == SystemRole.ROUNDING:
            assert entry.amount_minor > 0


@given(state=states(), history=histories)
def test_a_reference_is_used_once(state: State, history: list[Request]) -> None:
    used = [
        (m.principal, m.source, m.reference) for m in plan(state, history).movements if m.reference
    ]
    assert len(used) == len(set(used))
