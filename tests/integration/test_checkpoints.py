"""Checkpoints: they cover every movement once, follow each other, and wait for nobody."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from balance_service.config import Settings
from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import merkle
from balance_service.domain.checkpoints import CHAIN_START
from balance_service.domain.commands import Settle
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.ledger import checkpoints as making
from balance_service.repositories import checkpoints, events, leaves, totals
from tests.checkpoints import ORIGIN, cover_all, maker
from tests.events import number_all
from tests.integration.small_ledger import by, history, made, opened
from tests.integration.test_commit_path import Verified


async def deposits(pool: Pool, number: int) -> None:
    """Makes deposits of one account, each with a commit and an event of its own."""
    (account,) = await opened(pool, "RUB")
    for _ in range(number):
        await made(pool, Settle(by(), Kind.DEPOSIT, account, Money(1, "RUB")))
    await number_all(pool)


async def all_parts(pool: Pool) -> list[checkpoints.Part]:
    async with pool.connection() as conn:
        return await checkpoints.part(conn, 1, 1_000)


async def test_every_movement_leads_to_its_checkpoint(
    pool: Pool, service_settings: Settings, verified: Verified
) -> None:
    await history(pool)
    await cover_all(pool, service_settings)
    (part,) = await all_parts(pool)
    async with pools.transaction(pool) as conn:
        cursor = await conn.execute("SELECT movement_id FROM movements")
        assert sorted(part.movement_ids) == sorted(row[0] for row in await cursor.fetchall())
        for place, movement_id in enumerate(part.movement_ids):
            proved = await leaves.find(conn, movement_id)
            assert proved is not None
            assert (proved.number, proved.place) == (1, place)
            path = merkle.path(proved.leaves, place)
            size, root = part.signed.checkpoint.size, part.signed.checkpoint.root
            assert merkle.climbed(proved.leaf(), place, size, path) == root
    await verified()


async def test_movement_that_is_not_covered_has_no_proof(pool: Pool) -> None:
    await history(pool)
    async with pools.transaction(pool) as conn:
        cursor = await conn.execute("SELECT movement_id FROM movements LIMIT 1")
        (row,) = await cursor.fetchall()
        assert await leaves.find(conn, row[0]) is None


async def test_checkpoints_follow_each_other(
    pool: Pool,
    service_settings: Settings,
    verified: Verified,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(making, "COVERED_AT_ONCE_MAX", 3)
    await deposits(pool, 7)
    await cover_all(pool, service_settings)
    parts = [part.signed.checkpoint for part in await all_parts(pool)]
    # The opening of the account has an event, too.
    assert [part.size for part in parts] == [2, 3, 2]
    assert [part.number for part in parts] == [1, 2, 3]
    assert {part.origin for part in parts} == {ORIGIN}
    before = [CHAIN_START, *(part.hash() for part in parts)]
    assert [part.previous_hash for part in parts] == before[:-1]
    await verified()


async def test_checkpoint_is_made_when_it_is_due(
    pool: Pool, service_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rarely = await maker(pool, service_settings, timedelta(hours=1))
    await deposits(pool, 2)
    assert not await rarely.cover_events()
    assert await all_parts(pool) == []
    monkeypatch.setattr(making, "COVERED_AT_ONCE_MAX", 3)
    assert not await rarely.cover_events()
    assert [part.signed.checkpoint.size for part in await all_parts(pool)] == [2]
    often = await maker(pool, service_settings)
    await often.cover_events()
    assert len(await all_parts(pool)) == 1


async def test_peak_rests_until_movements_have_waited_for_long(
    pool: Pool, service_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "COVERED_AT_ONCE_MAX", 2)
    rarely = await maker(pool, service_settings, timedelta(hours=1))
    await deposits(pool, 6)
    rest = timedelta(minutes=30)
    await rarely.cover_events()
    assert not await rarely.cover_events(rest)
    assert len(await all_parts(pool)) == 1
    monkeypatch.setattr(making, "PATIENCE", timedelta(0))
    await rarely.cover_events(rest)
    assert len(await all_parts(pool)) == 2


async def test_workers_cover_each_movement_once(
    pool: Pool,
    service_settings: Settings,
    verified: Verified,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(making, "COVERED_AT_ONCE_MAX", 2)
    await deposits(pool, 12)
    makers = [await maker(pool, service_settings) for _ in range(4)]

    async def work(one: making.Checkpoints) -> None:
        while sum(part.signed.checkpoint.size for part in await all_parts(pool)) < 12:
            await one.cover_events()

    async with asyncio.timeout(60):
        await asyncio.gather(*map(work, makers))
    await verified()


async def test_events_that_are_not_covered_are_kept(pool: Pool, service_settings: Settings) -> None:
    await deposits(pool, 3)
    async with pools.transaction(pool) as conn:
        assert await events.delete_old(conn, timedelta(0), 100) == 1
    async with pools.transaction(pool) as conn:
        await totals.roll_up(conn)
        assert await events.delete_old(conn, timedelta(0), 100) == 0
    await cover_all(pool, service_settings)
    async with pools.transaction(pool) as conn:
        assert await events.delete_old(conn, timedelta(0), 100) == 3


async def test_history_that_has_no_events_is_covered(
    pool: Pool,
    database_url: str,
    service_settings: Settings,
    verified: Verified,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a version wrote it that knew of no events; in parts, beside what has them."""
    # Some of it is dated ahead.
    monkeypatch.setattr(checkpoints, "_EVENTS_FOLLOW_WITHIN", timedelta(days=-3650))
    monkeypatch.setattr(checkpoints, "HISTORY_AT_ONCE_MAX", 7)
    await history(pool)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        await conn.execute("DELETE FROM outbox")
        await conn.execute("UPDATE totals_progress SET built = FALSE")
        newest = "(SELECT max(created_at) FROM movements)"
        await conn.execute(f"UPDATE events SET numbered_at = {newest} WHERE last_sequence = 0")
        await conn.execute(f"UPDATE uncovered_history SET until = {newest}, done = false")
        old = await (await conn.execute("SELECT count(*) FROM movements")).fetchall()
    await deposits(pool, 2)
    one = await cover_all(pool, service_settings)
    assert sum(part.signed.checkpoint.size for part in await all_parts(pool)) == 2
    await verified()
    while await one.cover_history():
        pass
    parts = await all_parts(pool)
    assert sum(part.signed.checkpoint.size for part in parts) == 2 + old[0][0]
    await _assert_sequences(pool)
    await verified()


async def _assert_sequences(pool: Pool) -> None:
    """Every entry is named by the checkpoint of its movement."""
    async with pool.connection() as conn:
        cursor = await conn.execute(
            "SELECT movement_id, account_id, sequence FROM entries EXCEPT"
            " SELECT m.movement_id, side.account_id, side.sequence FROM checkpoints AS c"
            " CROSS JOIN LATERAL unnest(c.movement_ids, c.from_sequences, c.to_sequences)"
            " AS covered (movement_id, from_sequence, to_sequence)"
            " JOIN movements AS m ON covered.movement_id = m.movement_id"
            " CROSS JOIN LATERAL (VALUES (m.from_account_id, covered.from_sequence),"
            " (m.to_account_id, covered.to_sequence)) AS side (account_id, sequence)"
        )
        assert await cursor.fetchall() == []
