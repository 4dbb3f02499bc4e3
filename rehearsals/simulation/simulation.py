"""The real queue, committer and plan over simulated time and storage, which fail in every way.

One seed decides a whole run: requests, failures, and the order of every step.
"""

import asyncio
import functools
import logging
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from unittest import mock
from uuid import UUID

import structlog

from balance_service.domain import errors, ids
from balance_service.domain.accounts import Account, Status
from balance_service.domain.commands import Exchange, Origin, Settle, Transfer
from balance_service.domain.days import Calendar
from balance_service.domain.follow_up_commands import Capture, Place, Release, Reverse
from balance_service.domain.limits import Limits
from balance_service.domain.money import Money
from balance_service.domain.movements import REVERSALS, Kind, Movement
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Outcome
from balance_service.reading.past import is_over
from rehearsals.checker import Entry, Journal, Stored, find_anomalies
from rehearsals.operation import Operation
from rehearsals.simulation import events, follow_ups, notes, schedule_checks
from rehearsals.simulation.loop import SimulatedLoop
from rehearsals.simulation.quotes import make_quotes
from rehearsals.simulation.schedules import Schedules
from rehearsals.simulation.store import EPOCH, Database
from rehearsals.simulation.sub_accounts import Divider
from rehearsals.simulation.worker import Worker, WorkerKilled

ACCOUNTS = 5
CLIENTS = 6
REQUESTS = 5
WORKERS = 2
READERS = 2
QUESTIONS = 10
PRINCIPALS = ("service:0", "service:1")


@dataclass(frozen=True)
class Past:
    """An account's balance before a moment, as it was answered once that moment was over."""

    account_id: UUID
    end: datetime
    balance_minor: int


@dataclass
class Reader:
    """Asks for recent balances, and waits as `reading.past` does until they are final."""

    simulation: "Simulation"

    async def run(self) -> None:
        rng, database = self.simulation.rng, self.simulation.database
        for _ in range(QUESTIONS):
            await asyncio.sleep(rng.expovariate(1 / 0.1))
            account_id = rng.choice(self.simulation.accounts)
            end = database.now() - timedelta(seconds=rng.choice([0, 0.01, 1]))
            while not is_over(
                end,
                database.now(),
                database.accounts[account_id],
                free=database.is_free(account_id),
            ):
                await asyncio.sleep(0.02)
            answer = Past(account_id, end, database.balance_at(account_id, end))
            self.simulation.past_answers.append(answer)


@dataclass
class Client:
    """Sends requests, and each again under its ids until it knows their outcome."""

    simulation: "Simulation"
    number: int

    async def run(self) -> None:
        for _ in range(REQUESTS):
            await self._request()

    async def _request(self) -> None:
        rng, loop = self.simulation.rng, asyncio.get_running_loop()
        request = self._draw(rng.choice([1, 1, 1, 3, 5]))
        operations = notes.record(request, loop.time())
        self.simulation.operations += operations
        while not all(o.outcome != "unknown" for o in operations):
            try:
                outcomes = await self._send(request)
            except errors.Refusal as refusal:
                assert isinstance(
                    refusal, errors.Unavailable | errors.Overloaded | errors.DeadlinePassed
                ), refusal
            except (WorkerKilled, TimeoutError):
                pass
            else:
                for operation, outcome in zip(operations, outcomes, strict=True):
                    notes.note(operation, outcome, loop.time())
                return
            if not all(c.origin.request_id for c in request.commands):
                return
            await asyncio.sleep(rng.expovariate(1 / 0.1))

    def _draw(self, count: int) -> Request:
        """A request of some commands: each by itself, in chains, or parts of a whole."""
        rng = self.simulation.rng
        commands = tuple(self._command() for _ in range(count))
        whole = rng.random() < 0.3
        linked = frozenset(place for place in range(count - 1) if rng.random() < 0.4)
        parts = whole and rng.random() < 0.5 and all(c.origin.request_id for c in commands)
        return Request(commands, whole, linked, parts_of="the whole" if parts else "")

    async def _send(self, request: Request) -> Sequence[Outcome]:
        """Makes one attempt, which the client may give up on while the worker goes on with it."""
        rng = self.simulation.rng
        worker = rng.choice(self.simulation.workers)
        patience = rng.choice([0.01, 1.0, 30.0])
        call = asyncio.create_task(worker.call(request, patience))
        self.simulation.sent.add(call)
        async with asyncio.timeout(patience):
            return await asyncio.shield(call)

    def _command(self) -> Command:
        rng = self.simulation.rng
        sender, receiver = rng.sample(self.simulation.accounts, 2)
        money = Money(rng.randint(1, 60), "RUB")
        request_id = None if rng.random() < 0.1 else _uuid(rng)
        origin = Origin(principal=PRINCIPALS[self.number % 2], request_id=request_id)
        if rng.random() < self.simulation.to_shop and sender != self.simulation.shop:
            return Transfer(origin, sender, self.simulation.shop, Money(rng.randint(1, 9), "RUB"))
        # What callers refer to, they have seen: it is committed.
        seen = self.simulation.database.movements.values()
        if seen and rng.random() < 0.5:
            return self._follow_up(origin, rng.choice(list(seen)))
        kind = rng.choice(
            [Kind.DEPOSIT, Kind.WITHDRAWAL, Kind.TRANSFER, Kind.TRANSFER, Kind.EXCHANGE]
        )
        if kind == Kind.EXCHANGE:
            return self._by_quote(origin)
        if kind == Kind.TRANSFER:
            command: Transfer | Settle = Transfer(origin, sender, receiver, money)
        else:
            reference = rng.choice([None, None, str(rng.randint(1, 8))])
            command = Settle(origin, kind, sender, money, reference and "bank", reference)
        if kind == Kind.DEPOSIT or rng.random() < 0.6:
            return command
        lasting = timedelta(seconds=rng.choice([0.1, 1, 100]))
        return Place(command, self.simulation.database.now() + lasting)

    def _follow_up(self, origin: Origin, seen: Movement) -> Command:
        """A reversal of a movement, or an end of a hold; of what has neither, one more hold."""
        rng = self.simulation.rng
        money = rng.choice([None, Money(rng.randint(1, seen.amount_minor), seen.currency)])
        if seen.kind in REVERSALS:
            return Reverse(origin, seen, money, forced=rng.random() < 0.3)
        if seen.kind == Kind.HOLD:
            kind = rng.choice([None, None, Kind.RELEASE, Kind.EXPIRY])
            if kind is None:
                return Capture(origin, seen, money, keep_rest=rng.random() < 0.5)
            return Release(origin, seen, kind)
        sender, receiver = rng.sample(self.simulation.accounts, 2)
        transfer = Transfer(origin, sender, receiver, Money(seen.amount_minor, "RUB"))
        return Place(transfer, self.simulation.database.now() + timedelta(seconds=1))

    def _by_quote(self, origin: Origin) -> Transfer | Exchange:
        """An exchange, or a transfer between the same accounts."""
        simulation = self.simulation
        quote = simulation.rng.choice(simulation.quotes[origin.principal])
        receiver = simulation.other_accounts[quote.account_id]
        if simulation.rng.random() < 0.5:
            return Exchange(origin, quote, receiver)
        return Transfer(origin, quote.account_id, receiver, quote.paid, quote)


