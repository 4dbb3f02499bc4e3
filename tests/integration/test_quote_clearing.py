"""Quotes that nobody carried out are deleted some time after their end; the others stay."""

from datetime import timedelta

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain.commands import Exchange, Settle
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.repositories import quotes
from tests.integration.small_ledger import by, carry_out, opened_for_one, quoted
from tests.integration.test_commit_path import Verified
from tests.rates import expire_quotes

WEEK = timedelta(days=7)


async def clear(pool: Pool, limit: int = 1_000) -> int:
    async with pools.transaction(pool) as conn:
        return await quotes.clear_expired(conn, WEEK, limit)


async def test_only_what_was_not_carried_out_is_deleted_and_only_late(
    pool: Pool, database_url: str, verified: Verified
) -> None:
    rubles, dollars = await opened_for_one(pool, "RUB", "USD")
    await carry_out(pool, Settle(by(), Kind.DEPOSIT, rubles, Money(1_000, "RUB")))
    used, unused = [await quoted(pool, rubles, Money(100, "RUB"), "RUB", "USD") for _ in range(2)]
    await carry_out(pool, Exchange(by(), used, dollars))
    expire_quotes(database_url, timedelta(days=6))
    assert await clear(pool) == 0
    expire_quotes(database_url, timedelta(days=2))
    young = await quoted(pool, rubles, Money(100, "RUB"), "RUB", "USD")
    assert await clear(pool) == 2
    async with pool.connection() as conn:
        found = await quotes.get(conn, [unused.quote_id, used.quote_id, young.quote_id])
    assert set(found) == {used.quote_id, young.quote_id}
    # What stays is not looked at again.
    assert await clear(pool) == 0
    await verified()


async def test_no_more_are_cleared_at_once_than_asked_for(pool: Pool, database_url: str) -> None:
    (rubles,) = await opened_for_one(pool, "RUB")
    for _ in range(5):
        await quoted(pool, rubles, Money(100, "RUB"), "RUB", "USD")
    expire_quotes(database_url, timedelta(days=8))
    assert [await clear(pool, 2) for _ in range(4)] == [2, 2, 1, 0]
