"""The commit path on real Postgres: what a batch does, and what fails it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import errors as pg

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import errors, ids
from balance_service.domain.commands import Origin, Settle, Transfer
from balance_service.domain.limits import Limits
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Request
from balance_service.domain.state import Done, How, Outcome
from balance_service.ledger.commit import Committer
from balance_service.ledger.queue import Commit, CommitQueue
from balance_service.ledger.store import PostgresStore
from balance_service.ledger.turns import QueuedRequest
from balance_service.repositories import accounts
from balance_service.repositories.journal import Journal
from tests.commits import commit

Verified = Callable[[], Awaitable[object]]


async def open_accounts(pool: Pool, count: int) -> list[UUID]:
    async with pools.transaction(pool) as conn:
        return [(await accounts.open_account(conn, ids.new_id(), "RUB"))[0] for _ in range(count)]


def deposit(account: UUID, amount: int, request_id: UUID | None = None) -> Request:
    origin = Origin(principal="service:test", request_id=request_id)
    return Request((Settle(origin, Kind.DEPOSIT, account, Money(amount, "RUB")),))


def transfer(sender: UUID, receiver: UUID, amount: int, request_id: UUID | None = None) -> Request:
    origin = Origin(principal="service:test", request_id=request_id)
    return Request((Transfer(origin, sender, receiver, Money(amount, "RUB")),))


async def balance(pool: Pool, account: UUID) -> int:
    async with pool.connection() as conn:
        return (await accounts.get(conn, [account]))[0].account.balance_minor


def commit_queue(
    commits: Commit, *, commit_commands_max: int = 10, queue_commands_max: int = 1000
) -> CommitQueue:
    """A queue that has been started, with one commit at a time."""
    queue = CommitQueue(
        commits,
        commits_in_flight_max=1,
        commit_commands_max=commit_commands_max,
        queue_commands_max=queue_commands_max,
    )
    queue.start()
    return queue


def done(outcome: Outcome) -> Done:
    assert isinstance(outcome, Done), outcome
    return outcome


async def test_refused_command_does_not_fail_its_neighbours(pool: Pool, verified: Verified) -> None:
    poor, rich = await open_accounts(pool, 2)
    answers = await commit(
        pool, deposit(rich, 500), transfer(poor, rich, 10), transfer(rich, poor, 200)
    )
    assert isinstance(answers[1][0], errors.InsufficientFunds)
    assert (await balance(pool, rich), await balance(pool, poor)) == (300, 200)
    await verified()


async def test_same_request_in_one_batch_is_carried_out_once(
    pool: Pool, verified: Verified
) -> None:
    (account,) = await open_accounts(pool, 1)
    request = deposit(account, 100, ids.new_id())
    answers = await commit(pool, request, request, request)
    assert [done(a[0]).how for a in answers] == [How.POSTED, How.REPLAYED, How.REPLAYED]
    assert len({done(a[0]).movement.movement_id for a in answers}) == 1
    assert await balance(pool, account) == 100
    await verified()


async def test_same_request_in_concurrent_commits_is_carried_out_once(
    pool: Pool, verified: Verified
) -> None:
    (account,) = await open_accounts(pool, 1)
    request = deposit(account, 100, ids.new_id())
    answers = await asyncio.gather(*(commit(pool, request) for _ in range(6)))
    hows = [done(a[0][0]).how for a in answers]
    assert hows.count(How.POSTED) == 1
    assert await balance(pool, account) == 100
    await verified()


async def test_one_key_for_two_accounts_at_once_is_refused_for_the_second(
    pool: Pool, verified: Verified
) -> None:
    """No shared lock orders these two, so the journal's key decides."""
    first, second = await open_accounts(pool, 2)
    for _ in range(20):
        key = ids.new_id()
        answers = await asyncio.gather(
            commit(pool, deposit(first, 1, key)),
            commit(pool, deposit(second, 1, key)),
        )
        outcomes = [a[0][0] for a in answers]
        assert sum(isinstance(o, Done) for o in outcomes) == 1
        assert sum(isinstance(o, errors.IdempotencyKeyReused) for o in outcomes) == 1
    await verified()


