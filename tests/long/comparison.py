"""Holds the database to the books, and the books to what must be true of any ledger."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.accounts import SYSTEM_ACCOUNTS
from tests.long.model import Books, Side
from tests.long.rules import CLOSED, Row

# Each account with what its open holds and its last entry say.
_ACCOUNTS = """
SELECT a.account_id, a.balance_minor, a.held_minor, a.limit_minor, a.status, a.sequence,
    a.debit_limit_minor, a.daily_limit_minor, a.spent_minor,
    coalesce((
        SELECT sum(h.left_minor) FROM holds AS h WHERE h.account_id = a.account_id AND h.status = 1
    ), 0)::bigint,
    coalesce((
        SELECT e.balance_after_minor FROM entries AS e
        WHERE e.account_id = a.account_id AND e.sequence = a.sequence
    ), 0)
FROM accounts AS a WHERE a.account_id = ANY(%(accounts)s)
"""
# Each movement with what followed it, and what is left of a hold.
_MOVEMENTS = """
SELECT m.movement_id, m.amount_minor, m.currency, m.balance_after_minor,
    coalesce(f.amount, 0), coalesce(f.price, 0), coalesce(h.left_minor, 0), coalesce(h.status, 0)
FROM movements AS m
LEFT JOIN LATERAL (
    SELECT sum(amount_minor)::bigint AS amount, sum(price_minor)::bigint AS price
    FROM follows AS f WHERE f.original_id = m.movement_id
) AS f ON true
LEFT JOIN holds AS h ON m.from_account_id = h.account_id AND m.movement_id = h.hold_id
WHERE m.movement_id = ANY(%(movements)s)
"""
# From the first entry that is new on each account.
_ENTRIES = """
SELECT e.account_id, e.sequence, e.movement_id, e.amount_minor, e.balance_after_minor
FROM unnest(%(accounts)s::uuid[], %(sequences)s::bigint[]) AS wanted (account_id, sequence)
INNER JOIN entries AS e ON e.account_id = wanted.account_id AND e.sequence >= wanted.sequence
"""
_SIDES = """
SELECT movement_id, account_id, amount_minor
FROM system_entries WHERE movement_id = ANY(%(movements)s)
"""
_USES = """
SELECT u.quote_id, u.movement_id
FROM unnest(%(payers)s::uuid[], %(quotes)s::uuid[]) AS wanted (account_id, quote_id)
INNER JOIN quote_uses AS u
    ON u.account_id = wanted.account_id AND u.quote_id = wanted.quote_id
