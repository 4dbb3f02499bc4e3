"""Sub-accounts: commits that add to one account side by side, and what is read of it meanwhile."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

import psycopg
import pytest

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import errors, ids
from balance_service.domain import sub_accounts as domain
from balance_service.domain.accounts import AccountProfile, Status
from balance_service.domain.days import Calendar
from balance_service.domain.limits import Limits
from balance_service.domain.money import MINOR_MAX
from balance_service.domain.requests import Request
from balance_service.domain.state import Done, Outcome
from balance_service.ledger.commit import Committer
from balance_service.ledger.store import PostgresStore
from balance_service.ledger.turns import QueuedRequest
from balance_service.reading import past
from balance_service.repositories import (
    accounts,
    entries,
    monitoring,
    outbox,
    sub_accounts,
    verification,
)
from tests import postgres
from tests.integration.test_commit_path import deposit, done, open_accounts, transfer
from tests.integration.test_past import clock

Verified = Callable[[], Awaitable[object]]


class Worker:
    """Commits as one worker does: it remembers which accounts have sub-accounts."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._committer = Committer(PostgresStore(pool), Limits())

    async def commit(self, *requests: Request) -> list[Outcome]:
        loop = asyncio.get_running_loop()
        waiting = [QueuedRequest(request, loop.create_future()) for request in requests]
        await self._committer.commit(waiting)
        return [asked.outcomes[0] for asked in waiting]


async def split(pool: Pool, account_id: UUID, count: int) -> None:
    async with pools.transaction(pool) as conn:
        await sub_accounts.lock_account(conn, account_id, Calendar())
        await sub_accounts.set_count(conn, account_id, count)


async def number(pool: Pool, account_id: UUID) -> None:
    async with pools.transaction(pool) as conn:
        await sub_accounts.lock_account(conn, account_id, Calendar())


async def read(pool: Pool, account_id: UUID) -> AccountProfile:
    async with pool.connection() as conn:
        (found,) = await accounts.get(conn, [account_id])
    return found


async def shop(pool: Pool, count: int = 4, payers: int = 3) -> tuple[Worker, UUID, list[UUID]]:
    """A worker that knows of an account's sub-accounts, the account, and accounts with money."""
    worker = Worker(pool)
    account, *others = await open_accounts(pool, payers + 1)
    await worker.commit(*(deposit(each, 1_000) for each in others))
    await split(pool, account, count)
    # The first time, it takes the account itself, and learns.
    await worker.commit(transfer(others[0], account, 1))
    await number(pool, account)
    return worker, account, others


async def test_receipts_wait_and_are_seen_at_once(pool: Pool, verified: Verified) -> None:
    worker, account, (payer, *_) = await shop(pool)
    before = await read(pool, account)
    await worker.commit(transfer(payer, account, 10), transfer(payer, account, 20))
    found = await read(pool, account)
    assert (found.account, found.waiting, found.waiting_minor) == (before.account, 2, 30)
    assert (found.merged.balance_minor, found.merged.sequence) == (31, 3)
    assert await watched(pool) == 2
    await verified()
    await number(pool, account)
    assert await watched(pool) == 0
    after = await read(pool, account)
    assert (after.account.balance_minor, after.account.sequence, after.waiting) == (31, 3, 0)
    assert after.merged.etag == found.merged.etag
    await verified()


async def watched(pool: Pool) -> int:
    """How many receipts operators are told to wait, with an age if there are any."""
    async with pool.connection() as conn:
        found = await monitoring.watch(conn)
    assert (found.oldest_waiting_seconds > 0) == (found.waiting_receipts > 0)
    return found.waiting_receipts


async def test_what_waits_can_be_spent(pool: Pool, verified: Verified) -> None:
    worker, account, (payer, *_) = await shop(pool)
    await worker.commit(transfer(payer, account, 10))
    more, all_, none = await worker.commit(
        transfer(account, payer, 12), transfer(account, payer, 11), transfer(account, payer, 1)
    )
    assert isinstance(more, errors.InsufficientFunds)
    assert done(all_).movement.balance_after_minor == 0
    assert isinstance(none, errors.InsufficientFunds)
    await verified()


async def test_repeat_of_a_receipt_is_not_received_twice(pool: Pool, verified: Verified) -> None:
    worker, account, (payer, *_) = await shop(pool)
    request = transfer(payer, account, 10, ids.new_id())
    other = Worker(pool)
    answers = await asyncio.gather(*(each.commit(request) for each in (worker, other, worker)))
    await number(pool, account)
    answers.append(await other.commit(request))
    assert len({done(answer[0]).movement.movement_id for answer in answers}) == 1
    assert (await read(pool, account)).merged.balance_minor == 11
    await verified()


