"""Two workers on a cluster, at the same accounts by the thousand, with nobody to hold a commit up.

Each commits through a queue and connections of its own, as the service does. How many rounds
`make test-long` runs is said by TEST_RACES.
"""

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from balance_service.config import Settings
from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import errors
from balance_service.domain.commands import Settle, Transfer
from balance_service.domain.limits import Limits
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Request
from balance_service.domain.state import Done, How, Outcome
from balance_service.ledger.commit import Committer
from balance_service.ledger.queue import CommitQueue
from balance_service.ledger.store import PostgresStore
from balance_service.reading.past import SKEW_MAX, settled, settled_everywhere
from balance_service.repositories import accounts, entries, outbox, reports
from balance_service.telemetry import metrics
from tests import postgres
from tests.integration.small_ledger import by, made, opened

SEED = 7
ROUNDS = [200, pytest.param(int(os.environ.get("TEST_RACES", "10000")), marks=pytest.mark.long)]
# Rounds at once, each between accounts of its own.
LANES = 32
# Accounts that pay each other while their sums are read, who pays, and who reads.
CIRCLE = 12
PAYERS = 8
READERS = 4
EACH = Money(1_000, "RUB")
# How much later, at most, the second worker is asked.
APART_SECONDS = 0.01
_SETTINGS = Settings.model_fields


@dataclass
class Worker:
    """What commits and reads in one process of the service."""

    pool: Pool
    queue: CommitQueue

    async def ask(self, request: Request, delay_seconds: float = 0) -> Outcome:
        await asyncio.sleep(delay_seconds)
        (outcome,) = await self.queue.submit(request)
        return outcome

    async def balances(self, account_ids: Sequence[UUID]) -> dict[UUID, int]:
        async with self.pool.connection() as conn:
            found = await accounts.get(conn, account_ids)
        return {each.account.account_id: each.account.balance_minor for each in found}


@asynccontextmanager
async def working(url: str) -> AsyncIterator[Worker]:
    async with pools.create(postgres.of_service(url), _default("pool_size")) as pool:
        queue = CommitQueue(
            Committer(PostgresStore(pool), Limits()).commit,
            commits_in_flight_max=_default("commits_in_flight"),
            commit_commands_max=_default("commit_commands_max"),
            queue_commands_max=_default("queue_commands_max"),
        )
        queue.start()
        try:
            yield Worker(pool, queue)
        finally:
            await queue.drain()


def _default(setting: str) -> Any:
    return _SETTINGS[setting].default