"""
_STATUSES = {"open": 1, "captured": 2, "voided": 3, "expired": 4}


async def differences(conn: AsyncConnection, books: Books) -> list[object]:
    """What was touched in the books and is otherwise in the database: key, wanted, found."""
    wanted, found = _wanted(books), await _found(conn, books)
    return [
        (key, wanted.get(key), found.get(key))
        for key in wanted.keys() | found.keys()
        if wanted.get(key) != found.get(key)
    ]


def _wanted(books: Books) -> dict[Any, Any]:
    wanted: dict[Any, Any] = {}
    for account in books.touched & books.accounts.keys():
        wanted[account] = _account_row(books, account)
    for movement in books.touched & books.movements.keys():
        row = books.movements[movement]
        wanted["movement", movement] = _movement_row(row)
        for side, amount in row["legs"].items():
            if isinstance(side, tuple) and amount:
                wanted["side", movement, "/".join(side)] = amount
    for key in books.touched & books.entries.keys():
        wanted["entry", *key] = books.entries[key]
    for quote in books.touched & books.uses.keys():
        wanted["use", quote] = books.uses[quote]
    return wanted


async def _found(conn: AsyncConnection, books: Books) -> dict[Any, Any]:
    accounts = list(books.touched & books.accounts.keys())
    quotes = list(books.touched & books.uses.keys())
    new = books.touched & books.entries.keys()
    parameters = {
        "accounts": accounts,
        "sequences": [_first_new(books, account, new) for account in accounts],
        "movements": list(books.touched & books.movements.keys()),
        "payers": [books.quotes[quote]["account"] for quote in quotes],
        "quotes": quotes,
    }
    async with conn.pipeline():
        cursors = [
            await conn.execute(query, parameters)
            for query in (_ACCOUNTS, _MOVEMENTS, _ENTRIES, _SIDES, _USES)
        ]
        stored, made, entries, sides, uses = [await cursor.fetchall() for cursor in cursors]
    found: dict[Any, Any] = {key: tuple(rest) for key, *rest in stored}
    found |= {("movement", key): tuple(rest) for key, *rest in made}
    found |= {("entry", account, at): tuple(rest) for account, at, *rest in entries}
    found |= {("side", key, SYSTEM_ACCOUNTS[side].name): amount for key, side, amount in sides}
    found |= {("use", quote): movement for quote, movement in uses}
    return found


def _first_new(books: Books, account: UUID, new: set[tuple[UUID, int]]) -> int:
    numbers = [number for owner, number in new if owner == account]
    return min(numbers, default=books.accounts[account]["sequence"] + 1)


def _account_row(books: Books, account: UUID) -> tuple[int | None, ...]:
    row = books.accounts[account]
    names = ("balance", "held", "limit", "status", "sequence", "debit_limit", "daily_limit")
    # The counter is of the day of the last entry.
    spent = books.spent(account, row["last_day"]) if row["last_day"] else 0
    return (*(row[name] for name in names), spent, row["held"], row["balance"])


def _movement_row(row: Row) -> tuple[Any, ...]:
    names = ("amount", "currency", "balance", "followed", "price_followed")
    values = tuple(row[name] for name in names)
    return (*values, row.get("left", 0), _STATUSES.get(row.get("status", ""), 0))


def violations(books: Books) -> Iterator[str]:
    """What was touched and breaks a rule of every ledger, whoever wrote it."""
    yield from _check_balances(books)
    for account, number in books.touched & books.entries.keys():
        _, amount, balance = books.entries[account, number]
        before = books.entries[account, number - 1][2] if number > 1 else 0
        if before + amount != balance:
            yield f"entry {number} of {account} does not follow from the one before"
    for movement in books.touched & books.movements.keys():
        row = books.movements[movement]
        if any(_by_currency(books, row).values()):
            yield f"does not sum to zero: {row}"
        yield from _check_followers(books, row)
        if (quote := row.get("quote")) and books.uses[quote] != movement:
            yield f"a quote was used twice: {row}"


def _check_balances(books: Books) -> Iterator[str]:
    for account in books.touched & books.accounts.keys():
        row = books.accounts[account]
        if row["held"] < 0 or row["balance"] - row["held"] < -row["limit"]:
            yield f"below its limit: {account} {row}"
        if row["status"] == CLOSED and (row["balance"] or row["held"]):
            yield f"closed, and not empty: {account} {row}"
    for role, code in books.touched & books.system.keys():
        if role == "rounding" and books.system[role, code] < 0:
            yield f"the company has paid for rounding in {code}"


def _by_currency(books: Books, row: Row) -> Counter[str]:
    sums: Counter[str] = Counter()
    for side, amount in row["legs"].items():
        currency = side[1] if isinstance(side, tuple) else books.accounts[side]["currency"]
        sums[currency] += amount
    return sums


def _check_followers(books: Books, row: Row) -> Iterator[str]:
    """Reversals and captures take no more than there was; all of them leave nothing over."""
    followers = [books.movements[follower] for follower in row["followers"]]
    taken = sum(follower["amount"] for follower in followers)
    if taken != row["followed"] or taken > row["amount"]:
        yield f"{taken} taken of {row}"
    if taken != row["amount"] or row["kind"] == "hold":
        return
    left: Counter[Side] = Counter(row["legs"])
    for follower in followers:
        left.update(follower["legs"])
    if any(left.values()):
        yield f"taken back whole, and left over: {dict(left)} of {row}"
