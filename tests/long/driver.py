"""Draws operations, carries them out through committers, and holds them to the model."""

import asyncio
import dataclasses
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain.commands import Origin
from balance_service.domain.days import Calendar
from balance_service.domain.limits import Limits
from balance_service.domain.requests import Request
from balance_service.domain.state import Done, How, Outcome
from balance_service.repositories import system_accounts, verification
from tests.commits import commit
from tests.long import rules
from tests.long.comparison import differences, violations
from tests.long.kinds import KINDS
from tests.long.model import Ask
from tests.long.operators import Operators
from tests.long.quoting import clear_quotes, make_quote
from tests.long.rules import Refused, Row, etag
from tests.long.world import World

# Movements that are remembered to be referred to.
RECENT_MAX = 5_000
PRINCIPALS = ["service:shop", "service:billing"]
Answer = tuple[str, ...]
LIMITS = Limits(
    rules.OVERDRAFT_MAX, rules.DEBIT_MAX, rules.DAILY_MAX, calendar=Calendar(rules.ZONE)
)


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
    operators: Operators = field(init=False)

    def __post_init__(self) -> None:
        self.operators = Operators(self.pool, LIMITS)

    async def run(self, operations: int, verify_every: int) -> None:
        """Carries out so many operations, and checks the whole ledger now and then."""
        rng, due = self.world.rng, verify_every
        while self.done < operations:
            chance = rng.random()
            if chance < 0.07:
                self.done += 1
                self.ended[await self.operators.change(self.world)] += 1
                await self._check_touched()
            elif chance < 0.17:
                self.done += 1
                principal = rng.choice(PRINCIPALS)
                self.ended[await make_quote(self.pool, self.world, principal)] += 1
                await self._check_touched()
            elif chance < 0.2:
                self.world.books.now += timedelta(hours=rng.choice([0, 1, 1, 3]))
            elif chance < 0.35:
                # One request in each of several commits, whose order Postgres decides.
                await self._race([self._draw_call(2) for _ in range(rng.choice([2, 2, 3]))])
            else:
                await self._commit([self._draw_call(4) for _ in range(rng.choice([1, 2, 6]))])
            if self.done >= due:
                due += verify_every
                await clear_quotes(self.pool, self.world)
                await self.check_whole()
        await self.check_whole()

    async def _commit(self, calls: list[Call]) -> None:
        """Some requests in one commit, in their order."""
        answers = await commit(self.pool, *(call.request for call in calls), limits=LIMITS)
        for call, outcomes in zip(calls, answers, strict=True):
            expected = self._predict(call)
            given = list(map(told, outcomes))
            assert given == expected, f"{given} and not {expected} for {call}"
            self._remember(call, outcomes)
        await self._check_touched()

    async def _race(self, calls: list[Call]) -> None:
        """Each request in a commit of its own, all at once: some order must explain the answers."""
        books = self.world.books
        answers = await asyncio.gather(
            *(commit(self.pool, call.request, limits=LIMITS) for call in calls)
        )
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
        await self._check_touched()

    def _predict(self, call: Call) -> list[Answer]:
        """What the request must be answered, carried out in the books."""
        books, answers = self.world.books, list[Answer]()
        mark = books.mark
        asked = call.request
        for chain in rules.chains(len(call.asks), asked.linked, together=asked.all_or_nothing):
            answers += self._predict_chain(call, chain)
        if call.request.validate_only:
            books.undo(mark)
        return answers

    def _predict_chain(self, call: Call, chain: list[int]) -> list[Answer]:
        books, answers = self.world.books, list[Answer]()
        mark = books.mark
        for place in chain:
            try:
                answers.append(shown(self._predict_one(call.asks[place])))
            except Refused as refused:
                books.undo(mark)
                answers = [("refused", "BatchRefused") for _ in chain]
                answers[chain.index(place)] = ("refused", str(refused))
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
        books.begin(ask.id)
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
        row, principals = self._about(fields)
        origin = Origin(
            principal=rng.choice(principals),
            owner_id=rng.choice([None] * 20 + [row["owner"]] * 5 + [UUID(int=1)]),
            reads_all=rng.random() < 0.5,
            request_id=UUID(int=rng.getrandbits(128), version=4),
            etag=rng.choice([""] * 20 + [etag(row), "another"]),
            effective_at=rng.choice([None] * 5 + [books.now - timedelta(days=3)]),
        )
        ask = Ask(
            kind,
            origin.movement_id,
            origin.principal,
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
            ask = dataclasses.replace(ask, id=before.id, principal=before.principal)
            origin = dataclasses.replace(
                origin, principal=its_origin.principal, request_id=its_origin.request_id
            )
        self.sent = [*self.sent[-500:], (ask, origin)]
        return ask, origin

    def _about(self, fields: Row) -> tuple[Row, list[str]]:
        """The account that an operation is about, and some of whom asks for it."""
        books = self.world.books
        if "quote" in fields:
            quoted = books.quotes[fields["quote"]]
            return books.accounts[quoted["account"]], [*[quoted["principal"]] * 20, *PRINCIPALS]
        original = fields.get("hold") or fields.get("original")
        about = books.movements[original] if original else fields
        row = books.accounts[about.get("account") or about["user"]]
        return row, PRINCIPALS[:1] if "reference" in fields else PRINCIPALS

    async def _check_touched(self) -> None:
        """Insists that what changed in the books changed in the database, and breaks no rule."""
        books = self.world.books
        found = await self._differences() or list(violations(books))
        assert not found, found
        books.touched.clear()
        books.keep()

    async def _differences(self) -> list[object]:
        async with self.pool.connection() as conn:
            return await differences(conn, self.world.books)

    async def check_whole(self) -> None:
        """Verifies the ledger, and compares all its sums with the books."""
        async with pools.transaction(self.pool) as conn:
            await system_accounts.roll_up(conn, 10**6)
        async with self.pool.connection() as conn:
            report = await verification.verify(conn, LIMITS.calendar)
        assert report.clean, {name: found for name, found in report.faults.items() if found}
        async with self.pool.connection() as conn:
            rows = await (await conn.execute(_SYSTEM)).fetchall()
        known = {f"{role}/{code}": sum_ for (role, code), sum_ in self.world.books.system.items()}
        assert {name: int(balance) for name, balance in rows if balance} == {
            name: balance for name, balance in known.items() if balance
        }
        self.world.books.touched |= self.world.books.accounts.keys()
        await self._check_touched()


_SYSTEM = "SELECT name, balance_minor FROM system_accounts"


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
