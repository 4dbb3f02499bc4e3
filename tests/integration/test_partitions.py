"""The journal in partitions: as right as a whole one."""

import asyncio
import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest

from balance_service.database import migrate, partitions
from balance_service.database.pool import Pool
from balance_service.domain import errors, ids, periods
from balance_service.domain.paging import Part
from balance_service.domain.periods import Period
from balance_service.domain.state import Done, How
from balance_service.repositories import entries, monitoring, verification
from balance_service.repositories.verification_steps import Fault
from tests.commits import commit
from tests.integration.test_commit_path import (
    Verified,
    balance,
    deposit,
    done,
    open_accounts,
)
from tests.partitions import BEGINS_WHOLE, PAST, ask, convert, dated, make, places, post

pytestmark = BEGINS_WHOLE


async def faults(pool: Pool) -> dict[str, list[Fault]]:
    async with pool.connection() as conn:
        report = await verification.verify(conn)
    return {check: found for check, found in report.faults.items() if found}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
async def test_requests_around_the_starts_of_periods_are_carried_out_once(
    pool: Pool, database_url: str, verified: Verified, seed: int
) -> None:
    """Whatever their ids say, whichever partitions are there, and whenever these are made."""
    chosen = random.Random(seed)
    own = await open_accounts(pool, 4)
    await convert(database_url, period=Period.QUARTER, cutover=PAST)
    starts = [
        datetime(PAST.year + year, month, 1, tzinfo=UTC)
        for year in range(4)
        for month in (1, 4, 7, 10)
    ]
    made: dict[UUID, Done] = {}
    total = 0
    for _ in range(4):
        moments = [
            chosen.choice(starts) + timedelta(milliseconds=chosen.randint(-2, 2)) for _ in range(12)
        ]
        fresh = [dated(moment) for moment in moments] + [uuid4()]
        mixed = fresh + chosen.sample(sorted(made), min(len(made), 10))
        chosen.shuffle(mixed)
        owners = {each: own[each.int % 4] for each in mixed}
        parts = [mixed[:5], mixed[5:], chosen.sample(mixed, 8)]
        answers = await asyncio.gather(
            *(commit(pool, *[deposit(owners[r], 1, r) for r in part]) for part in parts)
        )
        for part, outcomes in zip(parts, answers, strict=True):
            for request_id, outcome in zip(part, outcomes, strict=True):
                result = done(outcome[0])
                total += result.how is How.POSTED
                earlier = made.setdefault(request_id, result)
                assert earlier.movement == result.movement
        with psycopg.connect(database_url, autocommit=True) as conn:
            dates = [p.end for p in partitions.read(conn) if p.table == "movements" and p.end]
        end = periods.start_after(dates[-1], Period.QUARTER)
        assert await asyncio.to_thread(make, database_url, "movements", dates[-1], end)
    assert total == len(made) == sum([await balance(pool, account) for account in own])
    assert "movements_rest" in (await places(database_url)).values()
    await verified()


async def test_key_of_a_partition_decides_like_that_of_the_table(
    pool: Pool, database_url: str, verified: Verified
) -> None:
    """No shared lock orders these two, so the partition's key decides."""
    await convert(database_url, cutover=PAST)
    first, second = await open_accounts(pool, 2)
    for year in (PAST.year, PAST.year + 1, PAST.year + 14):
        for _ in range(5):
            key = dated(datetime(year, 3, 1, tzinfo=UTC))
            answers = await asyncio.gather(
                commit(pool, deposit(first, 1, key)), commit(pool, deposit(second, 1, key))
            )
            outcomes = [a[0][0] for a in answers]
            assert sum(isinstance(o, Done) for o in outcomes) == 1
            assert sum(isinstance(o, errors.IdempotencyKeyReused) for o in outcomes) == 1
    assert len(set((await places(database_url)).values())) == 3
    await verified()


async def test_statements_go_on_from_one_partition_to_the_next(
    pool: Pool, database_url: str, verified: Verified
) -> None:
    await convert(database_url, cutover=PAST)
    (account,) = await open_accounts(pool, 1)
    moments = []
    for _ in range(3):
        await post(pool, account, *[ids.new_id() for _ in range(4)])
        ((moment,),) = await ask(database_url, "SELECT clock_timestamp()")
        assert isinstance(moment, datetime)
        moments.append(moment)
    # What is there already was kept with the rest, and is moved to where it belongs.
    for table in ("entries", "system_entries"):
        for year in (PAST.year, PAST.year + 1):
            name = f"{table}_{year}_01"
            with psycopg.connect(database_url, autocommit=True) as conn:
                conn.execute(f"ALTER TABLE {table} DETACH PARTITION {name}".encode())
                conn.execute(
                    f"INSERT INTO {table} SELECT * FROM {name}; DROP TABLE {name}".encode()
                )
        bounds = [PAST, moments[0], periods.start_after(moments[0], Period.YEAR)]
        name = partitions.name_of(table, bounds[1])
        for start, end in itertools.pairwise(bounds):
            assert await asyncio.to_thread(make, database_url, table, start, end)
        assert set((await places(database_url, table)).values()) == {
            f"{table}_{PAST.year}_01",
            name,
        }
    async with pool.connection() as conn:
        wanted = Part(account, 3, 6)
        lines = (await entries.parts(conn, [wanted]))[wanted]
        assert [line.entry.sequence for line in lines] == [3, 4, 5, 6]
        for at, expected in zip(moments, (4, 8, 12), strict=True):
            assert await entries.balance_at(conn, account, at) == expected
    await post(pool, account, ids.new_id())
    await verified()


