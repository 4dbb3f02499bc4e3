"""What is asked beside commits, between the parts of one on a cluster (`late_commits`)."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest_asyncio

from balance_service.database import pool as pools
from balance_service.database.pool import Pool, transaction
from balance_service.domain import ids
from balance_service.domain.commands import Settle
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.repositories import accounts
from balance_service.repositories.cluster_journal import is_posted
from balance_service.repositories.failures import Unsettled
from tests import postgres
from tests.integration.small_ledger import by, made
from tests.integration.test_cluster_races import by_late_worker, on_early_worker

ROUNDS = 8


@pytest_asyncio.fixture
async def late_pool(late_url: str) -> AsyncIterator[Pool]:
    async with pools.create(postgres.of_service(late_url), 8) as connections:
        yield connections


async def test_movement_is_known_once_its_account_is_free(late_pool: Pool) -> None:
    """Whoever decides that an occurrence of a schedule was missed asks so."""
    for _ in range(ROUNDS):
        (account,) = await on_early_worker(late_pool, "RUB")
        origin = await by_late_worker(late_pool)
        deposit = Settle(origin, Kind.DEPOSIT, account, Money(1, "RUB"))
        posting = asyncio.create_task(made(late_pool, deposit))
        while not await _is_changed(late_pool, account, origin.movement_id):
            await asyncio.sleep(0)
        await posting
    never = by().movement_id
    async with transaction(late_pool) as conn:
        assert not await is_posted(conn, never)
    # Asking leaves nothing behind.
    async with transaction(late_pool) as conn:
        assert not await is_posted(conn, never)


async def test_account_is_opened_once(late_pool: Pool) -> None:
    for _ in range(ROUNDS):
        owner = ids.new_id()
        found = await asyncio.gather(*(_open(late_pool, owner) for _ in range(3)))
        assert len(set(found) - {None}) == 1


async def _is_changed(pool: Pool, account_id: UUID, movement_id: UUID) -> bool:
    """Whether a locked account shows a deposit; then its movement is known."""
    async with transaction(pool) as conn:
        profile = await accounts.lock(conn, account_id)
        assert profile
        if not profile.account.sequence:
            return False
        assert await is_posted(conn, movement_id)
        return True


async def _open(pool: Pool, owner: UUID) -> UUID | None:
    """The account that an owner has, unless it cannot be seen yet."""
    try:
        async with transaction(pool) as conn:
            account_id, _ = await accounts.open_account(conn, owner, "RUB")
            (profile,) = await accounts.get(conn, [account_id])
    except Unsettled:
        return None
    return profile.account.account_id
