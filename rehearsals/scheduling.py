"""Schedules that come due while faults are injected, held to what became of each occurrence."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import grpc
import psycopg

from balance_client import AsyncClient, BalanceError, v1
from balance_client.policy import new_request_id
from balance_service.domain import ids, schedules
from rehearsals import stage
from rehearsals.operation import Operation

KIND = "scheduled"
# Of the service: rules may name every minute.
SETTINGS = {"schedule_interval_min_minutes": 1}
# So many come due at the same moment.
AT_ONCE = 3
SCHEDULES_MIN = 12
LEAD = timedelta(seconds=3)
# A rule that names every minute; seconds are those of the start.
_EVERY_MINUTE = ";".join(
    [
        "FREQ=DAILY",
        "BYHOUR=" + ",".join(map(str, range(24))),
        "BYMINUTE=" + ",".join(map(str, range(60))),
    ]
)
# Longer than leases that end one after the other, of workers that died.
DECIDED_SECONDS_MAX = 180
# Within it, what no lease holds back is decided.
QUICK_SECONDS = 5
CALLS_AT_ONCE = 8
PRICE_MINOR = 3_000
# By how much Postgres's clock and this process's may be set meanwhile.
CLOCKS_SECONDS = 1.0
PRINCIPAL = f"service:{stage.CALLER}"


@dataclass
class Due:
    """An occurrence that is to be carried out.

    Args:
        schedule: The schedule's id.
        occurs_at: When.
        accounts: Who pays, and of a transfer who is paid.
        amount_minor: How much.
        decided: What became of it, as the service tells; none until it is known.
    """

    schedule: str
    occurs_at: datetime
    accounts: tuple[str, ...]
    amount_minor: int
    decided: list[v1.Occurrence] = field(default_factory=list)

    @property
    def movement_id(self) -> str:
        """The only movement that it may make."""
        return str(schedules.movement_id(PRINCIPAL, UUID(self.schedule), self.occurs_at))


def sell(url: str) -> str:
    """Adds a service that may be bought again and again; its id."""
    with psycopg.connect(url) as conn:
        row = conn.execute(
            "INSERT INTO services"
            " (service_id, name, price_minor, currency, repeatable, created_at, updated_at)"
            " VALUES (gen_random_uuid(), 'Subscription', %s, 'RUB', TRUE, now(), now())"
            " RETURNING service_id",
            (PRICE_MINOR,),
        ).fetchone()
    assert row, "an insert returns its row"
    return str(row[0])


@dataclass
class Planner:
    """Makes schedules, waits until each occurrence is decided, and finds what is wrong with them.

    Args:
        client: Calls the service as the rehearsal's caller.
        accounts: Those that pay and are paid.
        sold: A service that some schedules buy, by its id.
        rng: Decides amounts, accounts and times.
    """

    client: AsyncClient
    accounts: list[str]
    sold: str
    rng: random.Random
    due: list[Due] = field(default_factory=list)
    _strays: list[str] = field(default_factory=list)

    async def make(self, seconds: float) -> None:
        """Makes schedules that come due within a time: about one a second, and one every minute.

        Raises:
            BalanceError: The service refused what it must not refuse.
        """
        count = max(SCHEDULES_MIN, round(seconds)) // AT_ONCE
        drawn = sorted([self.rng.uniform(0, seconds) for _ in range(count)] * AT_ONCE)
        begun = datetime.now(UTC)
        repeated = self._draw(), begun + LEAD, begun + LEAD + timedelta(seconds=seconds)
        room = asyncio.Semaphore(CALLS_AT_ONCE)
        moments = [begun + timedelta(seconds=offset) for offset in drawn]
        # The second of each moment buys, the others transfer.
        once = [
            (self._draw(buys=number % AT_ONCE == 1), moment, None)
            for number, moment in enumerate(moments)
        ]
        await asyncio.gather(*(self._make(room, *each) for each in (repeated, *once)))

    def _draw(self, *, buys: bool = False) -> tuple[tuple[str, ...], int]:
        """The accounts, of which a purchase has one, and the amount."""
        # A refusal for a limit of the day tells what was spent; an occurrence does not keep that.
        payers = [each for number, each in enumerate(self.accounts) if number % 4 != 2]
        payer = self.rng.choice(payers)
        if buys:
            return (payer,), PRICE_MINOR
        receiver = self.rng.choice([each for each in self.accounts if each != payer])
        return (payer, receiver), self.rng.randint(1, self.rng.choice([4_000, 40_000]))

    async def _make(
        self,
        room: asyncio.Semaphore,
        what: tuple[tuple[str, ...], int],
        start: datetime,
        end: datetime | None,
    ) -> None:
        accounts, minor = what
        schedule = self._schedule(accounts, minor)
        async with room:
            made = None
            while made is None:
                start = max(start, datetime.now(UTC) + LEAD)
                start = start.replace(microsecond=start.microsecond // 1000 * 1000)
                schedule.start_time.FromDatetime(start)
                if end:
                    start = start.replace(microsecond=0)
                    schedule.start_time.FromDatetime(start)
                    schedule.end_time.FromDatetime(max(end, start))
                    schedule.recurrence_rule, schedule.time_zone = _EVERY_MINUTE, "UTC"
                made = await self._create(schedule)
        moment = start
        while moment <= (max(end, start) if end else start):
            self.due.append(Due(made.id, moment, accounts, minor))
            moment += timedelta(minutes=1)

    def _schedule(self, accounts: tuple[str, ...], minor: int) -> v1.Schedule:
        match accounts:
            case (payer,):
                purchase = v1.CreatePurchaseRequest(account=payer, service=self.sold)
                return v1.Schedule(create_purchase=purchase)
            case _:
                payer, receiver = accounts
                transfer = v1.CreateTransferRequest(from_account=payer, to_account=receiver)
                transfer.amount = f"{minor / 100:.2f}"
                return v1.Schedule(create_transfer=transfer)

    async def _create(self, schedule: v1.Schedule) -> v1.Schedule | None:
        """The schedule; None if its start has passed meanwhile."""
        request = v1.CreateScheduleRequest(schedule=schedule, request_id=str(new_request_id()))
        try:
            return await stage.insist(self.client.schedules.CreateSchedule, request)
        except BalanceError as error:
            late = [each.field for each in error.violations] == ["schedule.start_time"]
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT and late:
                return None
            raise

    async def settle(self, *, quick: bool) -> None:
        """Returns once everything that was due is decided.

        Args:
            quick: Whether what the lease of a dead worker holds back is cancelled instead.
        """
        active = v1.ListSchedulesRequest(status=v1.SCHEDULE_STATUS_ACTIVE, page_size=1000)
        loop = asyncio.get_running_loop()
        end = loop.time() + (QUICK_SECONDS if quick else DECIDED_SECONDS_MAX)
        listing = self.client.schedules.ListSchedules
        while left := (await stage.insist(listing, active)).schedules:
            if loop.time() > end:
                break
            await asyncio.sleep(0.2)
        if quick:
            for schedule in left:
                cancelled = v1.CancelScheduleRequest(schedule=schedule.id)
                await stage.insist(self.client.schedules.CancelSchedule, cancelled)
        room = asyncio.Semaphore(CALLS_AT_ONCE)
        by_schedule: dict[str, list[Due]] = defaultdict(list)
        for each in self.due:
            by_schedule[each.schedule].append(each)
        await asyncio.gather(*(self._read(room, *item) for item in by_schedule.items()))

    async def _read(self, room: asyncio.Semaphore, schedule: str, due: list[Due]) -> None:
        request = v1.ListOccurrencesRequest(schedule=schedule, page_size=1000)
        async with room:
            page = await stage.insist(self.client.schedules.ListOccurrences, request)
        by_time = {each.occurs_at: each for each in due}
        for occurrence in page.occurrences:
            wanted = by_time.get(_moment(occurrence))
            if wanted:
                wanted.decided.append(occurrence)
            else:
                self._strays.append(
                    f"schedule {schedule}: an occurrence that is none: {occurrence}"
                )

    def operations(self) -> list[Operation]:
        """What became of the occurrences, as a client's history that the checker takes."""
        since = time.monotonic() - time.time()
        return [_operation(each, since) for each in self.due]

    def find_anomalies(self, events: Iterable[v1.Event], *, quick: bool) -> Iterator[str]:
        """What was decided otherwise than once, or told otherwise than it was decided.

        Args:
            events: All that is in the log.
            quick: Whether some may be undecided.
        """
        yield from self._strays
        told: dict[tuple[str, datetime], list[v1.Occurrence]] = defaultdict(list)
        for event in events:
            if event.HasField("schedule") and event.schedule.HasField("occurrence"):
                occurrence = event.schedule.occurrence
                told[event.schedule.schedule, _moment(occurrence)].append(occurrence)
        for each in self.due:
            name = f"occurrence of {each.schedule} at {each.occurs_at:%H:%M:%S.%f}"
            heard = told.pop((each.schedule, each.occurs_at), [])
            if not each.decided:
                if not quick:
                    yield f"{name} was due and is not decided"
                if len(heard) > 1:
                    yield f"{name} was told of {len(heard)} times"
                continue
            if len(each.decided) > 1:
                yield f"{name} was decided {len(each.decided)} times"
            yield from (f"{name} {fault}" for fault in _faults(each, heard))
        for schedule, moment in told:
            yield f"an event tells of an occurrence of {schedule} at {moment}, which has none then"