class Simulation:
    """One run.

    Args:
        seed: Decides everything.
    """

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.accounts = [_uuid(rng) for _ in range(ACCOUNTS)]
        opened = {account_id: self._open(account_id) for account_id in self.accounts}
        # In every other run many pay to one account, which has sub-accounts from the start.
        self.shop, self.to_shop = self.accounts[-1], rng.choice([0, 0.6])
        opened[self.shop] = opened[self.shop]._replace(sub_account_count=3)
        # A day ends while the run goes on, or none does.
        zone = timezone(timedelta(seconds=-rng.choice([0, 1, 2])))
        self.limits = Limits(debit_minor=rng.choice([{}, {"RUB": 50}]), calendar=Calendar(zone))
        # The owners of two accounts have others, in another currency.
        self.other_accounts: dict[UUID, UUID] = {}
        for account_id in self.accounts[:2]:
            other = opened[account_id]._replace(account_id=_uuid(rng), currency="USD")
            opened[other.account_id] = other
            self.other_accounts |= {account_id: other.account_id, other.account_id: account_id}
        self.quotes = {
            principal: list(make_quotes(rng, principal, opened, self.other_accounts))
            for principal in PRINCIPALS
        }
        calendar = self.limits.calendar
        self.database = Database(rng, rng.choice([0, 0.02, 0.2]), opened, calendar)
        self.divider = Divider(self.database)
        self.schedules = Schedules(self.database, self.accounts, PRINCIPALS[0])
        self.workers = [
            Worker(self.database, self.limits, rng, jobs=[self.schedules.keep_running])
            for _ in range(WORKERS)
        ]
        self.operations: list[Operation] = []
        self.sent: set[asyncio.Task[Sequence[Outcome]]] = set()
        self.past_answers: list[Past] = []
        self.event_readers = [events.EventReader(self.database.events) for _ in range(READERS)]

    def _open(self, account_id: UUID) -> Account:
        rng = self.rng
        return Account(
            account_id,
            _uuid(rng),
            "RUB",
            balance_minor=0,
            held_minor=0,
            limit_minor=rng.choice([0, 0, 100]),
            status=rng.choice([Status.ACTIVE] * 5 + [Status.DEBITS_FROZEN]),
            sequence=0,
            changed_at=EPOCH,
            debit_limit_minor=rng.choice([None, None, 30, 70]),
            daily_limit_minor=rng.choice([None, None, 80, 150]),
            sub_account_count=rng.choice([0, 0, 1, 3]),
        )

    async def run(self) -> None:
        """Runs until every client knows every outcome, and nothing is under way."""
        with self.schedules.in_place():
            await self._run()

    async def _run(self) -> None:
        for worker in self.workers:
            worker.start_jobs()
        clients = [asyncio.create_task(Client(self, n).run()) for n in range(CLIENTS)]
        readers = [asyncio.create_task(Reader(self).run()) for _ in range(READERS)]
        log = self.database.events
        following = [log.keep_numbering() for _ in self.workers]
        following += [self.divider.keep_numbering() for _ in self.workers]
        following += [reader.run() for reader in self.event_readers]
        beside = [
            asyncio.create_task(each)
            for each in (self._chaos(), self.divider.keep_setting(), *following)
        ]
        await asyncio.gather(*clients, *readers, self.schedules.stop_some())
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await asyncio.gather(*self.sent, return_exceptions=True)
        await self.schedules.finish()
        for worker in self.workers:
            await worker.stop_jobs()
            await worker.queue.drain()
        while self.database.lingering:
            await asyncio.wait(self.database.lingering)
        await self.divider.finish()
        await log.finish()
        for reader in self.event_readers:
            reader.read_rest()

    async def _chaos(self) -> None:
        """Kills workers and crashes Postgres, in runs with trouble."""
        while self.database.trouble:
            await asyncio.sleep(self.rng.expovariate(1 / 0.05))
            if self.rng.random() < 0.7:
                self.rng.choice(self.workers).kill()
            else:
                self.database.crash()

    def find_anomalies(self) -> Iterator[str]:
        """Finds everything that contradicts the clients' answers or the rules of the ledger."""
        database = self.database
        movements: dict[str, list[str]] = defaultdict(list)
        for movement in database.movements.values():
            key = notes.key(movement.request_id, movement.movement_id)
            movements[key].append(str(movement.movement_id))
        statements = {}
        for account, entries in database.entries.items():
            requests = [
                notes.key(database.movements[e.movement_id].request_id, e.movement_id)
                for e in entries
            ]
            statements[str(account)] = [
                Entry(
                    e.sequence,
                    request,
                    str(e.movement_id),
                    e.amount_minor,
                    e.balance_after_minor,
                    self.limits.calendar.day(e.created_at).start.date(),
                    is_debit=e.kind not in REVERSALS.values(),
                )
                for e, request in zip(entries, requests, strict=True)
            ]
            times = [e.created_at for e in entries]
            if times != sorted(times):
                yield f"{account}: times go back"
        stored = {str(key): self._stored(account) for key, account in database.accounts.items()}
        held = follow_ups.amounts_held(database)
        there = Journal(dict(movements), statements, stored, held)
        scheduled = schedule_checks.operations(self.schedules)
        yield from find_anomalies([*self.operations, *scheduled], there)
        yield from schedule_checks.find_anomalies(self.schedules, self.event_readers)
        yield from follow_ups.find_anomalies(database)
        yield from events.find_anomalies(
            self.event_readers, list(database.movements), database.entries
        )
        yield from self._find_miscounted()
        for past in self.past_answers:
            if past.balance_minor != (balance := database.balance_at(past.account_id, past.end)):
                yield f"the past has changed: {past}, now {balance}"
        used = [
            (m.principal, m.source, m.reference) for m in database.movements.values() if m.reference
        ]
        if len(used) != len(set(used)):
            yield f"a reference was used twice: {sorted(used, key=str)}"
        quoted = [m.quote_id for m in database.movements.values() if m.quote_id]
        if len(quoted) != len(set(quoted)):
            yield f"a quote was used twice: {sorted(quoted, key=str)}"

    def _stored(self, account: Account) -> Stored:
        own, service = account.debit_limit_minor, self.limits.debit_minor.get(account.currency)
        return Stored(
            account.balance_minor,
            account.limit_minor,
            service if own is None else own,
            account.daily_limit_minor,
            account.status == Status.DEBITS_FROZEN,
        )

    def _find_miscounted(self) -> Iterator[str]:
        """Finds accounts whose counter is not what was debited on the day of their last entry."""
        for account in self.database.accounts.values():
            day = self.limits.calendar.day(account.changed_at)
            entries = self.database.entries[account.account_id]
            debited_minor = -sum(
                min(e.amount_minor, 0)
                for e in entries
                if day.start <= e.created_at < day.end and e.kind not in REVERSALS.values()
            )
            if account.spent_minor != debited_minor:
                counted = f"{account.spent_minor} counted"
                yield f"{account.account_id}: {debited_minor} debited, {counted}"


def _uuid(rng: random.Random) -> UUID:
    return UUID(int=rng.getrandbits(128), version=4)


@contextmanager
def simulated(seed: int) -> Iterator[asyncio.Runner]:
    """Runs what it encloses with time and chance that follow from a seed."""
    # The committer draws its pauses between attempts from the global generator.
    random.seed(seed)
    id_rng = random.Random(seed)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with (
            mock.patch.object(ids, "new_id", functools.partial(_uuid, id_rng)),
            asyncio.Runner(loop_factory=SimulatedLoop) as runner,
        ):
            yield runner
    finally:
        structlog.reset_defaults()


def run(seed: int) -> Sequence[str]:
    """Runs one seed; the anomalies that it led to."""
    simulation = Simulation(seed)
    with simulated(seed) as runner:
        runner.run(simulation.run())
    return list(simulation.find_anomalies())
