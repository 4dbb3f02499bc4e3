"""Compares a history with the database: each acknowledged operation once, in an allowed order.

The entries of an account are a list to which operations append, so their numbers are the one order
in which the account took them. That order is linearizable (Herlihy and Wing, 1990) if no operation
stands before another that had returned before it was invoked, and if every read saw a prefix that
its interval allows. With a total order given, this is a comparison in one pass and needs no search,
as Knossos would; reading the order off the list is Elle's idea (Kingsbury and Alvaro, 2020).
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import psycopg

from balance_service.domain.accounts import Status
from balance_service.domain.movements import REVERSALS, Kind
from rehearsals.held import Step, amounts_held
from rehearsals.operation import Operation
from rehearsals.reads import INFINITY, Steps, check_reads

# How an anomaly begins that tells of an acknowledged change that was lost.
LOST = "acknowledged and not there"


@dataclass(frozen=True)
class Entry:
    """A line of a statement.

    Args:
        request_id: The request id of the movement that it belongs to.
        day: The calendar day that it counts on.
        is_debit: Whether it counts for limits, if money leaves by it.
    """

    sequence: int
    request_id: str
    movement_id: str
    amount_minor: int
    balance_after_minor: int
    day: date = date.min
    is_debit: bool = True


@dataclass(frozen=True)
class Stored:
    """An account as it is stored, with rules that it has had from the start.

    Args:
        limit_minor: How far below zero it may go.
        debit_limit_minor: The most that may be debited at once, if that is limited.
        daily_limit_minor: The most that may be debited in a day, if that is limited.
        debits_frozen: Whether nothing may be debited.
        divided: Whether it has sub-accounts: its balance has what it received at once, and its
            statement a while later.
    """

    balance_minor: int
    limit_minor: int = 0
    debit_limit_minor: int | None = None
    daily_limit_minor: int | None = None
    debits_frozen: bool = False
    divided: bool = False


@dataclass(frozen=True)
class Journal:
    """What the database holds.

    Args:
        movements: For each request id, the movements that have it.
        statements: The entries of each account, in order.
        accounts: Each account.
        held: All that an account may have held at a time; nothing if it is not named.
    """

    movements: dict[str, list[str]]
    statements: dict[str, list[Entry]]
    accounts: dict[str, Stored]
    held: dict[str, set[int]] = field(default_factory=dict)


def read_journal(url: str) -> Journal:
    """Reads a ledger in one snapshot."""
    movements: dict[str, list[str]] = defaultdict(list)
    statements: dict[str, list[Entry]] = defaultdict(list)
    with psycopg.connect(url) as conn:
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        # Holds expire by themselves: nobody asks for that.
        asked = "SELECT movement_id, request_id FROM movements WHERE kind <> %s"
        for movement, request in conn.execute(asked, (Kind.EXPIRY,)):
            movements[str(request)].append(str(movement))
        rows = conn.execute(
            "SELECT e.account_id, e.sequence, m.request_id, m.movement_id, e.amount_minor,"
            " e.balance_after_minor, (e.created_at AT TIME ZONE 'UTC')::date,"
            " e.kind <> ALL(%s)"
            " FROM entries e LEFT JOIN movements m USING (movement_id)"
            " ORDER BY e.account_id, e.sequence",
            (list(REVERSALS.values()),),
        )
        for account, *rest in rows:
            sequence, request, movement, *others = rest
            entry = Entry(sequence, str(request), str(movement), *others)
            statements[str(account)].append(entry)
        rows = conn.execute(
            "SELECT account_id, balance_minor, limit_minor, debit_limit_minor, daily_limit_minor,"
            " status = %s, sub_account_count > 0 FROM accounts",
            (Status.DEBITS_FROZEN,),
        )
        accounts = {str(account): Stored(*rest) for account, *rest in rows}
        rows = conn.execute(
            "SELECT h.account_id::text, m.created_at, h.hold_id::text, m.amount_minor,"
            " m.kind = %(hold)s, m.final IS TRUE OR m.kind IN (%(release)s, %(expiry)s)"
            " FROM holds h JOIN movements m ON h.hold_id IN (m.movement_id, m.original_id)",
            {kind.name.lower(): kind for kind in (Kind.HOLD, Kind.RELEASE, Kind.EXPIRY)},
        )
        held = amounts_held(itertools.starmap(Step, rows))
    return Journal(dict(movements), dict(statements), accounts, held)


def find_anomalies(operations: Sequence[Operation], journal: Journal) -> Iterator[str]:
    """Finds everything that contradicts the history or the rules of the ledger."""
    for operation in operations:
        if operation.faults:
            yield f"answered what it must not: {operation.faults[0]}: {operation}"
    yield from _check_done_once(operations, journal)
    yield from _check_done_together(operations, journal)
    for account, stored in journal.accounts.items():
        entries = journal.statements.get(account, [])
        yield from _check_statement(account, entries, stored)
        yield from _check_debits(account, entries, stored)
    touching: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        for account in operation.accounts:
            touching[account].append(operation)
    for account, theirs in touching.items():
        held = journal.held.get(account, set()) | {0}
        entries = journal.statements.get(account, [])
        yield from _check_order(account, theirs, entries, held)
        stored = journal.accounts.get(account, Stored(0))
        yield from check_reads(account, theirs, entries, divided=stored.divided)
    for operation in operations:
        if operation.reason and operation.accounts and not _is_allowed(operation, journal.accounts):
            yield f"refused against the account's rules: {operation}"


def _check_done_once(operations: Iterable[Operation], journal: Journal) -> Iterator[str]:
    asked = set()
    for operation in operations:
        if operation.is_read:
            continue
        asked.add(operation.request_id)
        movements = journal.movements.get(operation.request_id, [])
        if len(movements) > 1:
            yield f"done {len(movements)} times: {operation}"
        # A void answers with its hold, and not with the movement that gave the rest back.
        answer = movements[:1] if operation.kind == "void" else [operation.answer]
        if operation.outcome == "ok" and (not movements or movements != answer):
            yield f"{LOST}, or another: {operation}, {movements}"
        if operation.outcome == "refused" and movements:
            yield f"refused and done: {operation}, {movements}"
    for request_id in journal.movements.keys() - asked:
        if request_id != "None":
            yield f"done and never asked: {request_id}"


def _check_done_together(operations: Iterable[Operation], journal: Journal) -> Iterator[str]:
    chains: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        if operation.together:
            chains[operation.together].append(operation)
    for chain in chains.values():
        if len({operation.request_id in journal.movements for operation in chain}) > 1:
            yield f"done in part: {chain}"


def _is_allowed(operation: Operation, accounts: Mapping[str, Stored]) -> bool:
    """Whether the rules of the account that pays may refuse an operation so."""
    account, amount_minor = accounts[operation.accounts[0]], operation.amount_minor
    match operation.reason:
        case "ACCOUNT_FROZEN":
            return account.debits_frozen and operation.kind != "deposit"
        case "DEBIT_LIMIT_EXCEEDED":
            limit_minor = account.debit_limit_minor
            return limit_minor is not None and amount_minor > limit_minor
        case "DAILY_LIMIT_EXCEEDED":
            limit_minor, spent_minor = account.daily_limit_minor, operation.spent_minor or 0
            return limit_minor is not None and spent_minor + amount_minor > limit_minor
    return True


def _spent(entries: Sequence[Entry]) -> list[int]:
    """What was debited on the day of each entry, up to it; and 0 before the first."""
    by_day: dict[date, int] = defaultdict(int)
    spent = [0]
    for entry in entries:
        by_day[entry.day] -= min(entry.amount_minor, 0) if entry.is_debit else 0
        spent.append(by_day[entry.day])
    return spent


def _check_debits(account: str, entries: Sequence[Entry], stored: Stored) -> Iterator[str]:
    for entry, spent in zip(entries, _spent(entries)[1:], strict=True):
        if entry.amount_minor > 0 or not entry.is_debit:
            continue
        if stored.debits_frozen:
            yield f"{account}: frozen, and debited by entry {entry.sequence}"
        if stored.debit_limit_minor is not None and -entry.amount_minor > stored.debit_limit_minor:
            yield f"{account}: beyond its limit for a debit at entry {entry.sequence}"
        if stored.daily_limit_minor is not None and spent > stored.daily_limit_minor:
            yield f"{account}: beyond its limit for a day at entry {entry.sequence}"


def _check_statement(account: str, entries: Sequence[Entry], stored: Stored) -> Iterator[str]:
    running = 0
    for place, entry in enumerate(entries, 1):
        running += entry.amount_minor
        if entry.sequence != place:
            yield f"{account}: entry {place} has number {entry.sequence}"
        if entry.balance_after_minor != running:
            yield f"{account}: entry {place} says {entry.balance_after_minor}, sum {running}"
        if running < -stored.limit_minor:
            yield f"{account}: below its limit at entry {place}"
        if entry.movement_id == "None":
            yield f"{account}: entry {place} belongs to no movement"
    if running != stored.balance_minor:
        yield f"{account}: balance {stored.balance_minor}, entries sum to {running}"


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
    floor = Steps(sorted((o.returned, place) for o, place in placed if o.returned < INFINITY))
    ceiling = Steps(sorted((o.invoked, place) for o, place in placed))
    asked = {operation.request_id for operation, _ in placed}
    base = max((e.sequence for e in entries if e.request_id not in asked), default=0)
    balances = [0, *(entry.balance_after_minor for entry in entries)]
    spent = _spent(entries)
    for operation in operations:
        if operation.outcome != "unknown" and operation.accounts[0] == account:
            low = max(floor.before(operation.invoked), base)
            possible = slice(low, max(ceiling.before(operation.returned), base) + 1)
            yield from _check_facts(account, operation, balances[possible], spent[possible], held)


def _check_facts(
    account: str,
    operation: Operation,
    balances: Sequence[int],
    spent: Sequence[int],
    held: set[int],
) -> Iterator[str]:
    """Finds what a refusal says that was not so at any moment of its interval."""
    available, debited = operation.available_minor, operation.spent_minor
    if available is not None and held.isdisjoint(b - available for b in balances):
        yield f"{account}: refused for a balance that never was: {operation}"
    # A new day begins with nothing, whatever the last entry left. What is held counts, too.
    if debited is not None and held.isdisjoint(debited - s for s in (0, *spent)):
        yield f"{account}: refused for debits that never were: {operation}"
