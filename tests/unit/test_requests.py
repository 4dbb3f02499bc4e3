"""The core: chains, validation and etags, by examples."""

import dataclasses
from datetime import timedelta

from balance_service.domain import errors, ledger
from balance_service.domain.commands import Origin, Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Capture, Place, Reverse
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Request
from balance_service.domain.state import Done, How, Outcome, State
from tests.ledger import ACCOUNTS, NOW, RATES, SERVICES
from tests.unit.test_ledger import account, by, only, state_of, transfer
from tests.unit.test_reversals import posted, rub

TOO_MUCH = 10**6


def planned(state: State, request: Request) -> list[Outcome]:
    return ledger.plan(state, [request], NOW).outcomes[0]


def kinds(outcomes: list[Outcome]) -> list[str]:
    return ["Done" if isinstance(o, Done) else type(o).__name__ for o in outcomes]


def test_chains_stand_or_fall_apart_from_each_other() -> None:
    state = state_of(account(0), account(1))
    items = (transfer(1), transfer(TOO_MUCH), transfer(2), transfer(4), transfer(8))
    outcomes = planned(state, Request(items, linked=frozenset({0, 2})))
    assert kinds(outcomes) == ["BatchRefused", "InsufficientFunds", "Done", "Done", "Done"]
    assert outcomes[0] == errors.BatchRefused(1)
    assert state.accounts[ACCOUNTS[0]].balance_minor == 1000 - 14


def test_chain_that_runs_to_the_end_ends_there() -> None:
    state = state_of(account(0), account(1))
    outcomes = planned(state, Request((transfer(1), transfer(TOO_MUCH)), linked=frozenset({0, 1})))
    assert kinds(outcomes) == ["BatchRefused", "InsufficientFunds"]


def test_item_that_could_not_be_read_refuses_its_chain_alone() -> None:
    state = state_of(account(0), account(1))
    unread = errors.invalid("amount", "must be a decimal string")
    items = (transfer(1), unread, transfer(2), unread)
    outcomes = planned(state, Request(items, linked=frozenset({0})))
    assert outcomes[:2] == [errors.BatchRefused(1), unread]
    assert kinds(outcomes[2:]) == ["Done", "InvalidFields"]


def test_refused_chain_leaves_what_it_did_undone() -> None:
    """A hold, a capture of it, a purchase and a reference, all taken back with the last item."""
    state = state_of(account(0), account(1))
    hold = posted(state, Place(transfer(100), NOW + timedelta(hours=1)))
    bought = Purchase(by(), ACCOUNTS[0], SERVICES[0], rub(10), RATES)
    referred = Settle(by(), Kind.DEPOSIT, ACCOUNTS[0], rub(5), "stripe", "ch_1")
    items = (Capture(by(), hold, rub(1)), bought, referred, transfer(TOO_MUCH))
    before = state.copy()
    whole = ledger.plan(state, [Request(items, all_or_nothing=True)], NOW)
    assert kinds(whole.outcomes[0]) == [*["BatchRefused"] * 3, "InsufficientFunds"]
    assert state == before
    assert (whole.movements, whole.accounts, whole.holds, whole.purchases) == ([], {}, {}, {})
    outcomes = planned(state, Request(items[:3], all_or_nothing=True))
    assert kinds(outcomes) == ["Done"] * 3


def test_chain_sees_what_it_did_before() -> None:
    state = state_of(account(0, 0), account(1, 0))
    deposit = Settle(by(), Kind.DEPOSIT, ACCOUNTS[0], rub(100))
    outcomes = planned(state, Request((deposit, transfer(100)), linked=frozenset({0})))
    assert kinds(outcomes) == ["Done", "Done"]


def test_validated_request_burns_neither_its_id_nor_anything_else() -> None:
    state = state_of(account(0), account(1))
    original = posted(state, Settle(by(), Kind.DEPOSIT, ACCOUNTS[0], rub(100)))
    request = Request((Reverse(by(1), original, rub(60)), Reverse(by(2), original, rub(60))))
    validated = planned(state, dataclasses.replace(request, validate_only=True))
    assert kinds(validated) == ["Done", "ReversalTooLarge"]
    assert planned(state, request) == validated


def test_validation_of_what_was_done_is_answered_as_a_repeat() -> None:
    state = state_of(account(0), account(1))
    first = posted(state, transfer(10, by(1)))
    outcomes = planned(state, Request((transfer(10, by(1)),), validate_only=True))
    assert outcomes == [Done(first, How.REPLAYED)]


def test_etag_is_that_of_the_account_that_changes() -> None:
    state = state_of(account(0), account(1))
    etag = state.accounts[ACCOUNTS[0]].etag

    def send(etag: str) -> Outcome:
        origin = Origin(principal="user:1", etag=etag)
        return only(state, Transfer(origin, ACCOUNTS[0], ACCOUNTS[1], rub(1)))

    assert isinstance(send(etag), Done)
    assert send(etag) == errors.EtagMismatch()
    # A hold changes what may be done with the money, and so the etag.
    etag = state.accounts[ACCOUNTS[0]].etag
    posted(state, Place(transfer(5), NOW + timedelta(hours=1)))
    assert send(etag) == errors.EtagMismatch()
    assert isinstance(send(state.accounts[ACCOUNTS[0]].etag), Done)


def test_repeat_needs_no_etag_that_still_fits() -> None:
    state = state_of(account(0), account(1))
    origin = dataclasses.replace(by(1), etag=state.accounts[ACCOUNTS[0]].etag)
    command = Transfer(origin, ACCOUNTS[0], ACCOUNTS[1], rub(1))
    first = posted(state, command)
    assert only(state, command) == Done(first, How.REPLAYED)


def test_value_date_goes_to_movement_and_entries_and_is_part_of_the_request() -> None:
    state = state_of(account(0), account(1))
    earlier = NOW - timedelta(days=3)
    origin = dataclasses.replace(by(1), effective_at=earlier)
    command = Transfer(origin, ACCOUNTS[0], ACCOUNTS[1], rub(1))
    made = ledger.plan(state, [Request((command,))], NOW)
    assert {m.effective_at for m in made.movements} == {earlier}
    assert [(e.effective_at, e.created_at) for e in made.entries] == [(earlier, NOW)] * 2
    refusal = only(state, Transfer(by(1), ACCOUNTS[0], ACCOUNTS[1], rub(1)))
    assert isinstance(refusal, errors.IdempotencyKeyReused)
    assert refusal.fields == ("effective_time",)


def test_parts_of_one_request_were_all_done_before_or_none_was() -> None:
    state = state_of(account(0), account(1))
    items = (transfer(1, by(1)), transfer(2, by(2)), transfer(3, by(3)))
    split = Request(items[:2], all_or_nothing=True, parts_of="rent")
    assert kinds(planned(state, split)) == ["Done", "Done"]
    assert {o.how for o in planned(state, split) if isinstance(o, Done)} == {How.REPLAYED}
    before = state.copy()
    for others in ((items[0], items[2]), (items[2], items[1])):
        outcomes = planned(state, Request(others, all_or_nothing=True, parts_of="rent"))
        reused = errors.IdempotencyKeyReused("rent", ("receivers",))
        assert outcomes == [errors.BatchRefused(1), reused]
    assert state == before
    # Items of their own may have been done before, each by itself.
    assert kinds(planned(state, Request(items, all_or_nothing=True))) == ["Done"] * 3
