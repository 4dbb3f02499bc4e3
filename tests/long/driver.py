"""Draws operations, carries them out through committers, and holds them to the model."""

import asyncio
import dataclasses
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain.accounts import Status
from balance_service.domain.commands import Origin
from balance_service.domain.requests import Request
from balance_service.domain.state import Done, How, Outcome
from balance_service.repositories import accounts, system_accounts, verification
from tests.commits import commit
from tests.long.kinds import KINDS
from tests.long.model import ACTIVE, CLOSED, FROZEN, Ask, Refused, Row, etag
from tests.long.world import World

# Movements that are remembered to be referred to.
RECENT_MAX = 5_000
PRINCIPALS = ["service:shop", "service:billing"]
Answer = tuple[str, ...]


@dataclass
class Call:
    """A request in both forms."""

    asks: list[Ask]
    request: Request


@dataclass
class Driver:
    """One run.

    Args:
        pool: Of the database, with its accounts opened.
        world: What is known, and the seed.
    """

    pool: Pool
    world: World
    done: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    # What was sent, to be sent again.
    sent: list[tuple[Ask, Origin]] = field(default_factory=list)

    async def run(self, operations: int, verify_every: int) -> None:
        """Carries out so many operations, and checks the whole ledger now and then."""
        rng, due = self.world.rng, verify_every
        while self.done < operations:
            chance = rng.random()
            if chance < 0.02:
                await self._set_rules()
            elif chance < 0.05:
                self.world.books.now += timedelta(hours=rng.choice([0, 1, 1, 3]))
            elif chance < 0.25:
                # One request in each of several commits, whose order Postgres decides.
                await self._race([self._draw_call(2) for _ in range(rng.choice([2, 2, 3]))])
            else:
                await self._commit([self._draw_call(4) for _ in range(rng.choice([1, 2, 6]))])
            if self.done >= due:
                due += verify_every
                await self.check_whole()
        await self.check_whole()

    async def _commit(self, calls: list[Call]) -> None:
        """Some requests in one commit, in their order."""
        answers = await commit(self.pool, *(call.request for call in calls))
        for call, outcomes in zip(calls, answers, strict=True):
            expected = self._predict(call)
            given = list(map(told, outcomes))
            assert given == expected, f"{given} and not {expected} for {call}"
            self._remember(call, outcomes)
        await self._check_touched()

    async def _race(self, calls: list[Call]) -> None:
        """Each request in a commit of its own, all at once: some order must explain the answers."""
        books = self.world.books
        answers = await asyncio.gather(*(commit(self.pool, call.request) for call in calls))
        given = [list(map(told, answer[0])) for answer in answers]
        tried = []
        for order in itertools.permutations(range(len(calls))):
            books.touched.clear()
            mark = books.mark
            expected = {place: self._predict(calls[place]) for place in order}
            tried.append(expected)
            fits = all(expected[place] == given[place] for place in range(len(calls)))
            if fits and not await self._differences():
                break
            books.undo(mark)
        else:
            raise AssertionError(f"no order explains {given} of {calls}; each gives {tried}")
        for place in order:
            self._remember(calls[place], answers[place][0])
        books.touched.clear()
        books.keep()

    def _predict(self, call: Call) -> list[Answer]:
        """What the request must be answered, carried out in the books."""
        books, answers = self.world.books, list[Answer]()
        mark = books.mark
        for chain in call.request.chains:
            answers += self._predict_chain(call, chain)
        if call.request.validate_only:
            books.undo(mark)
        return answers

    def _predict_chain(self, call: Call, chain: range) -> list[Answer]:
        books, answers = self.world.books, list[Answer]()
        mark = books.mark
        for place in chain:
            try:
                answers.append(shown(self._predict_one(call.asks[place])))
            except Refused as refused:
                books.undo(mark)
                answers = [("refused", "BatchRefused") for _ in chain]
                answers[place - chain.start] = ("refused", str(refused))
                break
        return answers

    def _predict_one(self, ask: Ask) -> Row:
        books = self.world.books
        if before := books.movements.get(ask.id):
            same = before["ask"].content == ask.content
            if not same or not (before.get("final", True) or ask._keep):
                raise Refused("IdempotencyKeyReused")
            return {**before, "how": "replayed", "id": ask.id}
        operation, _ = KINDS[ask.kind]
        return {"how": "posted", "id": ask.id, **operation.predict(books, ask)}

    def _remember(self, call: Call, outcomes: Sequence[Outcome]) -> None:
        world = self.world
        self.done += len(outcomes)
        for ask, outcome in zip(call.asks, outcomes, strict=True):
            if not isinstance(outcome, Done):
                self.ended[f"{ask.kind} {type(outcome).__name__}"] += 1
                continue
            self.ended[f"{ask.kind} {outcome.how.value}"] += 1
            if ask.id in world.books.movements and ask.id not in world.made:
                world.made[ask.id] = outcome.movement
                world.recent = [*world.recent[-RECENT_MAX:], ask.id]

    def _draw_call(self, items_max: int) -> Call:
        rng = self.world.rng
        asks, items = [], []
        for _ in range(rng.choice([1, 1, rng.randint(1, items_max)])):
            ask, origin = self._draw_ask()
            asks.append(ask)
            items.append(KINDS[ask.kind][0].command(self.world, ask, origin))
        request = Request(
            tuple(items),
            all_or_nothing=rng.random() < 0.15,
            linked=frozenset(place for place in range(len(items)) if rng.random() < 0.2),
            validate_only=rng.random() < 0.06,
        )
        return Call(asks, request)

    def _draw_ask(self) -> tuple[Ask, Origin]:
        rng, books = self.world.rng, self.world.books
        repeated = rng.choice(self.sent) if self.sent and rng.random() < 0.06 else None
        fields = None
        while fields is None:
            kind = rng.choices(list(KINDS), [often for _, often in KINDS.values()])[0]
            fields = KINDS[kind][0].draw(self.world)
        original = fields.get("hold") or fields.get("original")
        about = books.movements[original] if original else fields
        row = books.accounts[about.get("account") or about["user"]]
        origin = Origin(
            principal=rng.choice(PRINCIPALS[:1] if "reference" in fields else PRINCIPALS),
            owner_id=rng.choice([None] * 20 + [row["owner"]] * 5 + [UUID(int=1)]),
            reads_all=rng.random() < 0.5,
            request_id=UUID(int=rng.getrandbits(128), version=4),
            etag=rng.choice([""] * 20 + [etag(row), "another"]),
            effective_at=rng.choice([None] * 5 + [books.now - timedelta(days=3)]),
        )
        ask = Ask(
            kind,
            origin.movement_id,
            origin.owner_id,
            origin.reads_all,
            origin.etag,
            origin.effective_at,
            fields,
        )
        if repeated is not None:
            # The same request again, or another under its id.
            before, its_origin = repeated
            if rng.random() < 0.7 or "reference" in fields:
                return repeated
            ask = dataclasses.replace(ask, id=before.id)
            origin = dataclasses.replace(
                origin, principal=its_origin.principal, request_id=its_origin.request_id
            )
        self.sent = [*self.sent[-500:], (ask, origin)]
        return ask, origin

    async def _set_rules(self) -> None:
        """What operators do: freeze an account, close an empty one, change a limit."""
        rng, books = self.world.rng, self.world.books
        account = self.world.account()
        row = books.accounts[account]
        limit = rng.choice([0, 0, row["limit"], 2_000])
        status = rng.choice([ACTIVE] * 8 + [FROZEN, CLOSED])
        if row["balance"] - row["held"] < -limit:
            limit = row["limit"]
        if status == CLOSED and (row["balance"] or row["held"]):
            status = ACTIVE
        async with pools.transaction(self.pool) as conn:
            profile = await accounts.lock(conn, account)
            assert profile, "the books know it"
            changed = profile.account._replace(status=Status(status), limit_minor=limit)
            await accounts.set_rules(conn, changed)
        books.change(books.accounts, account, status=status, limit=limit)
        await self._check_touched()

    async def _check_touched(self) -> None:
        """Insists that what changed in the books changed in the database, and as much."""
        differences = await self._differences()
        assert not differences, differences
        self.world.books.touched.clear()
        self.world.books.keep()

    async def _differences(self) -> list[object]:
        books = self.world.books
        of_accounts = list(books.touched & books.accounts.keys())
        of_movements = list(books.touched & books.movements.keys())
        async with self.pool.connection() as conn:
            stored = await (await conn.execute(_ACCOUNTS, {"ids": of_accounts})).fetchall()
            made = await (await conn.execute(_MOVEMENTS, {"ids": of_movements})).fetchall()
        known = {key: _account_row(books.accounts[key]) for key in of_accounts}
        found: dict[Any, Any] = {key: tuple(rest) for key, *rest in stored}
        wanted: dict[Any, Any] = dict(known)
        found |= {("movement", key): tuple(rest) for key, *rest in made}
        wanted |= {("movement", key): _movement_row(books.movements[key]) for key in of_movements}
        return [
            (key, wanted.get(key), found.get(key))
            for key in wanted.keys() | found.keys()
            if wanted.get(key) != found.get(key)
        ]

    async def check_whole(self) -> None:
        """Verifies the ledger, and compares all its sums with the books."""
        async with pools.transaction(self.pool) as conn:
            await system_accounts.roll_up(conn, 10**6)
        async with self.pool.connection() as conn:
            await conn.execute("RESET ROLE")
            report = await verification.verify(conn)
        assert report.clean, {name: found for name, found in report.faults.items() if found}
        async with self.pool.connection() as conn:
            rows = await (await conn.execute(_SYSTEM)).fetchall()
        known = {f"{role}/{code}": sum_ for (role, code), sum_ in self.world.books.system.items()}
        assert {name: int(balance) for name, balance in rows if balance} == {
            name: balance for name, balance in known.items() if balance
        }
        self.world.books.touched |= self.world.books.accounts.keys()
        await self._check_touched()