async def test_what_is_too_much_to_move_stays_and_is_told(
    pool: Pool, database_url: str, verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    (account,) = await open_accounts(pool, 1)
    await convert(database_url, cutover=PAST)
    beyond = datetime(2081, 5, 1, tzinfo=UTC)
    posted = await post(pool, account, *[dated(beyond) for _ in range(4)])
    monkeypatch.setattr(partitions, "MOVED_MAX", 3)
    year = datetime(2081, 1, 1, tzinfo=UTC), datetime(2082, 1, 1, tzinfo=UTC)
    assert not await asyncio.to_thread(make, database_url, "movements", *year)
    assert set((await places(database_url)).values()) == {"movements_rest"}
    monkeypatch.setattr(partitions, "MOVED_MAX", 4)
    assert await asyncio.to_thread(make, database_url, "movements", *year)
    assert set((await places(database_url)).values()) == {"movements_2081_01"}
    again = await post(
        pool, account, *[o.movement.request_id for o in posted if o.movement.request_id]
    )
    assert {outcome.how for outcome in again} == {How.REPLAYED}
    await verified()


async def test_migrate_up_makes_what_is_due_and_the_metric_tells_when_it_is_not(
    pool: Pool, database_url: str
) -> None:
    async def due() -> int:
        async with pool.connection() as conn:
            return (await monitoring.watch(conn)).partitions_due

    assert await due() == 0
    await convert(database_url)
    assert await due() == 0
    with psycopg.connect(database_url, autocommit=True) as conn:
        first, *others = [p for p in partitions.read(conn) if p.table == "entries" and p.end]
        for partition in others:
            conn.execute(f"DROP TABLE {partition.name}".encode())
        assert first.end is not None
        soon = first.end < datetime.now(UTC) + monitoring.DUE_BEFORE
        assert await due() == int(soon)
        conn.execute("DROP TABLE entries_before")
        assert await due() == 1
        conn.execute(
            "CREATE TABLE entries_before PARTITION OF entries FOR VALUES FROM (MINVALUE)"
            f" TO ('{first.end}')".encode()
        )
    migrate.up(database_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        names = [p.name for p in partitions.read(conn)]
    assert {partition.name for partition in others} <= set(names)
    assert await due() == 0


async def test_verify_finds_a_row_in_a_partition_that_is_not_its_own(
    pool: Pool, database_url: str
) -> None:
    (account,) = await open_accounts(pool, 1)
    await convert(database_url, cutover=PAST)
    await post(pool, account, ids.new_id())
    assert await faults(pool) == {}
    ((real,),) = await ask(database_url, "SELECT pg_get_functiondef('journal_place'::regproc)")
    own = partitions.name_of("movements", PAST)
    false: LiteralString = (
        "CREATE OR REPLACE FUNCTION journal_place(movement_id uuid) RETURNS uuid"
        " LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN '00000000-0000-0000-0000-000000000000'::uuid"
    )
    for statement in (false, f"INSERT INTO movements SELECT * FROM {own}", str(real)):
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute(statement.encode())
    found = (await faults(pool))["row_is_in_its_partition"]
    assert [str(fault.stored) for fault in found] == ["movements_before"]


async def test_verify_finds_a_number_that_two_partitions_have(
    pool: Pool, database_url: str
) -> None:
    (account,) = await open_accounts(pool, 1)
    await convert(database_url, cutover=PAST)
    await post(pool, account, *[ids.new_id() for _ in range(3)])
    with psycopg.connect(database_url, autocommit=True) as conn:
        # As many as the account says, up to the last number, with balances and times in order.
        later = (
            "UPDATE entries SET created_at = created_at + interval '400 days' WHERE sequence = 3"
        )
        conn.execute(later.encode())
        conn.execute("UPDATE entries SET sequence = 3 WHERE sequence = 2")
    found = await faults(pool)
    assert "sequence_without_gaps" not in found
    assert f"{account} #3" in [fault.subject for fault in found["balance_after_follows"]]


def test_periods_follow_each_other_without_gaps() -> None:
    for period, months in ((Period.YEAR, 12), (Period.HALF_YEAR, 6), (Period.QUARTER, 3)):
        start = datetime(2027, 1, 1, tzinfo=UTC)
        for number in range(1, 9):
            end = periods.start_after(start, period)
            assert (end.year - 2027) * 12 + end.month - 1 == months * number
            assert periods.start_after(end - timedelta(microseconds=1), period) == end
            assert periods.nearest(start, end) is period
            start = end
    moment = datetime(2027, 5, 1, 12, 30, 0, 123000, tzinfo=UTC)
    assert ids.time_of(ids.first_id(moment)) == moment
    assert ids.first_id(moment) <= ids.dated_id(moment)
    assert ids.dated_id(moment - timedelta(milliseconds=1)) < ids.first_id(moment)
