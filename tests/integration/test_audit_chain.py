"""The chain of the audit log: sealed in an order that nothing can overtake, and proof of edits."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import LiteralString

import pytest
from psycopg import errors as pg
from psycopg import sql

from balance_service.database import pool as pools
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain.audit import Action, Actor, AuditEvent
from balance_service.domain.ids import new_id
from balance_service.repositories import audit, audit_seals
from tests.audit import seal_all

# Another value of each column, by its type.
OTHERS: dict[str, LiteralString] = {
    "uuid": "gen_random_uuid()",
    "text": "{0} || 'x'",
    "jsonb": '{0} || \'{{"limit": "1"}}\'',
    "timestamp with time zone": "{0} + interval '1 microsecond'",
    "bigint": "{0} + 100",
    "bytea": "sha256({0})",
}

UNRIPE = """
SELECT FROM audit_unsealed WHERE transaction_id >= pg_snapshot_xmin(pg_current_snapshot())
"""


def event(reason: str = "Why") -> AuditEvent:
    actor = Actor(f"user:{new_id()}", new_id(), "203.0.113.7", "call-1")
    before, after = {"role": "user"}, {"role": "admin"}
    return AuditEvent(Action.ROLE_CHANGED, actor, f"user:{new_id()}", before, after, reason)


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Pool]:
    """Connections of somebody whom no grant holds back."""
    async with pools.create(database_url, 2) as connections:
        yield connections


async def record(pool: Pool, *reasons: str) -> None:
    for reason in reasons:
        async with transaction(pool) as conn:
            await audit.record(conn, event(reason))


async def seal(pool: Pool) -> audit_seals.Head | None:
    async with transaction(pool) as conn:
        return await audit_seals.seal(conn)


async def sealed(pool: Pool) -> list[str]:
    """Seals all, and tells the reasons of the events in the chain's order."""
    await seal_all(pool)
    async with pool.connection() as conn:
        links = [link async for link in audit_seals.chain(conn)]
    assert [link.sequence for link in links] == list(range(1, len(links) + 1))
    return [link.event.reason for link in links if link.event]


async def faults(conn: Connection) -> dict[str, list[str]]:
    """What the log's checks find, by check: what it is about."""
    found = await audit_seals.find_faults(conn, 10)
    return {check: [subject for subject, _, _ in rows] for check, rows in found.items() if rows}


async def test_events_wait_for_transactions_that_began_before(pool: Pool) -> None:
    async with transaction(pool) as first:
        await audit.record(first, event("began first"))
        await record(pool, "was done first")
        assert await seal(pool) is None
    assert await sealed(pool) == ["began first", "was done first"]
    async with transaction(pool) as conn:
        assert await faults(conn) == {}


async def test_rolled_back_events_leave_no_gap(pool: Pool) -> None:
    with pytest.raises(asyncio.CancelledError):
        async with transaction(pool) as conn:
            await audit.record(conn, event())
            raise asyncio.CancelledError
    await record(pool, "kept")
    assert await sealed(pool) == ["kept"]


async def test_concurrent_sealers_make_one_chain_in_the_order_of_transactions(pool: Pool) -> None:
    acted, numbers = asyncio.Event(), dict[str, int]()

    async def act(name: str) -> None:
        async with transaction(pool) as conn:
            await audit.record(conn, event(name))
            cursor = await conn.execute("SELECT pg_current_xact_id()::text::bigint")
            row = await cursor.fetchone()
            assert row
            numbers[name] = row[0]
            await asyncio.sleep(random.random() / 50)

    async def keep_sealing() -> None:
        while not acted.is_set():
            await seal(pool)

    sealers = [asyncio.create_task(keep_sealing()) for _ in range(3)]
    for batch in range(10):
        await asyncio.gather(*(act(f"{batch} {n}") for n in range(5)))
    acted.set()
    await asyncio.gather(*sealers)
    assert await sealed(pool) == sorted(numbers, key=lambda name: numbers[name])
    async with transaction(pool) as conn:
        assert await faults(conn) == {}


async def columns(conn: Connection, table: str) -> dict[str, str]:
    cursor = await conn.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s",
        [table],
    )
    return dict(await cursor.fetchall())


async def faults_after(conn: Connection, statement: sql.Composed) -> dict[str, list[str]]:
    """What is found after a statement of a superuser's, which is then undone."""
    async with conn.transaction(force_rollback=True):
        assert (await conn.execute(statement)).rowcount == 1
        return await faults(conn)


