"""Reads that share queries: who joins which, what a failure or a leaving caller does to others."""

import asyncio
from collections.abc import Sequence

import pytest

from balance_service.database.pool import Connection, Pool
from balance_service.domain.paging import Part
from balance_service.reading import balances, statements
from balance_service.reading.gathering import Gathering
from tests.commits import commit
from tests.integration.test_commit_path import deposit, open_accounts


class Doubling:
    """Reads the double of each number through Postgres, and keeps what each query asked for."""

    def __init__(self) -> None:
        self.queries: list[list[int]] = []

    async def __call__(self, conn: Connection, numbers: Sequence[int]) -> dict[int, int]:
        self.queries.append(list(numbers))
        query = "SELECT n, 2 * n, 1 / (n + 1) FROM unnest(%s::int[]) AS n WHERE n <> 0"
        cursor = await conn.execute(query, (list(numbers),))
        return {number: double for number, double, _ in await cursor.fetchall()}


async def test_reads_of_one_moment_share_a_query(pool: Pool) -> None:
    read = Doubling()
    gathering = Gathering(pool, read, rows_max=10)
    answers = await asyncio.gather(*map(gathering.get, [1, 2, 0, 2]))
    assert answers == [2, 4, None, 4]
    assert read.queries == [[1, 2, 0]]


async def test_read_joins_no_query_that_was_sent_before_it(pool: Pool) -> None:
    read = Doubling()
    gathering = Gathering(pool, read, rows_max=10)
    first = asyncio.create_task(gathering.get(1))
    while not read.queries:
        await asyncio.sleep(0)
    answers = await asyncio.gather(gathering.get(1), gathering.get(3), first)
    assert list(answers) == [2, 6, 2]
    assert read.queries == [[1], [1, 3]]


async def test_query_is_bounded_by_its_rows_and_a_larger_key_goes_alone(pool: Pool) -> None:
    read = Doubling()
    gathering = Gathering(pool, read, rows_max=5, rows_of=lambda number: number)
    await asyncio.gather(*map(gathering.get, [2, 3, 9, 4]))
    assert read.queries == [[2, 3], [9], [4]]


async def test_failure_is_heard_by_all_who_wait_and_by_nobody_later(pool: Pool) -> None:
    gathering = Gathering(pool, Doubling(), rows_max=10)
    answers = await asyncio.gather(*map(gathering.get, [1, -1]), return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["DivisionByZero"] * 2
    assert await gathering.get(1) == 2


@pytest.mark.parametrize("leaving", [0, 1])
async def test_caller_who_goes_takes_no_answer_along(pool: Pool, leaving: int) -> None:
    gathering = Gathering(pool, Doubling(), rows_max=10)
    asked = [asyncio.create_task(gathering.get(5)) for _ in range(3)]
    await asyncio.sleep(0)
    asked[leaving].cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answers.pop(leaving), asyncio.CancelledError)
    assert answers == [10, 10]


async def test_parts_of_statements_are_told_apart(pool: Pool) -> None:
    first, second = await open_accounts(pool, 2)
    for amount in range(1, 6):
        await commit(pool, deposit(first, amount), deposit(second, 100 * amount))
    reads = statements.gather(pool)
    wanted = [Part(first, 2, 4), Part(second, 4, 5), Part(first, 4, 9), Part(second, 6, 7)]
    found = await asyncio.gather(*map(reads.get, wanted))
    assert [
        [(line.entry.account_id, line.entry.amount_minor) for line in lines or ()]
        for lines in found
    ] == [
        [(first, 2), (first, 3), (first, 4)],
        [(second, 400), (second, 500)],
        [(first, 4), (first, 5)],
        [],
    ]


async def test_account_is_read_with_all_that_was_committed_before(pool: Pool) -> None:
    (account,) = await open_accounts(pool, 1)
    reads = balances.gather(pool)
    for count in range(1, 4):
        await commit(pool, deposit(account, 10))
        profile = await reads.get(account)
        assert profile is not None
        assert (profile.account.sequence, profile.account.balance_minor) == (count, 10 * count)
