"""What must be true of holds and reversals in the simulated store, by its movements alone."""

from collections import defaultdict
from collections.abc import Iterator
from uuid import UUID

from balance_service.domain.movements import Kind, Movement
from rehearsals.simulation.store import Database

RELEASING = {Kind.RELEASE: "VOIDED", Kind.EXPIRY: "EXPIRED"}


def amounts_held(database: Database) -> dict[str, set[int]]:
    """All that each account held at a time, in the order in which movements were committed."""
    held: dict[UUID, int] = defaultdict(int)
    left: dict[UUID, int] = {}
    ever: dict[str, set[int]] = defaultdict(set)
    for movement in database.movements.values():
        change_minor = 0
        if movement.kind == Kind.HOLD:
            change_minor = left[movement.movement_id] = movement.amount_minor
        elif movement.original_id in left:
            ends = movement.final or movement.kind in RELEASING
            change_minor = -(left[movement.original_id] if ends else movement.amount_minor)
            left[movement.original_id] += change_minor
        held[movement.from_account_id] += change_minor
        ever[str(movement.from_account_id)].add(held[movement.from_account_id])
    return dict(ever)


def find_anomalies(database: Database) -> Iterator[str]:
    """Finds holds that are not as their movements left them, and what was taken twice."""
    parts: dict[UUID, list[Movement]] = defaultdict(list)
    for movement in database.movements.values():
        if movement.original_id:
            parts[movement.original_id].append(movement)
    held: dict[UUID, int] = defaultdict(int)
    for original_id, movement in database.movements.items():
        theirs = parts[original_id]
        taken = sum(part.amount_minor for part in theirs)
        if taken > movement.amount_minor:
            yield f"{taken} taken of {movement}"
        whole = movement.quote_id and taken == movement.amount_minor
        returned = sum(part.price_minor or 0 for part in theirs)
        if whole and returned != movement.price_minor:
            yield f"{returned} given back of {movement}, which was taken back whole"
        if any(part.created_at < movement.created_at for part in theirs):
            yield f"dated before what they follow: {theirs}"
        if movement.kind == Kind.HOLD:
            yield from _check_hold(database, movement, theirs)
            held[movement.from_account_id] += database.holds[original_id].left_minor
    for account_id, account in database.accounts.items():
        if account.held_minor != held[account_id]:
            yield f"{account_id}: holds {account.held_minor}, its holds {held[account_id]}"


def _check_hold(database: Database, movement: Movement, parts: list[Movement]) -> Iterator[str]:
    hold = database.holds[movement.movement_id]
    ends = [RELEASING.get(p.kind, "CAPTURED") for p in parts if p.final or p.kind in RELEASING]
    if len(ends) > 1:
        yield f"ended {len(ends)} times: {hold}"
    captured = sum(part.amount_minor for part in parts if part.kind not in RELEASING)
    left = 0 if ends else movement.amount_minor - captured
    computed = (left, captured, ends[0] if ends else "OPEN")
    if (hold.left_minor, hold.captured_minor, hold.status.name) != computed:
        yield f"{hold} is by its movements {computed}"
    if hold.expires_at <= hold.created_at:
        yield f"over before it began: {hold}"
    for part in parts:
        if part.kind == Kind.EXPIRY and part.created_at < hold.expires_at:
            yield f"expired too early: {hold}"