@pytest.fixture
def retries(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many commits were tried again."""
    counted: Counter[str] = Counter()

    def count() -> None:
        counted["commits tried again"] += 1

    monkeypatch.setattr(metrics, "commit_retried", count)
    return counted


def tell(tally: Counter[str]) -> None:
    for what, times in sorted(tally.items()):
        sys.stdout.write(f"{times:>8} {what}\n")


async def fill(pool: Pool, account_ids: Sequence[UUID]) -> None:
    await made(pool, *(Settle(by(), Kind.DEPOSIT, each, EACH) for each in account_ids))


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_request_at_two_workers_at_once_has_one_outcome(
    cluster_url: str, rounds: int, retries: Counter[str]
) -> None:
    """It takes all that the payer has, so that to carry it out twice is refused."""
    left, tally, rng = iter(range(rounds)), Counter[str](), random.Random(SEED)

    async def go_on(both: Sequence[Worker], pair: Sequence[UUID]) -> None:
        payer, receiver = pair
        for _ in left:
            sent = Request((Transfer(by(uuid4()), payer, receiver, EACH),))
            first, second = rng.sample(both, 2)
            apart_seconds = rng.choice([0, rng.uniform(0, APART_SECONDS)])
            outcomes = await asyncio.gather(first.ask(sent), second.ask(sent, apart_seconds))
            hows = sorted(o.how.name if isinstance(o, Done) else repr(o) for o in outcomes)
            tally[" and ".join(hows)] += 1
            assert hows == [How.POSTED.name, How.REPLAYED.name]
            told = [outcome.movement for outcome in outcomes if isinstance(outcome, Done)]
            assert told[0] == told[1]
            assert await second.balances(pair) == {payer: 0, receiver: EACH.minor}
            payer, receiver = receiver, payer

    async with working(cluster_url) as one, working(cluster_url) as other:
        pairs = [await opened(one.pool, "RUB", "RUB") for _ in range(LANES)]
        await fill(one.pool, [payer for payer, _ in pairs])
        await asyncio.gather(*(go_on((one, other), pair) for pair in pairs))
    tell(tally + retries)
    assert tally.total() == rounds


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_past_sums_beside_transfers_have_both_sides_of_each(
    cluster_url: str, rounds: int, retries: Counter[str]
) -> None:
    left, stop, tally = iter(range(rounds)), asyncio.Event(), Counter[str]()
    seen: set[tuple[UUID, int, int]] = set()
    async with (
        working(cluster_url) as one,
        working(cluster_url) as other,
        working(cluster_url) as reader,
    ):
        circle = sorted(await opened(one.pool, *["RUB"] * CIRCLE))
        await fill(one.pool, circle)
        since = await _clock(reader.pool)
        paying = [
            asyncio.create_task(_pay(worker, circle, random.Random(f"{SEED} {number}"), stop))
            for worker, number in zip(_in_turns(one, other), range(PAYERS), strict=False)
        ]
        numbering = asyncio.create_task(_number(other.pool))
        try:
            await asyncio.sleep((SKEW_MAX + timedelta(seconds=0.2)).total_seconds())
            reading = (_read(reader.pool, circle, since, left, tally, seen) for _ in range(READERS))
            await asyncio.gather(*reading)
        finally:
            stop.set()
            tally["transfers"] = sum(await asyncio.gather(*paying))
            numbering.cancel()
        async with reader.pool.connection() as conn:
            rows = await conn.execute(
                "SELECT account_id, sequence, balance_after_minor FROM entries"
                " WHERE account_id = ANY(%s)",
                (circle,),
            )
            assert seen <= set(await rows.fetchall())
    tell(tally + retries)
    assert tally["past sums"] == rounds


def _in_turns(*workers: Worker) -> Iterator[Worker]:
    while True:
        yield from workers


async def _pay(
    worker: Worker, circle: Sequence[UUID], rng: random.Random, stop: asyncio.Event
) -> int:
    """Transfers between the accounts; how many were made."""
    done = 0
    while not stop.is_set():
        payer, receiver = rng.sample(circle, 2)
        amount = Money(rng.randint(1, EACH.minor), "RUB")
        outcome = await worker.ask(Request((Transfer(by(), payer, receiver, amount),)))
        done += isinstance(outcome, Done)
    return done


async def _read(
    pool: Pool,
    circle: Sequence[UUID],
    since: datetime,
    left: Iterator[int],
    tally: Counter[str],
    seen: set[tuple[UUID, int, int]],
) -> None:
    """Sums of a moment just past, in both ways; and present ones, which promise less."""
    before = UUID(int=circle[0].int - 1)
    total = EACH.minor * len(circle)
    for number in left:
        moment = max(since, await _clock(pool) - SKEW_MAX)
        everywhere = bool(number % 2)
        await _settle(pool, circle, moment, tally, everywhere=everywhere)
        async with pool.connection() as conn:
            if everywhere:
                listed = await reports.balances(conn, moment, "RUB", before, 1000, len(circle))
                assert [each.account_id for each in listed] == list(circle)
                added_up = sum(each.balance_minor for each in listed)
            else:
                balances = [await entries.balance_at(conn, each, moment) for each in circle]
                added_up = sum(balances)
        assert added_up == total
        tally["past sums"] += 1
        async with pool.connection() as conn:
            present = [each.account for each in await accounts.get(conn, circle)]
        seen.update((each.account_id, each.sequence, each.balance_minor) for each in present)
        tally["present sums with one side"] += sum(e.balance_minor for e in present) != total


async def _settle(
    pool: Pool, circle: Sequence[UUID], moment: datetime, tally: Counter[str], *, everywhere: bool
) -> None:
    """Waits until a moment is over, again where accounts are never seen unlocked in time."""
    while True:
        try:
            if everywhere:
                await settled_everywhere(pool, moment, None)
            else:
                await settled(pool, circle, moment, None)
        except errors.Unavailable:
            tally["waited longer than a caller does"] += 1
        else:
            return


async def _number(pool: Pool) -> None:
    """Numbers events until it is cancelled, as maintenance does."""
    while True:
        async with pools.transaction(pool) as conn:
            await outbox.number(conn)
        await asyncio.sleep(0.1)


async def _clock(pool: Pool) -> datetime:
    async with pool.connection() as conn:
        return await reports.clock(conn)
