"""Standbys that lag: no answer is older than it says, none leaves out what it has to show, and none
about the past ever changes.

Usage: python -m rehearsals.standbys [--seconds 60] [--seed N]

A primary, a standby whose replay is held up again and again, and a service that reads from it.
Somebody deposits one rouble after the other on an account, and others read it, with what they
accept and with what they have seen. A balance, and the trial balance, tell how many deposits they
show, which is held to those that were acknowledged by the moment that the answer claims, by the
primary's clock. An answer about a moment, and a journal, is held to the deposits that are dated by
then, once all are known: commits are held up again and again, too, after they were dated, and so is
the numbering of events.
"""

import argparse
import asyncio
import logging
import random
import secrets
import tempfile
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import psycopg
import structlog
from prometheus_client import REGISTRY
from pydantic import SecretStr

from balance_client import freshness, v1
from balance_service.config import Settings
from balance_service.repositories import outbox
from tests import postgres
from tests.service import Person, rich_admin, start_within, stop_service
from tests.standbys import Pair, pair

READERS = 4
# Of claims, which are told to the millisecond.
_MILLISECOND = timedelta(milliseconds=1)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_READS = "balance_bounded_reads_total"
# Metadata, as gRPC has them.
Sent: TypeAlias = Any


class Past(NamedTuple):
    """An answer about the past.

    Args:
        moment: Up to when it is.
        shown: How many deposits it shows.
        by: Who was read from: `standby` or `primary`, or what does not tell it.
        as_of: Up to when a standby says that it is complete; None if none does.
    """

    moment: datetime
    shown: int
    by: str
    as_of: datetime | None = None


@dataclass
class Course:
    """What happened so far.

    Args:
        person: Who deposits, and reads; an admin.
        account: Where the money goes.
        acknowledged: When each deposit was known to be, by the primary's clock.
        movements: Their ids.
        dates: What they are dated.
        past: What was answered of moments.
        reads: How many were answered by whom.
        faults: What must not be.
    """

    person: Person
    account: str
    acknowledged: list[datetime] = field(default_factory=list)
    movements: list[str] = field(default_factory=list)
    dates: list[datetime] = field(default_factory=list)
    past: list[Past] = field(default_factory=list)
    reads: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def check(self, holds: bool, fault: str) -> None:  # noqa: FBT001 - the point of it
        if not holds:
            self.faults.append(fault)

    def check_past(self) -> None:
        """Checks every answer about a moment, once all deposits are acknowledged."""
        for moment, shown, by, _ in self.past:
            dated = bisect_right(self.dates, moment)
            self.check(shown == dated, f"{by} at {moment}: {shown} of {dated}")


async def run(
    servers: Pair, database_url: str, person: Person, account: str, seconds: float, seed: int
) -> Course:
    """Deposits and reads for a while, and checks every read.

    Args:
        servers: Whose standby is held up.
        database_url: The superuser's URL of the service's database.
        person: An admin, signed in to a service that reads from it.
        account: Theirs, with 1000 roubles; there are no others, and no deposit but these is made.
        seconds: How long.
        seed: Of what readers ask for, and when the standby is held up.
    """
    course = Course(person, account)
    stopped = asyncio.Event()
    rng = random.Random(seed)
    async with asyncio.TaskGroup() as group:
        group.create_task(_deposit(servers, course, stopped))
        group.create_task(_hold_up(servers, random.Random(rng.random()), stopped))
        for held_up in _HELD_UP.items():
            own = random.Random(rng.random())
            group.create_task(_hold_up_primary(database_url, *held_up, own, stopped))
        for _ in range(READERS):
            for read in (_read, _read_past):
                group.create_task(read(servers, course, random.Random(rng.random()), stopped))
        await asyncio.sleep(seconds)
        stopped.set()
    course.check_past()
    return course


async def _deposit(servers: Pair, course: Course, stopped: asyncio.Event) -> None:
    async with await _clock(servers) as clock:
        while not stopped.is_set():
            made = await course.person.deposit("1", course.account)
            course.acknowledged.append(await _now(clock))
            course.movements.append(made.id)
            course.dates.append(made.date.ToDatetime(UTC))