async def test_any_edit_of_a_sealed_event_names_it(pool: Pool, owner: Pool) -> None:
    await record(pool, "first", "second", "third")
    await seal_all(pool)
    async with owner.connection() as conn:
        names = await columns(conn, "audit_events")
        assert len(names) == 12
        for name, kind in names.items():
            column = sql.Identifier(name)
            edit = sql.SQL("UPDATE audit_events SET {} = {} WHERE reason = 'second'").format(
                column, sql.SQL(OTHERS[kind]).format(column)
            )
            found = (await faults_after(conn, edit))["audit_chain_holds"]
            assert len(found) == 1, name
            assert found[0].endswith("number 2"), name
        erase = sql.SQL("DELETE FROM audit_events WHERE {}").format(sql.SQL("reason = 'first'"))
        assert (await faults_after(conn, erase))["audit_chain_holds"][0].endswith("number 1")
        assert await faults(conn) == {}


async def test_any_edit_of_a_seal_is_found(pool: Pool, owner: Pool) -> None:
    await record(pool, "first", "second", "third")
    await seal_all(pool)
    async with owner.connection() as conn:
        for name, kind in (await columns(conn, "audit_seals")).items():
            column = sql.Identifier(name)
            # Of the last, nothing follows that would not fit.
            for sequence in (2, 3):
                edit = sql.SQL("UPDATE audit_seals SET {} = {} WHERE sequence = {}").format(
                    column, sql.SQL(OTHERS[kind]).format(column), sequence
                )
                assert (await faults_after(conn, edit))["audit_chain_holds"], (name, sequence)
        erase = sql.SQL("DELETE FROM audit_seals WHERE {} = 2").format(sql.Identifier("sequence"))
        found = await faults_after(conn, erase)
        assert found["audit_chain_holds"][0].endswith("number 3")
        assert found["audit_events_are_sealed"]
        twice = sql.SQL(
            "INSERT INTO {} SELECT 4, event_id, hash FROM audit_seals WHERE sequence = 1"
        ).format(sql.Identifier("audit_seals"))
        assert (await faults_after(conn, twice))["audit_events_are_sealed"]


async def test_events_that_are_never_sealed_are_found(pool: Pool, owner: Pool) -> None:
    await record(pool, "waits")
    forget = sql.SQL("DELETE FROM {}").format(sql.Identifier("audit_unsealed"))
    erase = sql.SQL("DELETE FROM {}").format(sql.Identifier("audit_events"))
    age = sql.SQL("UPDATE {} SET created_at = created_at - interval '6 minutes'").format(
        sql.Identifier("audit_events")
    )
    async with owner.connection() as conn:
        assert await faults(conn) == {}
        # Transactions of other tests on the same server, begun before, hold an event back.
        async with asyncio.timeout(120):
            while (await (await conn.execute(UNRIPE)).fetchone()) is not None:
                await asyncio.sleep(0.05)
        for statement in (forget, erase, age):
            found = await faults_after(conn, statement)
            assert list(found) == ["audit_events_are_sealed"], statement


async def test_events_that_cannot_be_sealed_yet_are_not_late(pool: Pool, owner: Pool) -> None:
    async with transaction(pool) as earlier:
        await audit.record(earlier, event())
        await record(pool, "waits for it")
        async with owner.connection() as conn:
            await conn.execute("UPDATE audit_events SET created_at = created_at - interval '1 h'")
            assert await faults(conn) == {}


async def test_events_of_a_dump_are_sealed(pool: Pool, owner: Pool) -> None:
    """They have transactions that the database they are restored to is yet to come to."""
    await record(pool, "of another database")
    async with owner.connection() as conn:
        await conn.execute("UPDATE audit_unsealed SET transaction_id = '9999999999'")
    await record(pool, "of this one")
    assert set(await sealed(pool)) == {"of this one", "of another database"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET reason = ''",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "UPDATE audit_seals SET hash = ''",
        "DELETE FROM audit_seals",
        "UPDATE approvals SET request = ''",
        "DELETE FROM approvals",
    ],
)
async def test_service_cannot_change_what_is_recorded(pool: Pool, statement: LiteralString) -> None:
    async with pool.connection() as conn:
        with pytest.raises(pg.InsufficientPrivilege):
            await conn.execute(statement)