async def test_receiver_that_takes_nothing_refuses(pool: Pool, verified: Verified) -> None:
    worker, account, (payer, *_) = await shop(pool)
    await worker.commit(transfer(payer, account, 10))
    async with pools.transaction(pool) as conn:
        locked = await sub_accounts.lock_account(conn, account, Calendar())
        assert locked
        assert (locked.account.balance_minor, locked.waiting) == (11, 0)
        adding = asyncio.create_task(worker.commit(transfer(payer, account, 10)))
        done_, _ = await asyncio.wait([adding], timeout=0.2)
        assert not done_
        await accounts.set_rules(conn, locked.account._replace(status=Status.FROZEN))
    (refused,) = await adding
    assert isinstance(refused, errors.ReceiverUnavailable | errors.AccountFrozen)
    assert (await read(pool, account)).merged.balance_minor == 11
    await verified()


async def test_sum_of_all_sub_accounts_keeps_the_largest_balance(
    pool: Pool, verified: Verified
) -> None:
    worker, account, (payer, *_) = await shop(pool)
    await worker.commit(deposit(account, MINOR_MAX - 11))
    answers = [(await worker.commit(transfer(payer, account, 3)))[0] for _ in range(5)]
    assert [isinstance(answer, Done) for answer in answers] == [True, True, True, False, False]
    assert (await read(pool, account)).merged.balance_minor == MINOR_MAX - 1
    await verified()


async def test_full_sub_account_has_the_account_locked_whole(
    pool: Pool, verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "RECEIPTS_MAX", 2)
    worker, account, (payer, *_) = await shop(pool, count=1)
    await worker.commit(*(transfer(payer, account, 1) for _ in range(2)))
    assert (await read(pool, account)).waiting == 2
    await worker.commit(transfer(payer, account, 1))
    found = await read(pool, account)
    assert (found.account.balance_minor, found.waiting) == (4, 0)
    await worker.commit(transfer(payer, account, 1))
    assert (await read(pool, account)).waiting == 1
    await verified()


@pytest.mark.parametrize("fewer", [0, 1])
async def test_worker_that_remembers_too_many_learns(
    pool: Pool, verified: Verified, fewer: int
) -> None:
    worker, account, (payer, *_) = await shop(pool)
    await worker.commit(transfer(payer, account, 1))
    await split(pool, account, fewer)
    for _ in range(10):
        await worker.commit(transfer(payer, account, 1))
    found = await read(pool, account)
    assert (found.merged.balance_minor, found.account.sub_account_count) == (12, fewer)
    assert bool(found.waiting) == bool(fewer)
    await verified()


async def test_a_commit_takes_from_one_and_adds_to_another(pool: Pool, verified: Verified) -> None:
    worker, first, (payer, *_) = await shop(pool)
    second = payer
    await split(pool, second, 3)
    for _ in range(3):
        answers = await worker.commit(
            transfer(second, first, 5), transfer(first, second, 2), transfer(second, first, 1)
        )
        assert all(isinstance(answer, Done) for answer in answers)
    assert (await read(pool, first)).merged.balance_minor == 13
    await verified()


async def test_a_commit_adds_to_several(pool: Pool, verified: Verified) -> None:
    worker, first, (payer, second, third) = await shop(pool)
    for each in (second, third):
        await split(pool, each, 2)
        await worker.commit(transfer(payer, each, 1))
        await number(pool, each)
    all_three = [transfer(payer, each, 1) for each in (first, second, third, first)]
    await worker.commit(*all_three)
    assert [(await read(pool, each)).waiting for each in (first, second, third)] == [2, 1, 1]
    await verified()
    for each in (third, first):
        await number(pool, each)
        await verified()
    async with pools.transaction(pool) as conn:
        assert await outbox.number(conn) > 0
    await verified()
    assert await waiting_to_be_told(pool) == 1
    await number(pool, second)
    async with pools.transaction(pool) as conn:
        assert await outbox.number(conn) == 1
    await verified()


async def waiting_to_be_told(pool: Pool) -> int:
    async with pool.connection() as conn:
        row = await (await conn.execute("SELECT count(*) FROM outbox")).fetchone()
    assert row
    return int(row[0])