# Each account with what its holds and its last entry say.
_ACCOUNTS = """
SELECT a.account_id, a.balance_minor, a.held_minor, a.limit_minor, a.status, a.sequence,
    coalesce((
        SELECT sum(h.left_minor) FROM holds AS h WHERE h.account_id = a.account_id AND h.status = 1
    ), 0)::bigint,
    coalesce((
        SELECT e.balance_after_minor FROM entries AS e
        WHERE e.account_id = a.account_id AND e.sequence = a.sequence
    ), 0)
FROM accounts AS a WHERE a.account_id = ANY(%(ids)s)
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
WHERE m.movement_id = ANY(%(ids)s)
"""
_SYSTEM = "SELECT name, balance_minor FROM system_accounts"
_STATUSES = {"open": 1, "captured": 2, "voided": 3, "expired": 4}


def _account_row(row: Row) -> tuple[int, ...]:
    names = ("balance", "held", "limit", "status", "sequence", "held", "balance")
    return tuple(row[name] for name in names)


def _movement_row(row: Row) -> tuple[Any, ...]:
    names = ("amount", "currency", "balance", "followed", "price_followed")
    values = tuple(row[name] for name in names)
    return (*values, row.get("left", 0), _STATUSES.get(row.get("status", ""), 0))


def told(outcome: Outcome) -> Answer:
    """What a service's outcome says, to be compared."""
    if not isinstance(outcome, Done):
        return ("refused", type(outcome).__name__)
    movement = outcome.movement
    if outcome.how == How.ALREADY_PURCHASED:
        # Any of the captures that bought it together.
        return (outcome.how.value, movement.kind.name.lower())
    price = movement.price_minor if movement.rate else None
    facts = (movement.amount_minor, movement.currency, movement.balance_after_minor, price)
    return (
        outcome.how.value,
        movement.kind.name.lower(),
        str(movement.movement_id),
        *map(str, facts),
    )


def shown(row: Row) -> Answer:
    """What the model's movement says, in the same form."""
    if row["how"] == How.ALREADY_PURCHASED.value:
        return (row["how"], row["kind"])
    converted = "price" in row and row["price"]["currency"] != row["currency"]
    price = row["price"]["amount"] if converted else None
    facts = (row["amount"], row["currency"], row["balance"], price)
    return (row["how"], row["kind"], str(row["id"]), *map(str, facts))