async def test_commit_lost_on_the_way_back_is_found_and_not_repeated(
    pool: Pool, verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection dies after Postgres committed: the retry must find what is there."""
    (account,) = await open_accounts(pool, 1)
    real = pools.check_replicated
    lost: list[bool] = []

    def lose(conn: pools.Connection) -> None:
        real(conn)
        if not lost:
            lost.append(True)
            raise psycopg.OperationalError("connection lost")

    # What comes right after Postgres said that the commit is durable.
    monkeypatch.setattr(pools, "check_replicated", lose)
    answers = await commit(pool, deposit(account, 100), deposit(account, 11))
    assert lost
    assert [done(a[0]).how for a in answers] == [How.POSTED, How.POSTED]
    assert await balance(pool, account) == 111
    await verified()


async def test_commit_that_no_standby_confirmed_is_not_acknowledged(
    pool: Pool, verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres says so with a warning, and a COMMIT that succeeded; the next one is confirmed."""
    (account,) = await open_accounts(pool, 1)
    real = Journal.load
    attempts: list[bool] = []

    async def load(journal: Journal, *arguments: Any) -> object:
        attempts.append(True)
        if len(attempts) == 1:
            await journal._conn.execute("DO $$ BEGIN RAISE WARNING 'not replicated'; END $$")
        return await real(journal, *arguments)

    monkeypatch.setattr(Journal, "load", load)
    answers = await commit(pool, deposit(account, 100))
    assert (len(attempts), done(answers[0][0]).how) == (2, How.POSTED)
    assert await balance(pool, account) == 100
    with pytest.raises(pools.NotReplicated):
        async with pools.transaction(pool) as conn:
            await conn.execute("DO $$ BEGIN RAISE WARNING 'not replicated'; END $$")
    await verified()


async def test_warning_that_tells_nothing_of_a_commit_is_passed_over(pool: Pool) -> None:
    """Citus's own, from the coordinator or repeated from a worker."""
    warning = "could not start maintenance background worker"
    hint = "HINT:  Increasing max_worker_processes might help."
    for said in (warning, f"WARNING:  {warning}", f"{warning}\n{hint}"):
        async with pools.transaction(pool) as conn:
            await conn.execute(f"DO $$ BEGIN RAISE WARNING '{said}'; END $$".encode())


async def test_killed_connections_are_retried_without_loss(
    pool: Pool, database_url: str, verified: Verified
) -> None:
    left, right = await open_accounts(pool, 2)
    await commit(pool, deposit(left, 10_000))
    stop = asyncio.Event()

    async def kill() -> None:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
            while not stop.is_set():
                await conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name LIKE 'balance-service %' AND random() < 0.3 "
                    "AND datname = current_database()"
                )
                await asyncio.sleep(0.02)

    async def move(worker: int) -> int:
        moved = 0
        for _ in range(40):
            try:
                (outcome,) = (await commit(pool, transfer(left, right, 1)))[0]
            except errors.Unavailable:
                continue
            moved += isinstance(outcome, Done)
        return moved

    killing = asyncio.create_task(kill())
    acknowledged = sum(await asyncio.gather(*(move(n) for n in range(4))))
    stop.set()
    await killing
    await pool.check()
    # A request that was given up on may have been committed; an acknowledged one always is.
    assert acknowledged <= await balance(pool, right) <= 160
    assert await balance(pool, left) + await balance(pool, right) == 10_000
    await verified()


async def test_journal_cannot_be_changed_by_the_service(pool: Pool) -> None:
    (account,) = await open_accounts(pool, 1)
    await commit(pool, deposit(account, 100))
    for statement in (
        "UPDATE entries SET amount_minor = 1",
        "DELETE FROM entries",
        "TRUNCATE entries",
        "UPDATE movements SET amount_minor = 1",
        "DELETE FROM movements",
        "UPDATE system_entries SET amount_minor = 1",
        "DELETE FROM system_entries",
        "DELETE FROM accounts",
        "DROP TABLE entries",
    ):
        async with pool.connection() as conn:
            with pytest.raises(pg.InsufficientPrivilege):
                await conn.execute(statement.encode())