class Shop:
    """An account that many workers move money to and from at once, and what must come of it."""

    def __init__(self, workers: list[Worker], account: UUID, payers: list[UUID]) -> None:
        self.rng = random.Random(7)
        self.account = account
        self.balance = 1
        self._workers = workers
        self._payers = payers

    async def trade(self, worker: Worker) -> None:
        """Pays in, now and then by two workers at once, and out."""
        for _ in range(40):
            payer = self.rng.choice(self._payers)
            asked = [transfer(payer, self.account, 1, ids.new_id())]
            asked.append(transfer(payer, self.account, 2))
            if self.rng.random() < 0.2:
                asked.append(transfer(self.account, payer, self.rng.randint(1, 60)))
            if self.rng.random() < 0.3:
                await self.rng.choice(self._workers).commit(asked[0])
            paid_once, paid, *out = await worker.commit(*asked)
            self.balance += done(paid_once).movement.amount_minor + done(paid).movement.amount_minor
            self.balance -= sum(a.movement.amount_minor for a in out if isinstance(a, Done))

    async def number(self, pool: Pool) -> None:
        """Numbers receipts and events, as maintenance does."""
        await asyncio.sleep(self.rng.uniform(0, 0.05))
        async with pools.transaction(pool) as conn:
            if await sub_accounts.lock_if_free(conn, self.account):
                await sub_accounts.number(conn, self.account, Calendar())
        async with pools.transaction(pool) as conn:
            await outbox.number(conn)


async def balance_now(pool: Pool, account: UUID) -> tuple[datetime, int]:
    """What an account has at a moment that is over for it."""
    moment = await clock(pool)
    settled = await past.settled(pool, [account], moment, timeout_seconds=60)
    assert settled.now >= moment
    async with pool.connection() as conn:
        return moment, await entries.balance_at(conn, account, moment)


async def test_many_workers_move_money_at_once(database_url: str, verified: Verified) -> None:
    """Receipts, debits, repeats, numbering and reads meet; nothing is lost, twice or negative."""
    async with (
        pools.create(postgres.of_service(database_url), 4) as first,
        pools.create(postgres.of_service(database_url), 4) as second,
        pools.create(postgres.of_service(database_url), 2) as third,
    ):
        worker, account, payers = await shop(first, count=3, payers=4)
        workers = [worker, Worker(second), Worker(first)]
        at_once = Shop(workers, account, payers)
        seen: list[tuple[datetime, int]] = []
        trading = asyncio.ensure_future(asyncio.gather(*map(at_once.trade, workers)))

        async def repeat(act: Callable[[], Awaitable[None]]) -> None:
            while not trading.done():
                await act()

        async def look() -> None:
            assert (await read(third, account)).merged.balance_minor >= 0
            seen.append(await balance_now(third, account))

        await asyncio.gather(trading, repeat(lambda: at_once.number(third)), repeat(look))
        await verified()
        await number(first, account)
        await at_once.number(third)
        assert await waiting_to_be_told(first) == 0
        await verified()
        assert (await read(first, account)).account.balance_minor == at_once.balance
        assert seen
        async with first.connection() as conn:
            for moment, balance in seen:
                assert await entries.balance_at(conn, account, moment) == balance


FAULTS = {
    "a sub-account's money": "UPDATE sub_accounts SET received_minor = received_minor + 1",
    "a sub-account's receipts": "UPDATE sub_accounts SET receipts = receipts + 1",
    "a sub-account's place": "UPDATE sub_accounts SET place = place + 1 WHERE place = 4",
    "a sub-account": "DELETE FROM sub_accounts WHERE place = 4",
    "how many there are": "UPDATE accounts SET sub_account_count = sub_account_count + 1",
    "all that waits": "DELETE FROM waiting_receipts",
    "where it waits": "UPDATE waiting_receipts SET sub_account = sub_account + 1",
    "its account": "UPDATE waiting_receipts SET account_id = gen_random_uuid()",
    "its time": "UPDATE waiting_receipts SET created_at = created_at - interval '1 second'",
    "its place": "UPDATE waiting_receipts SET place = place + 1",
    "its transaction": "UPDATE waiting_receipts SET transaction_id = '1'",
    "its event": "UPDATE waiting_receipts SET ordinals = '{2}'",
    "its movement": "UPDATE waiting_receipts SET movement_ids = ARRAY[gen_random_uuid()]",
    "its amount": "UPDATE waiting_receipts SET amounts_minor = '{11}'",
    "its kind": "UPDATE waiting_receipts SET kinds = '{9}'",
    "its payer": "UPDATE waiting_receipts SET counterparty_ids = ARRAY[gen_random_uuid()]",
    "its value date": "UPDATE waiting_receipts SET effective_at = ARRAY[now()]",
    "that it waits": "UPDATE outbox SET waiting = 0 WHERE waiting > 0",
    "that it has no number": "UPDATE outbox SET to_sequences = '{7}' WHERE waiting > 0",
}


async def test_verify_finds_any_other_value(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, account, (payer, *_) = await shop(pool)
    await worker.commit(transfer(payer, account, 10))
    # It also sees what is not committed.
    monkeypatch.setitem(verification._SQL, "snapshot", "SELECT 1")
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        assert (await verification.verify(conn)).clean
        for fault, change in FAULTS.items():
            async with conn.transaction(force_rollback=True):
                await conn.execute(change.encode())
                assert not (await verification.verify(conn)).clean, fault
