"""External references while the version before migration 0004 runs beside this one."""

import asyncio
from uuid import UUID

import psycopg
import pytest
from psycopg import errors as pg

from balance_service.database.pool import Pool
from balance_service.domain import errors
from balance_service.domain.commands import Origin, Settle
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.requests import Request
from balance_service.domain.state import Done, Outcome
from balance_service.repositories.journal import Journal
from tests import commits
from tests.integration.test_commit_path import Verified, done, open_accounts

# What the version before did, by its own text.
OLD_LOOK = "SELECT movement_id FROM external_references WHERE source = %s AND reference = %s"
OLD_INSERT = "INSERT INTO external_references (source, reference, movement_id) VALUES (%s, %s, %s)"


def refer(
    account: UUID, principal: str, reference: str = "ch_1", source: str = "stripe"
) -> Request:
    origin = Origin(principal=principal)
    settle = Settle(origin, Kind.DEPOSIT, account, Money(1, "RUB"), source, reference)
    return Request((settle,))


async def commit(pool: Pool, *requests: Request) -> list[Outcome]:
    return [outcomes[0] for outcomes in await commits.commit(pool, *requests)]


async def seen_by_old(pool: Pool, source: str, reference: str) -> UUID | None:
    async with pool.connection() as conn:
        row = await (await conn.execute(OLD_LOOK, (source, reference))).fetchone()
    return row[0] if row else None


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Has commits claim references as the version before did, until it is undone."""

    async def claim(journal: Journal, claimed: list[Movement]) -> None:
        for movement in claimed:
            values = (movement.source, movement.reference, movement.movement_id)
            await journal._conn.execute(OLD_INSERT, values)

    monkeypatch.setattr(Journal, "_claim", claim)
    return monkeypatch


async def test_references_of_earlier_rows_stay_used_by_their_callers_alone(
    pool: Pool, old: pytest.MonkeyPatch, verified: Verified
) -> None:
    first, second = await open_accounts(pool, 2)
    earlier = done((await commit(pool, refer(first, "service:a")))[0])
    old.undo()
    again, other = await commit(pool, refer(second, "service:a"), refer(first, "service:b"))
    assert isinstance(again, errors.ReferenceReused)
    assert again.movement == str(earlier.movement.movement_id)
    assert isinstance(other, Done)
    (heard,) = await commit(pool, refer(second, "service:b"))
    assert isinstance(heard, errors.ReferenceReused)
    assert heard.movement == str(other.movement.movement_id)
    await verified()


async def test_version_before_finds_what_this_one_used(pool: Pool, verified: Verified) -> None:
    (account,) = await open_accounts(pool, 1)
    mine, theirs = await commit(pool, refer(account, "service:a"), refer(account, "service:b"))
    assert {type(mine), type(theirs)} == {Done}
    found = await seen_by_old(pool, "stripe", "ch_1")
    assert found in {done(mine).movement.movement_id, done(theirs).movement.movement_id}
    await verified()


@pytest.mark.parametrize("old_caller", ["service:a", "service:b"])
async def test_both_versions_at_once_on_different_accounts(
    pool: Pool,
    database_url: str,
    verified: Verified,
    monkeypatch: pytest.MonkeyPatch,
    old_caller: str,
) -> None:
    """The old one's row is there and not committed when the new one writes its own."""
    first, second = await open_accounts(pool, 2)
    written, go_on = asyncio.Event(), asyncio.Event()
    real = Journal._claim

    async def claim(journal: Journal, claimed: list[Movement]) -> None:
        if written.is_set():
            await real(journal, claimed)
            return
        movement = claimed[0]
        values = (movement.source, movement.reference, movement.movement_id)
        cursor = await journal._conn.execute(OLD_INSERT + " RETURNING 1", values)
        await cursor.fetchone()
        written.set()
        await go_on.wait()

    monkeypatch.setattr(Journal, "_claim", claim)
    earlier = asyncio.create_task(commit(pool, refer(first, old_caller)))
    await written.wait()
    later = asyncio.create_task(commit(pool, refer(second, "service:a")))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while (await (await conn.execute(waiting)).fetchone()) == (0,):
            await asyncio.sleep(0.01)
    go_on.set()
    assert isinstance((await earlier)[0], Done)
    outcome = (await later)[0]
    if old_caller == "service:a":
        assert isinstance(outcome, errors.ReferenceReused)
    else:
        assert isinstance(outcome, Done)
    await verified()


async def test_many_callers_at_once_each_use_it_once(pool: Pool, verified: Verified) -> None:
    opened = await open_accounts(pool, 6)
    for number in range(10):
        answers = await asyncio.gather(
            *(
                commit(pool, refer(account, f"service:{place % 3}", f"ch_{number}"))
                for place, account in enumerate(opened)
            )
        )
        outcomes = [answer[0] for answer in answers]
        assert sum(isinstance(outcome, Done) for outcome in outcomes) == 3
        assert sum(isinstance(outcome, errors.ReferenceReused) for outcome in outcomes) == 3
    await verified()


async def test_used_references_cannot_be_freed_by_the_service(pool: Pool) -> None:
    for statement in ("DELETE FROM caller_references", "UPDATE caller_references SET source = ''"):
        async with pool.connection() as conn:
            with pytest.raises(pg.InsufficientPrivilege):
                await conn.execute(statement.encode())
