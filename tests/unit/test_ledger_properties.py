"""The core: what holds for `plan` over every generated history."""

import dataclasses
import math
from collections import defaultdict
from fractions import Fraction
from uuid import UUID

from hypothesis import given

from balance_service.domain import errors, ledger
from balance_service.domain.accounts import SYSTEM_ACCOUNTS
from balance_service.domain.follow_up_commands import Place
from balance_service.domain.holds import HoldStatus
from balance_service.domain.money import MINOR_MAX
from balance_service.domain.movements import REVERSALS, Entry, Kind, Movement, SystemEntry
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Done, How, Plan
from tests.histories import History, continued, whole_histories

RELEASING = {Kind.RELEASE, Kind.EXPIRY}


@given(history=whole_histories)
def test_every_movement_sums_to_zero_in_each_currency(history: History) -> None:
    currency = {a: account.currency for a, account in history.state.accounts.items()}
    currency |= {a: account.currency for a, account in SYSTEM_ACCOUNTS.items()}
    for _, _, planned in history.run():
        sums: dict[tuple[UUID, str], int] = defaultdict(int)
        legs: list[Entry | SystemEntry] = [*planned.entries, *planned.system_entries]
        for entry in legs:
            sums[entry.movement_id, currency[entry.account_id]] += entry.amount_minor
        moving = [m for m in planned.movements if m.kind not in {Kind.HOLD, *RELEASING}]
        assert {movement for movement, _ in sums} == {m.movement_id for m in moving}
        assert not any(sums.values())


@given(history=whole_histories)
def test_available_is_never_below_the_limit(history: History) -> None:
    for state, _, planned in history.run():
        for account in state.accounts.values():
            assert account.available_minor >= -account.limit_minor
            assert account.held_minor >= 0
        for entry in planned.entries:
            assert entry.balance_after_minor <= MINOR_MAX


@given(history=whole_histories)
def test_entries_are_numbered_without_gaps_and_chain(history: History) -> None:
    running = {
        a: (account.sequence, account.balance_minor, account.changed_at)
        for a, account in history.state.accounts.items()
    }
    for state, _, planned in history.run():
        for entry in planned.entries:
            sequence, balance, at = running[entry.account_id]
            assert entry.sequence == sequence + 1
            assert entry.balance_after_minor == balance + entry.amount_minor
            assert entry.created_at >= at
            running[entry.account_id] = (
                entry.sequence,
                entry.balance_after_minor,
                entry.created_at,
            )
        for account_id, account in state.accounts.items():
            assert running[account_id] == (
                account.sequence,
                account.balance_minor,
                account.changed_at,
            )
        changed = {hold.account_id for hold in planned.holds.values()}
        assert planned.accounts.keys() == {e.account_id for e in planned.entries} | changed
        assert all(state.accounts[a] == account for a, account in planned.accounts.items())


@given(history=whole_histories)
def test_holds_add_up_to_what_accounts_hold(history: History) -> None:
    for state, _, _ in history.run():
        held = {a: account.held_minor for a, account in history.state.accounts.items()}
        for hold in state.holds.values():
            held[hold.account_id] += hold.left_minor
        assert held == {a: account.held_minor for a, account in state.accounts.items()}