async def _hold_up(servers: Pair, rng: random.Random, stopped: asyncio.Event) -> None:
    conninfo = servers.standby.url
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as conn:
        while not stopped.is_set():
            await asyncio.sleep(rng.uniform(0, 0.8))
            await conn.execute("SELECT pg_wal_replay_pause()")
            # Longer than it takes until the primary is asked again.
            await asyncio.sleep(rng.uniform(0.7, 1.5))
            await conn.execute("SELECT pg_wal_replay_resume()")


# What keeps commits from writing what they have dated, and events from getting their numbers; for
# how many seconds: longer than the margin for clocks, often.
_HELD_UP = {
    "LOCK TABLE outbox IN SHARE MODE": (0.1, 1.5, 2.5),
    f"SELECT pg_advisory_xact_lock({outbox._LOCK})": (0.5, 4.0, 8.0),
}


async def _hold_up_primary(
    database_url: str,
    lock: str,
    seconds: Sequence[float],
    rng: random.Random,
    stopped: asyncio.Event,
) -> None:
    """Holds a lock again and again."""
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        while not stopped.is_set():
            await asyncio.sleep(rng.uniform(0, 1.5))
            await conn.execute(lock.encode())
            await asyncio.sleep(rng.choice(seconds))
            await conn.rollback()


async def _read_past(
    servers: Pair, course: Course, rng: random.Random, stopped: asyncio.Event
) -> None:
    async with await _clock(servers) as clock:
        while not stopped.is_set():
            age = timedelta(seconds=rng.choice([0.1, 1.0, 1.8, 2.5, 4.0, 8.0]))
            began = await _now(clock)
            staleness = rng.choice([1.0, 2.0, 4.0, 60.0])
            found = await rng.choice(_WAYS)(course, began - age, freshness.ask(staleness))
            course.reads[f"past by {found.by}"] += 1
            course.past.append(found)
            if found.as_of:
                _check_age(course, found.as_of, began, staleness)


def _past(moment: datetime, shown: int, trailers: Sent) -> Past:
    told = freshness.read(trailers)
    return Past(moment, shown, "standby" if told.standby else "primary", told.as_of)


async def _balance_then(course: Course, moment: datetime, metadata: Sent) -> Past:
    request = v1.GetAccountRequest(account=course.account)
    request.as_of.FromDatetime(moment)
    method = course.person.client.accounts.GetAccount
    answer, trailers = await method.with_trailers(request, metadata=metadata)
    return _past(moment, _deposits(answer.balance), trailers)


async def _entries_until(course: Course, moment: datetime, metadata: Sent) -> Past:
    request = v1.ListEntriesRequest(account=course.account, count_total=True, page_size=1)
    request.filter.end_time.FromDatetime(moment + _MICROSECOND)
    method = course.person.client.accounts.ListEntries
    answer, trailers = await method.with_trailers(request, metadata=metadata)
    return _past(moment, max(answer.total_size - 1, 0), trailers)


async def _statement_until(course: Course, moment: datetime, metadata: Sent) -> Past:
    request = v1.GetStatementRequest(account=course.account)
    request.start_time.FromSeconds(1)
    request.end_time.FromDatetime(moment + _MICROSECOND)
    method = course.person.client.statements.GetStatement
    answer, trailers = await method.with_trailers(request, metadata=metadata)
    return _past(moment, _deposits(answer.closing_balance), trailers)


async def _balances_lately(course: Course, _: datetime, metadata: Sent) -> Past:
    """Of a moment that whoever answers chooses."""
    method = course.person.client.reports.ListBalances
    answer, trailers = await method.with_trailers(v1.ListBalancesRequest(), metadata=metadata)
    moment = answer.as_of.ToDatetime(UTC)
    (balance,) = [each.balance for each in answer.balances] or ["0"]
    found = _past(moment, _deposits(balance), trailers)
    if found.as_of:
        course.check(found.as_of <= moment + _MICROSECOND, f"as of {found.as_of}, but {moment}")
    return found


async def _journal_until(course: Course, moment: datetime, metadata: Sent) -> Past:
    """Up to the minute's beginning. A file does not tell who made it."""
    minute = moment.replace(second=0, microsecond=0)
    request = v1.ExportJournalRequest()
    request.start_time.FromDatetime(minute - _DAY)
    request.end_time.FromDatetime(minute)
    method = course.person.client.ledgers.ExportJournal
    text = "".join([part.text async for part in method(request, metadata=metadata)])
    # The first is of the thousand roubles.
    return Past(minute - _MICROSECOND, max(text.count(" * (") - 1, 0), "file")


_WAYS = _balance_then, _entries_until, _statement_until, _balances_lately, _journal_until