async def test_database_itself_refuses_a_balance_below_the_limit(pool: Pool) -> None:
    (account,) = await open_accounts(pool, 1)
    async with pool.connection() as conn:
        with pytest.raises(pg.CheckViolation) as refused:
            await conn.execute(
                "UPDATE accounts SET balance_minor = -1 WHERE account_id = %s", (account,)
            )
    assert refused.value.diag.constraint_name == "balance_within_limit"


async def test_queue_shares_commits_and_answers_each(pool: Pool, verified: Verified) -> None:
    (account,) = await open_accounts(pool, 1)
    sizes: list[int] = []
    committer = Committer(PostgresStore(pool), Limits())

    async def counted(waiting: Sequence[QueuedRequest]) -> None:
        sizes.append(len(waiting))
        await committer.commit(waiting)

    queue = commit_queue(counted, commit_commands_max=50)
    answers = await asyncio.gather(*(queue.submit(deposit(account, n + 1)) for n in range(300)))
    await queue.drain()
    amounts = [done(a[0]).movement.amount_minor for a in answers]
    assert amounts == list(range(1, 301))
    assert max(sizes) == 50
    assert await balance(pool, account) == sum(range(1, 301))
    await verified()


async def test_full_queue_refuses_at_once_and_drops_nothing() -> None:
    release = asyncio.Event()

    async def slow(_: Sequence[QueuedRequest]) -> None:
        await release.wait()

    queue = commit_queue(slow, commit_commands_max=1, queue_commands_max=3)
    account = ids.new_id()
    waiting = [asyncio.create_task(queue.submit(deposit(account, 1)))]
    await asyncio.sleep(0)
    waiting += [asyncio.create_task(queue.submit(deposit(account, 1))) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(errors.Overloaded):
        await queue.submit(deposit(account, 1))
    release.set()
    assert len(await asyncio.gather(*waiting)) == 4
    await queue.drain()
    with pytest.raises(errors.Unavailable):
        await queue.submit(deposit(account, 1))


async def test_request_past_its_deadline_is_dropped_before_it_is_planned() -> None:
    release = asyncio.Event()
    planned: list[QueuedRequest] = []

    async def slow(waiting: Sequence[QueuedRequest]) -> None:
        await release.wait()
        planned.extend(waiting)

    queue = commit_queue(slow, commit_commands_max=1)
    account = ids.new_id()
    patient = asyncio.create_task(queue.submit(deposit(account, 1)))
    await asyncio.sleep(0)
    hasty = asyncio.create_task(queue.submit(deposit(account, 2), timeout_seconds=0))
    await asyncio.sleep(0)
    release.set()
    await patient
    with pytest.raises(errors.DeadlinePassed):
        await hasty
    assert len(planned) == 1
    await queue.drain()


async def test_request_whose_caller_left_is_not_carried_out_by_a_retry(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, verified: Verified
) -> None:
    """Whoever asks again after the deadline must not be refused, and done all the same."""
    (account,) = await open_accounts(pool, 1)
    real, failed = Journal.load, asyncio.Event()

    async def fail_once(*arguments: Any, **named: Any) -> object:
        state = await real(*arguments, **named)
        if not failed.is_set():
            failed.set()
            raise psycopg.OperationalError("connection lost")
        return state

    monkeypatch.setattr(Journal, "load", fail_once)
    committer = Committer(PostgresStore(pool), Limits())
    queue = commit_queue(committer.commit)
    hasty = asyncio.create_task(queue.submit(deposit(account, 1)))
    patient = asyncio.create_task(queue.submit(deposit(account, 20)))
    await failed.wait()
    hasty.cancel()
    await patient
    await queue.drain()
    assert await balance(pool, account) == 20
    await verified()


async def test_sums_beyond_what_a_float_holds_stay_exact(pool: Pool, verified: Verified) -> None:
    (account,) = await open_accounts(pool, 1)
    await commit(pool, deposit(account, 2**63 - 2), deposit(account, 1))
    assert await balance(pool, account) == 2**63 - 1
    await verified()