def _faults(due: Due, heard: list[v1.Occurrence]) -> Iterator[str]:
    decided = due.decided[0]
    if heard != [decided]:
        yield f"was decided: {_line(decided)}; told: {[_line(each) for each in heard]}"
    done = decided.outcome == v1.OCCURRENCE_OUTCOME_DONE
    if decided.movement != (due.movement_id if done else ""):
        yield f"has another movement than its own: {_line(decided)}"
    if done == bool(decided.reason):
        yield f"has a movement and a reason, or neither: {_line(decided)}"


def _line(occurrence: v1.Occurrence) -> str:
    return " ".join(str(occurrence).split())


def _moment(occurrence: v1.Occurrence) -> datetime:
    return occurrence.time.ToDatetime(UTC)


def _operation(due: Due, since: float) -> Operation:
    """An occurrence, as the checker takes operations.

    Args:
        due: The occurrence.
        since: What the clock of histories has when the wall's has 0.
    """
    occurs_at = due.occurs_at.timestamp() + since - CLOCKS_SECONDS
    request_id = str(ids.occurrence_id(UUID(due.schedule), due.occurs_at))
    told = Operation(KIND, due.accounts, request_id, occurs_at, amount_minor=due.amount_minor)
    if due.decided:
        decided = due.decided[0]
        told.returned = decided.decide_time.ToDatetime(UTC).timestamp() + since + CLOCKS_SECONDS
        done = decided.outcome == v1.OCCURRENCE_OUTCOME_DONE
        told.outcome = "ok" if done else "refused"
        told.answer, told.reason = due.movement_id if done else "", decided.reason
    return told