@given(history=whole_histories)
def test_what_a_hold_had_is_captured_left_or_released(history: History) -> None:
    captured: dict[UUID, int] = defaultdict(int)
    released: dict[UUID, int] = defaultdict(int)
    amounts: dict[UUID, Movement] = {}
    closed: dict[UUID, HoldStatus] = {}
    for state, step, planned in history.run():
        for movement in planned.movements:
            hold_id = movement.original_id
            if movement.kind == Kind.HOLD:
                amounts[movement.movement_id] = movement
            elif hold_id in amounts and movement.kind in RELEASING:
                released[hold_id] += movement.amount_minor
                early = step.now < amounts[hold_id].expires_at  # type: ignore[operator]
                assert early == (movement.kind == Kind.RELEASE)
            elif hold_id in amounts:
                captured[hold_id] += movement.amount_minor
                assert step.now < amounts[hold_id].expires_at  # type: ignore[operator]
                if movement.final:
                    released[hold_id] = amounts[hold_id].amount_minor - captured[hold_id]
            if hold_id in amounts:
                assert hold_id not in closed
                assert movement.created_at >= amounts[hold_id].created_at
                if movement.final or movement.kind in RELEASING:
                    closed[hold_id] = {
                        Kind.RELEASE: HoldStatus.VOIDED,
                        Kind.EXPIRY: HoldStatus.EXPIRED,
                    }.get(movement.kind, HoldStatus.CAPTURED)
        assert state.holds.keys() == amounts.keys()
        for hold_id, hold in state.holds.items():
            assert hold.captured_minor == captured[hold_id]
            whole = hold.captured_minor + hold.left_minor + released[hold_id]
            assert whole == amounts[hold_id].amount_minor
            assert hold.status == closed.get(hold_id, HoldStatus.OPEN)
            assert (hold.left_minor > 0) == (hold.status == HoldStatus.OPEN)
            assert hold.expires_at > hold.created_at


@given(history=whole_histories)
def test_what_follows_a_movement_is_at_most_the_movement(history: History) -> None:
    """And of its price the share, rounded, so that all parts give the whole."""
    done: dict[UUID, list[Movement]] = defaultdict(list)
    movements = history.movements()
    by_id = {movement.movement_id: movement for movement in movements}
    for movement in movements:
        if movement.original_id is None or movement.kind in RELEASING:
            continue
        original, parts = by_id[movement.original_id], done[movement.original_id]
        parts.append(movement)
        total = sum(part.amount_minor for part in parts)
        assert 0 < total <= original.amount_minor
        assert not movement.whole or total == original.amount_minor
        assert (movement.rate, movement.currency) == (original.rate, original.currency)
        sides = (original.from_account_id, original.to_account_id)
        if original.kind != Kind.HOLD:
            assert movement.kind == REVERSALS[original.kind]
            sides = sides[::-1]
        assert sides == (movement.from_account_id, movement.to_account_id)
        if original.price_minor is not None:
            prices = [part.price_minor or 0 for part in parts]
            assert min(prices) >= 0
            share = Fraction(original.price_minor * total, original.amount_minor)
            # What a customer gives back is rounded up.
            assert sum(prices) == (math.ceil(share) if original.quote_id else round(share))
            assert total < original.amount_minor or sum(prices) == original.price_minor


@given(drawn=continued())
def test_refusal_leaves_no_trace(drawn: tuple[History, Request]) -> None:
    history, request = drawn
    state, now = history.end()
    before = state.copy()
    for item in request.items:
        planned = ledger.plan(state, [Request((item,))], now)
        if isinstance(planned.outcomes[0][0], errors.Refusal):
            assert state == before
            assert planned == Plan(planned.outcomes)
        else:
            assert len(planned.movements) <= 1
            before = state.copy()


@given(history=whole_histories)
def test_batched_is_the_same_as_one_by_one(history: History) -> None:
    apart = history.state.copy()
    for together, step, planned in history.run():
        singly = [ledger.plan(apart, [request], step.now) for request in step.requests]
        assert together == apart
        assert planned.outcomes == [outcomes for p in singly for outcomes in p.outcomes]
        assert planned.movements == [movement for p in singly for movement in p.movements]
        assert planned.entries == [entry for p in singly for entry in p.entries]
        assert planned.system_entries == [entry for p in singly for entry in p.system_entries]
        for name in ("accounts", "holds", "purchases"):
            merged = {key: value for p in singly for key, value in getattr(p, name).items()}
            assert getattr(planned, name) == merged


