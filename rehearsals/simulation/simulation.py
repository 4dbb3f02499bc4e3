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
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID

import structlog

from balance_service.domain import errors, ids
from balance_service.domain.accounts import Account, Status
from balance_service.domain.commands import (
    Capture,
    Command,
    Origin,
    Place,
    Release,
    Request,
    Reverse,
    Settle,
    Transfer,
)
from balance_service.domain.money import Money
from balance_service.domain.movements import REVERSALS, Kind, Movement
from balance_service.domain.state import Done, Outcome
from balance_service.ledger.commit import Committer
from balance_service.ledger.queue import CommitQueue
from balance_service.reading.past import is_over
from rehearsals.checker import Entry, Journal, find_anomalies
from rehearsals.history import Operation
from rehearsals.simulation import follow_ups
from rehearsals.simulation.loop import SimulatedLoop
from rehearsals.simulation.store import EPOCH, Database

ACCOUNTS = 5
CLIENTS = 6
REQUESTS = 5
WORKERS = 2
READERS = 2
QUESTIONS = 10
REFUSALS = (
    errors.InsufficientFunds,
    errors.ReferenceReused,
    errors.BatchRefused,
    errors.ReversalTooLarge,
    errors.CaptureTooLarge,
    errors.HoldClosed,
    errors.HoldExpired,
)


class WorkerKilled(Exception):  # noqa: N818 - it is what it says
    """The worker that a request was sent to is gone; nobody knows the outcome."""


@dataclass
class Worker:
    """A worker process: what it knows is lost when it is killed.

    Args:
        database: What it commits to.
        rng: Decides its limits, from the run's seed.
    """

    database: Database
    rng: random.Random
    queue: CommitQueue = field(init=False)
    calls: set[asyncio.Task[Sequence[Outcome]]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.queue = CommitQueue(
            Committer(self.database).commit,
            commits_in_flight_max=2,
            commit_commands_max=self.rng.choice([1, 3, 100]),
            queue_commands_max=self.rng.choice([5, 100]),
        )
        self.queue.start()

    def kill(self) -> None:
        """Kill -9, and a new process at once."""
        # In the order in which they began, for a set has none that replays.
        began = sorted([*self.calls, *self.queue._commits], key=_number)
        for task in began:
            task.cancel()
        self.start()

    async def call(self, request: Request, timeout_seconds: float) -> Sequence[Outcome]:
        """A request as its client sees it.

        Raises:
            WorkerKilled: The worker was killed meanwhile.
        """
        task = asyncio.create_task(self.queue.submit(request, timeout_seconds))
        self.calls.add(task)
        task.add_done_callback(self.calls.discard)
        await asyncio.wait({task})
        if task.cancelled():
            raise WorkerKilled
        return task.result()


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
                free=account_id not in database.locks.held,
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
        commands = [self._command() for _ in range(rng.choice([1, 1, 1, 3]))]
        linked = frozenset({0}) if rng.random() < 0.2 else frozenset[int]()
        request = Request(tuple(commands), rng.random() < 0.3, linked)
        operations = [
            Operation(
                type(c).__name__,
                tuple(map(str, c.account_ids)),
                _key(c.origin.request_id, c.origin.movement_id),
                loop.time(),
            )
            for c in commands
        ]
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
                    _note(operation, outcome, request, loop.time())
                return
            if not all(c.origin.request_id for c in commands):
                return
            await asyncio.sleep(rng.expovariate(1 / 0.1))

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
        origin = Origin(principal=f"service:{self.number % 2}", request_id=request_id)
        # What callers refer to, they have seen: it is committed.
        seen = self.simulation.database.movements.values()
        if seen and rng.random() < 0.5:
            return self._follow_up(origin, rng.choice(list(seen)))
        kind = rng.choice([Kind.DEPOSIT, Kind.WITHDRAWAL, Kind.TRANSFER, Kind.TRANSFER])
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
        transfer = Transfer(origin, sender, receiver, Money(seen.amount_minor, seen.currency))
        return Place(transfer, self.simulation.database.now() + timedelta(seconds=1))


def _note(operation: Operation, outcome: Outcome, request: Request, now: float) -> None:
    operation.returned = now
    if isinstance(outcome, Done):
        operation.outcome, operation.answer = "ok", str(outcome.movement.movement_id)
        return
    assert isinstance(outcome, REFUSALS), outcome
    operation.outcome = "refused"
    # A chain may be refused for a balance that only its own commands would leave.
    alone = not request.all_or_nothing and not request.linked
    if isinstance(outcome, errors.InsufficientFunds) and alone:
        operation.available_minor = int(outcome.available.replace(".", ""))


class Simulation:
    """One run.

    Args:
        seed: Decides everything.
    """

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.accounts = [_uuid(rng) for _ in range(ACCOUNTS)]
        opened = {
            account_id: Account(
                account_id,
                _uuid(rng),
                "RUB",
                0,
                0,
                rng.choice([0, 0, 100]),
                Status.ACTIVE,
                0,
                EPOCH,
            )
            for account_id in self.accounts
        }
        self.database = Database(rng, rng.choice([0, 0.02, 0.2]), opened)
        self.workers = [Worker(self.database, rng) for _ in range(WORKERS)]
        self.operations: list[Operation] = []
        self.sent: set[asyncio.Task[Sequence[Outcome]]] = set()
        self.past_answers: list[Past] = []

    async def run(self) -> None:
        """Runs until every client knows every outcome, and nothing is under way."""
        clients = [asyncio.create_task(Client(self, n).run()) for n in range(CLIENTS)]
        readers = [asyncio.create_task(Reader(self).run()) for _ in range(READERS)]
        chaos = asyncio.create_task(self._chaos())
        await asyncio.gather(*clients, *readers)
        chaos.cancel()
        await asyncio.gather(*self.sent, return_exceptions=True)
        for worker in self.workers:
            await worker.queue.drain()
        while self.database.lingering:
            await asyncio.wait(self.database.lingering)

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
            key = _key(movement.request_id, movement.movement_id)
            movements[key].append(str(movement.movement_id))
        statements = {}
        for account, entries in database.entries.items():
            requests = [
                _key(database.movements[e.movement_id].request_id, e.movement_id) for e in entries
            ]
            statements[str(account)] = [
                Entry(e.sequence, r, str(e.movement_id), e.amount_minor, e.balance_after_minor)
                for e, r in zip(entries, requests, strict=True)
            ]
            times = [e.created_at for e in entries]
            if times != sorted(times):
                yield f"{account}: times go back"
        balances = {
            str(key): (account.balance_minor, account.limit_minor)
            for key, account in database.accounts.items()
        }
        held = follow_ups.amounts_held(database)
        there = Journal(dict(movements), statements, balances, held)
        yield from find_anomalies(self.operations, there)
        yield from follow_ups.find_anomalies(database)
        for past in self.past_answers:
            if past.balance_minor != (balance := database.balance_at(past.account_id, past.end)):
                yield f"the past has changed: {past}, now {balance}"
        used = [
            (m.principal, m.source, m.reference) for m in database.movements.values() if m.reference
        ]
        if len(used) != len(set(used)):
            yield f"a reference was used twice: {sorted(used, key=str)}"


def _number(task: asyncio.Task[Any]) -> int:
    return int(task.get_name().removeprefix("Task-"))


def _uuid(rng: random.Random) -> UUID:
    return UUID(int=rng.getrandbits(128), version=4)


def _key(request_id: UUID | None, movement_id: UUID) -> str:
    """What names a request: its id, or its movement's where it has none and is sent once."""
    return str(request_id or movement_id)


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
