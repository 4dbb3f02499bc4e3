"""Schedules in the simulation: who carries them out, who stops them, and what must come of it.

Their workers run the service's own code (`servicers/schedule_runs`) over the simulated store, with
leases of seconds, so that those of dead workers end while the run goes on.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock
from uuid import UUID

import psycopg
from google.protobuf.message import Message

from balance_service._generated.balance.v1 import purchase_pb2, transfer_pb2
from balance_service.calls.call import Call
from balance_service.calls.methods import Method
from balance_service.domain import errors
from balance_service.domain.commands import Origin, Purchase, Transfer
from balance_service.domain.money import Money, parse_amount
from balance_service.domain.movements import Kind
from balance_service.domain.pricing import Rates
from balance_service.domain.requests import Request
from balance_service.domain.schedules import Retry, Schedule, ScheduleStatus, Timing
from balance_service.messages.schedule_requests import MovingRequest
from balance_service.servicers import schedule_runs
from rehearsals.simulation.schedule_store import ScheduleStore
from rehearsals.simulation.store import EPOCH, Database
from rehearsals.simulation.worker import Worker

SCHEDULES = 4
LEASE = timedelta(seconds=2)
RUN_SECONDS = 0.7
FINISH_SECONDS_MAX = 300
TIMES = SimpleNamespace(schedule_catch_up_hours=1, schedule_occurrences_days=1)
PRICE = Money(20, "RUB")
REPOSITORIES = ("repository", "accounts", "cluster_journal", "outbox", "principals")


class EverySecond(Timing):
    """Occurrences a second apart, up to an end; rules of the contract are minutes apart."""

    def after(self, moment: datetime) -> Iterator[datetime]:
        each, end = self.starts_at, self.ends_at or self.starts_at
        while each <= end:
            if each > moment:
                yield each
            each += timedelta(seconds=1)


@dataclass
class _Calls:
    """Answers the calls that occurrences stand for, by a worker's own queue.

    Args:
        repeatable: The service that may be bought again and again.
    """

    worker: Worker
    repeatable: UUID

    async def operate(self, method: Method, request: Message, call: Call) -> Message:  # noqa: ARG002 - as Calls'
        assert isinstance(request, MovingRequest)
        origin = Origin(
            principal=call.principal.name,
            request_id=UUID(request.request_id),
            metadata=dict(request.metadata),
        )
        asked = Request((self._command(origin, request),))
        (outcome,) = await self.worker.queue.submit(asked, call.timeout_seconds)
        if isinstance(outcome, errors.Refusal):
            raise outcome
        return transfer_pb2.Transfer(id=str(outcome.movement.movement_id))

    def _command(self, origin: Origin, request: MovingRequest) -> Transfer | Purchase:
        if isinstance(request, transfer_pb2.CreateTransferRequest):
            money = parse_amount(request.amount, request.currency, "amount")
            accounts = UUID(request.from_account), UUID(request.to_account)
            return Transfer(origin, *accounts, money)
        account_id, service_id = UUID(request.account), UUID(request.service)
        rates = Rates((), lambda moment: moment)
        repeatable = service_id == self.repeatable
        return Purchase(origin, account_id, service_id, PRICE, rates, repeatable)


@dataclass
class Schedules:
    """The schedules of a run.

    Args:
        database: Where they are, and money moves.
        accounts: Those that pay and are paid.
        principal: Who makes them.
    """

    database: Database
    accounts: list[UUID]
    principal: str
    store: ScheduleStore = field(init=False)
    services: list[UUID] = field(init=False)
    # What each moves: the accounts, and how much.
    moves: dict[UUID, tuple[tuple[UUID, ...], int]] = field(default_factory=dict)
    # Of each schedule that is stopped at times: from when until when it surely was.
    stopped: dict[UUID, list[tuple[float, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = ScheduleStore(self.database)
        self.services = [self._uuid(), self._uuid()]
        for number in range(SCHEDULES):
            made = self._draw()
            self.store.schedules[made.schedule_id] = made
            if number % 2:
                self.stopped[made.schedule_id] = []

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Has the service's own code find the simulated store, within what this encloses."""
        store = self.store
        fakes: dict[str, Any] = dict.fromkeys(REPOSITORIES, store)
        fakes |= {"transaction": ScheduleStore.connection}
        fakes |= {"LEASE": LEASE, "RUN_SECONDS": RUN_SECONDS}
        with mock.patch.multiple(schedule_runs, **fakes):
            yield

    async def keep_running(self, worker: Worker) -> None:
        """What a worker does, until it is killed."""
        calls: Any = _Calls(worker, self.services[0])
        pool: Any = self.store
        runs = schedule_runs.ScheduleRuns(pool, calls, TIMES)
        while True:
            await asyncio.sleep(self.database.rng.expovariate(1 / 0.1))
            with contextlib.suppress(psycopg.Error):
                await runs.run_due()

    async def stop_some(self) -> None:
        """Pauses and resumes schedules, and cancels some in the end."""
        await asyncio.gather(*(self._stop(schedule_id) for schedule_id in self.stopped))

    async def finish(self) -> None:
        """Returns once all is decided; nothing fails any more."""
        self.database.trouble = 0
        end = asyncio.get_running_loop().time() + FINISH_SECONDS_MAX
        while any(each.run_at for each in self.store.schedules.values()):
            if asyncio.get_running_loop().time() > end:
                return
            await asyncio.sleep(0.5)

    def _draw(self) -> Schedule:
        rng = self.database.rng
        payer, receiver = rng.sample(self.accounts, 2)
        kind: Kind = rng.choice([Kind.TRANSFER, Kind.PURCHASE])
        money = PRICE if kind is Kind.PURCHASE else Money(rng.randint(1, 60), "RUB")
        request: Message = purchase_pb2.CreatePurchaseRequest(
            account=str(payer), service=str(rng.choice(self.services))
        )
        if kind is Kind.TRANSFER:
            request = transfer_pb2.CreateTransferRequest(
                from_account=str(payer), to_account=str(receiver), amount=str(money), currency="RUB"
            )
        start = EPOCH + timedelta(milliseconds=rng.randint(1, 1500))
        timing = EverySecond(start, ends_at=start + timedelta(seconds=rng.choice([0, 2, 4])))
        lasting = timedelta(seconds=rng.choice([0.5, 2]))
        schedule_id = self._uuid()
        touched = (payer, receiver) if kind is Kind.TRANSFER else (payer,)
        self.moves[schedule_id] = touched, money.minor
        return Schedule(
            schedule_id=schedule_id,
            principal=self.principal,
            account_id=payer,
            kind=kind,
            request=request.SerializeToString(),
            description="",
            timing=timing,
            retry=rng.choice([None, Retry(timedelta(seconds=0.3), lasting)]),
            status=ScheduleStatus.ACTIVE,
            version=1,
            created_at=EPOCH,
            updated_at=EPOCH,
            next_at=start,
            run_at=start,
            leased_until=None,
            attempts=0,
        )

    async def _stop(self, schedule_id: UUID) -> None:
        rng, loop = self.database.rng, asyncio.get_running_loop()
        await asyncio.sleep(rng.uniform(0, 3))
        await self._change(schedule_id, ScheduleStatus.PAUSED)
        since = loop.time()
        await asyncio.sleep(rng.expovariate(1 / 2))
        if rng.random() < 0.3:
            await self._change(schedule_id, ScheduleStatus.CANCELLED)
            self.stopped[schedule_id].append((since, float("inf")))
            return
        self.stopped[schedule_id].append((since, loop.time()))
        await self._change(schedule_id, ScheduleStatus.ACTIVE)

    async def _change(self, schedule_id: UUID, status: ScheduleStatus) -> None:
        """Has a schedule do something else, again until that is known."""
        changed = False
        while not changed:
            with contextlib.suppress(psycopg.Error):
                async with self.database.transaction() as conn:
                    held = await self.store.lock(conn, schedule_id)
                    assert held, "schedules are never deleted"
                    now = await self.store.read_clock(conn)
                    if held.is_live and held.status is not status:
                        await self.store.update(conn, _stepped(held, status, now))
                changed = True

    def _uuid(self) -> UUID:
        return UUID(int=self.database.rng.getrandbits(128), version=4)


def _stepped(held: Schedule, status: ScheduleStatus, now: datetime) -> Schedule:
    match status:
        case ScheduleStatus.PAUSED:
            return held.paused(now)
        case ScheduleStatus.CANCELLED:
            return held.cancelled(now)
        case _:
            return held.resumed(now)