@given(history=whole_histories)
def test_repeating_what_was_done_changes_nothing(history: History) -> None:
    answers: dict[UUID, tuple[Command, Done]] = {}
    for _, step, planned in history.run():
        for request, outcomes in zip(step.requests, planned.outcomes, strict=True):
            if request.validate_only:
                continue
            for item, outcome in zip(request.items, outcomes, strict=True):
                if isinstance(outcome, Done) and outcome.how == How.POSTED:
                    assert not isinstance(item, errors.Refusal)
                    answers[item.origin.movement_id] = item, outcome
    state, now = history.end()
    after = state.copy()
    for item, outcome in answers.values():
        again = ledger.plan(state, [Request((item,))], now)
        assert again.outcomes == [[Done(outcome.movement, How.REPLAYED)]]
        assert again.movements == []
    assert state == after


@given(history=whole_histories)
def test_chains_are_all_or_nothing(history: History) -> None:
    for _, step, planned in history.run():
        posted = {movement.movement_id for movement in planned.movements}
        for request, outcomes in zip(step.requests, planned.outcomes, strict=True):
            assert len(outcomes) == len(request.items)
            for chain in request.chains:
                theirs = [outcomes[place] for place in chain]
                refused = [isinstance(outcome, errors.Refusal) for outcome in theirs]
                assert all(refused) or not any(refused)
                if any(refused) and len(chain) > 1:
                    causes = [o for o in theirs if not isinstance(o, errors.BatchRefused)]
                    unread = [p for p in chain if isinstance(request.items[p], errors.Refusal)]
                    assert len(causes) == (len(unread) or 1)
                for outcome in theirs:
                    if isinstance(outcome, Done) and outcome.how == How.POSTED:
                        there = outcome.movement.movement_id in posted
                        assert there or request.validate_only


@given(drawn=continued())
def test_validation_answers_as_the_request_would_and_changes_nothing(
    drawn: tuple[History, Request],
) -> None:
    history, request = drawn
    state, now = history.end()
    before = state.copy()
    validated = ledger.plan(state, [dataclasses.replace(request, validate_only=True)], now)
    assert state == before
    assert validated == Plan(validated.outcomes)
    done = ledger.plan(state, [dataclasses.replace(request, validate_only=False)], now)
    assert validated.outcomes == done.outcomes


@given(drawn=continued())
def test_command_on_an_account_that_changed_is_not_carried_out(
    drawn: tuple[History, Request],
) -> None:
    history, request = drawn
    state, now = history.end()
    for item in request.commands:
        origin = dataclasses.replace(item.origin, etag="another")
        changed: Command
        if isinstance(item, Place):
            purpose = dataclasses.replace(item.purpose, origin=origin)
            changed = dataclasses.replace(item, purpose=purpose)
        else:
            changed = dataclasses.replace(item, origin=origin)
        planned = ledger.plan(state, [Request((changed,))], now)
        assert planned.movements == []
        outcome = planned.outcomes[0][0]
        assert isinstance(outcome, errors.Refusal) or outcome.how != How.POSTED


@given(history=whole_histories)
def test_an_account_buys_a_service_once_unless_it_is_refunded(history: History) -> None:
    """Captures of one hold are one purchase."""
    amounts: dict[UUID, Movement] = {}
    refunded: dict[UUID, int] = defaultdict(int)
    for _, _, planned in history.run():
        for movement in planned.movements:
            if movement.kind == Kind.REFUND and movement.original_id:
                refunded[movement.original_id] += movement.amount_minor
            if movement.kind == Kind.PURCHASE:
                amounts[movement.movement_id] = movement
            in_force = defaultdict(set)
            for bought in amounts.values():
                if refunded[bought.movement_id] < bought.amount_minor:
                    key = bought.from_account_id, bought.service_id
                    in_force[key].add(bought.original_id or bought.movement_id)
            assert all(len(purchases) == 1 for purchases in in_force.values())


@given(history=whole_histories)
def test_a_reference_is_used_once(history: History) -> None:
    used = [(m.principal, m.source, m.reference) for m in history.movements() if m.reference]
    assert len(used) == len(set(used))
