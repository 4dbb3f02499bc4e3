"""What a commit writes, as columns of arrays by the names of the statements' parameters."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TypeAlias
from uuid import UUID

from balance_service.domain import ids
from balance_service.domain.accounts import Account
from balance_service.domain.events import entry_numbers
from balance_service.domain.holds import Hold
from balance_service.domain.movements import Entry, Movement, SystemEntry
from balance_service.domain.searches import Label
from balance_service.domain.state import Plan
from balance_service.repositories import arrays

Columns: TypeAlias = dict[str, object]


def movements(written: Sequence[Movement]) -> Columns:
    """What every movement has."""
    return {
        "movement_id": arrays.uuids(m.movement_id for m in written),
        "kind": arrays.smallints(m.kind for m in written),
        "from_account_id": arrays.uuids(m.from_account_id for m in written),
        "to_account_id": arrays.uuids(m.to_account_id for m in written),
        "amount_minor": arrays.bigints(m.amount_minor for m in written),
        "currency": arrays.texts(m.currency for m in written),
        "balance_after_minor": arrays.bigints(m.balance_after_minor for m in written),
        "principal": arrays.texts(m.principal for m in written),
        "request_id": arrays.uuids(m.request_id for m in written),
        "description": arrays.texts(m.description for m in written),
        "metadata": arrays.objects(m.metadata for m in written),
        "created_at": arrays.times(m.created_at for m in written),
    }


def details(written: Sequence[Movement]) -> Columns:
    """What only some movements have."""
    rates = [m.rate for m in written]
    return {
        "source": arrays.texts(m.source for m in written),
        "reference": arrays.texts(m.reference for m in written),
        "service_id": arrays.uuids(m.service_id for m in written),
        "quantity": arrays.bigints(m.quantity for m in written),
        "quote_id": arrays.uuids(m.quote_id for m in written),
        "price_minor": arrays.bigints(m.price_minor for m in written),
        "price_currency": arrays.texts(m.price_currency for m in written),
        "rate": arrays.decimals(rate and rate.value for rate in rates),
        "rate_source": arrays.texts(rate and rate.source for rate in rates),
        "rate_as_of": arrays.times(rate and rate.as_of for rate in rates),
        "original_id": arrays.uuids(m.original_id for m in written),
        "whole": arrays.booleans(m.whole for m in written),
        "final": arrays.booleans(m.final for m in written),
        "expires_at": arrays.times(m.expires_at for m in written),
        "effective_at": arrays.times(m.effective_at for m in written),
    }


def follows(written: Sequence[Movement]) -> Columns:
    """What reverses or captures another."""
    return {
        "original_id": arrays.uuids(m.original_id for m in written),
        "movement_id": arrays.uuids(m.movement_id for m in written),
        "amount_minor": arrays.bigints(m.amount_minor for m in written),
        "price_minor": arrays.bigints(m.price_minor or 0 for m in written),
    }


def purchases(bought: Collection[Movement]) -> Columns:
    """What accounts have bought now."""
    return {
        "account_id": arrays.uuids(m.from_account_id for m in bought),
        "service_id": arrays.uuids(m.service_id for m in bought),
        "movement_id": arrays.uuids(m.movement_id for m in bought),
    }


def labels(found_by: Sequence[Label]) -> Columns:
    """What movements can be found by."""
    return {
        "value": arrays.texts(label.value for label in found_by),
        "key": arrays.texts(label.key for label in found_by),
        "created_at": arrays.times(label.movement.created_at for label in found_by),
        "movement_id": arrays.uuids(label.movement.movement_id for label in found_by),
    }


def quote_uses(quoted: Sequence[Movement]) -> Columns:
    """Quotes that were carried out now."""
    return {
        "account_id": arrays.uuids(m.from_account_id for m in quoted),
        "quote_id": arrays.uuids(m.quote_id for m in quoted),
        "movement_id": arrays.uuids(m.movement_id for m in quoted),
    }


def holds(changed: Collection[Hold]) -> Columns:
    """Holds that are new or changed."""
    return {
        "account_id": arrays.uuids(h.account_id for h in changed),
        "hold_id": arrays.uuids(h.hold_id for h in changed),
        "left_minor": arrays.bigints(h.left_minor for h in changed),
        "captured_minor": arrays.bigints(h.captured_minor for h in changed),
        "status": arrays.smallints(h.status for h in changed),
        "expires_at": arrays.times(h.expires_at for h in changed),
        "created_at": arrays.times(h.created_at for h in changed),
    }


def entries(written: Sequence[Entry]) -> Columns:
    """Entries, but for their value dates."""
    return {
        "entry_account_id": arrays.uuids(e.account_id for e in written),
        "entry_sequence": arrays.bigints(e.sequence for e in written),
        "entry_movement_id": arrays.uuids(e.movement_id for e in written),
        "entry_kind": arrays.smallints(e.kind for e in written),
        "entry_amount_minor": arrays.bigints(e.amount_minor for e in written),
        "entry_balance_after_minor": arrays.bigints(e.balance_after_minor for e in written),
        "entry_counterparty_id": arrays.uuids(e.counterparty_id for e in written),
        "entry_created_at": arrays.times(e.created_at for e in written),
    }


def dated_entries(written: Sequence[Entry]) -> Columns:
    """Entries with their value dates."""
    dates = {"entry_effective_at": arrays.times(e.effective_at for e in written)}
    return entries(written) | dates


def events(plan: Plan) -> Columns:
    """A commit's movements in the order of its events, with the numbers of their entries."""
    left, reached = entry_numbers(plan.movements, plan.entries, plan.receipts)
    return {
        "event_movement_id": arrays.uuids(m.movement_id for m in plan.movements),
        "event_from_sequence": arrays.bigints(left),
        "event_to_sequence": arrays.bigints(reached),
        "event_waiting": len({receipt.account_id for receipt in plan.receipts}),
    }


def accounts(changed: Collection[Account]) -> Columns:
    """The new state of accounts."""
    return {
        "account_id": arrays.uuids(a.account_id for a in changed),
        "account_balance_minor": arrays.bigints(a.balance_minor for a in changed),
        "account_held_minor": arrays.bigints(a.held_minor for a in changed),
        "account_sequence": arrays.bigints(a.sequence for a in changed),
        "account_changed_at": arrays.times(a.changed_at for a in changed),
        "account_spent_minor": arrays.bigints(a.spent_minor for a in changed),
    }


def system_entries(written: Sequence[SystemEntry]) -> Columns:
    """Entries on system accounts, and what each account gains of them."""
    sums: dict[UUID, int] = defaultdict(int)
    counts: dict[UUID, int] = defaultdict(int)
    for entry in written:
        sums[entry.account_id] += entry.amount_minor
        counts[entry.account_id] += 1
    return {
        "movement_id": arrays.uuids(e.movement_id for e in written),
        "account_id": arrays.uuids(e.account_id for e in written),
        "amount_minor": arrays.bigints(e.amount_minor for e in written),
        "created_at": arrays.times(e.created_at for e in written),
        "delta_account_id": arrays.uuids(sums),
        "delta_id": arrays.uuids(ids.new_id() for _ in sums),
        "delta_amount_minor": arrays.decimals(sums.values()),
        "delta_entries": arrays.bigints(counts.values()),
    }