def _deposits(balance: str) -> int:
    """How many deposits a balance shows; before the account had its first thousand, none."""
    return max(int(Decimal(balance)) - 1000, 0)


async def _balance_now(course: Course, metadata: Sent) -> tuple[int, Sent]:
    request = v1.GetAccountRequest(account=course.account)
    method = course.person.client.accounts.GetAccount
    answer, trailers = await method.with_trailers(request, metadata=metadata)
    return _deposits(answer.balance), trailers


async def _trial_balance_now(course: Course, metadata: Sent) -> tuple[int, Sent]:
    method = course.person.client.ledgers.GetTrialBalance
    answer, trailers = await method.with_trailers(v1.GetTrialBalanceRequest(), metadata=metadata)
    (roubles,) = answer.currencies
    course.check(answer.balanced, f"debits {roubles.debits}, credits {roubles.credits}")
    as_of, moment = freshness.read(trailers).as_of, answer.time.ToDatetime(UTC)
    course.check(not as_of or as_of <= moment, f"as of {as_of}, but {moment}")
    return _deposits(roubles.lines[1].credit_balance), trailers


async def _read(servers: Pair, course: Course, rng: random.Random, stopped: asyncio.Event) -> None:
    position, shown = "", 0
    async with await _clock(servers) as clock:
        while not stopped.is_set():
            staleness = rng.choice([0.5, 1.0, 2.0, 60.0])
            wanted = rng.choice(["", "movement", "position"])
            known, began = len(course.acknowledged), await _now(clock)
            newest = course.movements[known - 1] if known else ""
            seen = {"movement": newest, "position": position, "": ""}[wanted]
            metadata = freshness.ask(staleness, [seen] if seen else [])
            before, way = shown, rng.choice((_balance_now, _trial_balance_now))
            shown, trailers = await way(course, metadata)
            told = freshness.read(trailers)
            course.reads["standby" if told.standby else "primary"] += 1
            if wanted == "movement":
                course.check(shown >= known, f"own write: {shown} of {known}")
            if wanted == "position":
                course.check(shown >= before, f"back in time: {shown} after {before}")
            position = told.position
            if told.as_of is None:
                course.check(shown >= known, f"primary: {shown} of {known}")
                continue
            complete = bisect_left(course.acknowledged, told.as_of.astimezone(UTC))
            course.check(shown >= complete, f"as of {told.as_of}: {shown} of {complete}")
            _check_age(course, told.as_of, began, staleness)


def _check_age(course: Course, as_of: datetime, began: datetime, staleness: float) -> None:
    oldest = began - timedelta(seconds=staleness) - _MILLISECOND
    course.check(as_of >= oldest, f"as of {as_of}, accepted from {oldest} on")


async def _clock(servers: Pair) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(servers.primary.url, autocommit=True)


async def _now(conn: psycopg.AsyncConnection) -> datetime:
    row = await (await conn.execute("SELECT clock_timestamp()")).fetchone()
    assert row, "a query of one row"
    moment: datetime = row[0]
    return moment.astimezone(UTC)


async def main(options: argparse.Namespace, servers: Pair, folder: Path) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with postgres.database(servers.url, "rehearsal") as url:
        settings = Settings(
            database_url=SecretStr(postgres.of_service(url)),
            replica_url=SecretStr(servers.behind(url)),
            secret=SecretStr(secrets.token_urlsafe(32)),
            data_dir=str(folder),
            grpc_port=0,
            http_port=0,
            development=True,
            user_deposits=True,
            user_calls_per_second=0,
            network_calls_per_second=0,
        )
        service = await start_within(settings)
        try:
            person, account = await rich_admin(service)
            course = await run(servers, url, person, account, options.seconds, options.seed)
        finally:
            await stop_service(service)
    told = course.reads["standby"], course.reads["past by standby"]
    made = (REGISTRY.get_sample_value(_READS, {"server": "standby"}) or 0) - sum(told)
    print(f"seed {options.seed}: {len(course.movements)} deposits, reads {dict(course.reads)}")
    print(f"of the files, {made:.0f} are from the standby")
    for fault in course.faults:
        print(fault)
    return 1 if course.faults or not all((*told, made)) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    parsed = parser.parse_args()
    with pair() as running, tempfile.TemporaryDirectory() as data:
        raise SystemExit(asyncio.run(main(parsed, running, Path(data))))
