"""Compares a history with the database: each acknowledged operation once, in an allowed order.

The entries of an account are a list to which operations append, so their numbers are the one order
in which the account took them. That order is linearizable (Herlihy and Wing, 1990) if no operation
stands before another that had returned before it was invoked, and if every read saw a prefix that
its interval allows. With a total order given, this is a comparison in one pass and needs no search,
as Knossos would; reading the order off the list is Elle's idea (Kingsbury and Alvaro, 2020).
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import psycopg

from rehearsals.history import Operation

INFINITY = float("inf")


@dataclass(frozen=True)
class Entry:
    """A line of a statement.

    Args:
        request_id: The request id of the movement that it belongs to.
    """

    sequence: int
    request_id: str
    movement_id: str
    amount_minor: int
    balance_after_minor: int


@dataclass(frozen=True)
class Journal:
    """What the database holds.

    Args:
        movements: For each request id, the movements that have it.
        statements: The entries of each account, in order.
        balances: The stored balance and limit of each account.
        held: All that an account ever held at a time; nothing if it is not named.
    """

    movements: dict[str, list[str]]
    statements: dict[str, list[Entry]]
    balances: dict[str, tuple[int, int]]
    held: dict[str, set[int]] = field(default_factory=dict)


def read_journal(url: str) -> Journal:
    """Reads a ledger in one snapshot."""
    movements: dict[str, list[str]] = defaultdict(list)
    statements: dict[str, list[Entry]] = defaultdict(list)
    with psycopg.connect(url) as conn:
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for movement, request in conn.execute("SELECT movement_id, request_id FROM movements"):
            movements[str(request)].append(str(movement))
        rows = conn.execute(
            "SELECT e.account_id, e.sequence, m.request_id, m.movement_id, e.amount_minor,"
            " e.balance_after_minor FROM entries e LEFT JOIN movements m USING (movement_id)"
            " ORDER BY e.account_id, e.sequence"
        )
        for account, *rest in rows:
            sequence, request, movement, amount, after = rest
            entry = Entry(sequence, str(request), str(movement), amount, after)
            statements[str(account)].append(entry)
        balances = {
            str(account): (balance, limit)
            for account, balance, limit in conn.execute(
                "SELECT account_id, balance_minor, limit_minor FROM accounts"
            )
        }
    return Journal(dict(movements), dict(statements), balances)


def find_anomalies(operations: Sequence[Operation], journal: Journal) -> Iterator[str]:
    """Finds everything that contradicts the history or the rules of the ledger."""
    for operation in operations:
        if operation.faults:
            yield f"answered what it must not: {operation.faults[0]}: {operation}"
    yield from _check_done_once(operations, journal)
    for account, (balance, limit) in journal.balances.items():
        yield from _check_statement(account, journal.statements.get(account, []), balance, limit)
    touching: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        for account in operation.accounts:
            touching[account].append(operation)
    for account, theirs in touching.items():
        held = journal.held.get(account, set()) | {0}
        yield from _check_order(account, theirs, journal.statements.get(account, []), held)


def _check_done_once(operations: Iterable[Operation], journal: Journal) -> Iterator[str]:
    asked = set()
    for operation in operations:
        if operation.kind == "read":
            continue
        asked.add(operation.request_id)
        movements = journal.movements.get(operation.request_id, [])
        if len(movements) > 1:
            yield f"done {len(movements)} times: {operation}"
        if operation.outcome == "ok" and movements != [operation.answer]:
            yield f"acknowledged and not there, or another: {operation}, {movements}"
        if operation.outcome == "refused" and movements:
            yield f"refused and done: {operation}, {movements}"
    for request_id in journal.movements.keys() - asked:
        if request_id != "None":
            yield f"done and never asked: {request_id}"


def _check_statement(
    account: str, entries: Sequence[Entry], balance: int, limit: int
) -> Iterator[str]:
    running = 0
    for place, entry in enumerate(entries, 1):
        running += entry.amount_minor
        if entry.sequence != place:
            yield f"{account}: entry {place} has number {entry.sequence}"
        if entry.balance_after_minor != running:
            yield f"{account}: entry {place} says {entry.balance_after_minor}, sum {running}"
        if running < -limit:
            yield f"{account}: below its limit at entry {place}"
        if entry.movement_id == "None":
            yield f"{account}: entry {place} belongs to no movement"
    if running != balance:
        yield f"{account}: balance {balance}, entries sum to {running}"


def _check_order(
    account: str, operations: Sequence[Operation], entries: Sequence[Entry], held: set[int]
) -> Iterator[str]:
    places = {entry.request_id: entry.sequence for entry in entries}
    placed = [(o, places[o.request_id]) for o in operations if o.request_id in places]
    # In the order of the statement, the latest invocation so far must not be after a return.
    latest = -INFINITY
    for operation, place in sorted(placed, key=lambda pair: pair[1]):
        if operation.returned < latest:
            yield f"{account}: entry {place} stands after one that was asked for later: {operation}"
        latest = max(latest, operation.invoked)
    floor = _Steps(sorted((o.returned, place) for o, place in placed if o.returned < INFINITY))
    ceiling = _Steps(sorted((o.invoked, place) for o, place in placed))
    asked = {operation.request_id for operation, _ in placed}
    base = max((e.sequence for e in entries if e.request_id not in asked), default=0)
    balances = [0, *(entry.balance_after_minor for entry in entries)]
    seen = _Steps([])
    for operation in sorted(operations, key=lambda o: o.returned):
        if operation.outcome == "unknown":
            continue
        low = max(floor.before(operation.invoked), base)
        high = max(ceiling.before(operation.returned), base)
        if operation.kind == "read":
            sequence = int(operation.answer)
            if not low <= sequence <= high:
                yield f"{account}: read {sequence}, allowed {low} to {high}: {operation}"
            if sequence < seen.before(operation.invoked):
                yield f"{account}: a read went back in time: {operation}"
            seen.add(operation.returned, sequence)
        elif (
            operation.available_minor is not None
            and operation.accounts[0] == account
            and held.isdisjoint(b - operation.available_minor for b in balances[low : high + 1])
        ):
            yield f"{account}: refused for a balance that never was: {operation}"


class _Steps:
    """The greatest value of all points before a moment."""

    def __init__(self, points: Sequence[tuple[float, int]]) -> None:
        self._times: list[float] = []
        self._values: list[int] = []
        for time, value in points:
            self.add(time, value)

    def add(self, time: float, value: int) -> None:
        """Adds a point, not earlier than the last."""
        self._times.append(time)
        self._values.append(max(value, self._values[-1] if self._values else 0))

    def before(self, time: float) -> int:
        place = bisect_right(self._times, time)
        return self._values[place - 1] if place else 0
