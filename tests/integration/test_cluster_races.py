"""Who comes between the parts of a commit on a cluster: every race has one outcome for all.

What a commit wrote on one worker comes to light later (`late_commits`). Accounts lie on another, so
that whoever waits for an account's lock has it before its movements can be seen.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from balance_service.config import Settings
from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain.commands import Exchange, Origin, Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Capture, Place, Release, Reverse
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Done, How, Outcome
from balance_service.repositories import verification
from balance_service.repositories.cluster_journal import ClusterJournal
from balance_service.repositories.journal import movements
from tests import cluster, late_commits, postgres
from tests.checkpoints import cover_all
from tests.commits import commit
from tests.integration.small_ledger import (
    RATES,
    by,
    for_sale,
    made,
    opened,
    opened_for_one,
    quoted,
)

_IS_LATE = """
SELECT groupid = (SELECT max(groupid) FROM pg_dist_node WHERE shouldhaveshards)
FROM pg_dist_placement
WHERE shardid = get_shard_id_for_distribution_column(%s::regclass, %s::uuid)
"""
ROUNDS = 16
# Of each race, by `make test-long`; `test_cluster_at_once.py` has thousands without a delay.
ROUNDS_LONG = 400
# At once, each on accounts of its own.
LANES = 8

Race = Callable[[Pool], Awaitable[None]]


def rub(amount: int) -> Money:
    return Money(amount, "RUB")


@pytest_asyncio.fixture
async def unprotected_pool() -> AsyncIterator[Pool]:
    """Of a database whose books may become wrong."""
    cluster.skip_without()
    with cluster.database(f"test_{secrets.token_hex(8)}", late=True) as url:
        async with pools.create(postgres.of_service(url), 3 * LANES) as connections:
            yield connections


@pytest_asyncio.fixture
async def late_pool(late_url: str) -> AsyncIterator[Pool]:
    async with pools.create(postgres.of_service(late_url), 3 * LANES) as connections:
        yield connections


async def is_late(pool: Pool, table: str, value: UUID) -> bool:
    """Whether a row lies on the worker whose commits come to light last."""
    async with pool.connection() as conn:
        found = await (await conn.execute(_IS_LATE, (table, value))).fetchone()
    assert found
    return bool(found[0])


async def on_early_worker(pool: Pool, *currencies: str, owned: bool = False) -> list[UUID]:
    """Opens accounts, of one owner or not, whose locks are free before movements can be seen."""
    while True:
        found = await (opened_for_one if owned else opened)(pool, *currencies)
        if not any([await is_late(pool, "accounts", account) for account in found]):
            return found


async def by_late_worker(pool: Pool) -> Origin:
    """Who asks for a movement that can be seen only after its accounts are free."""
    while True:
        origin = by(uuid4())
        if await is_late(pool, "movements", origin.movement_id):
            return origin


async def at_once(pool: Pool, *commands: Command) -> list[Outcome]:
    """The outcomes of commands, each in a commit of its own."""
    answers = await asyncio.gather(*(commit(pool, Request((each,))) for each in commands))
    return [answer[0][0] for answer in answers]


def hows(outcomes: list[Outcome]) -> list[str]:
    """What became of each, in an order of its own."""
    return sorted(o.how.name if isinstance(o, Done) else type(o).__name__ for o in outcomes)


def ids_of(outcomes: list[Outcome]) -> set[object]:
    return {outcome.movement.movement_id for outcome in outcomes if isinstance(outcome, Done)}


async def same_request_twice(pool: Pool) -> None:
    """The first takes all there is, so that the second would be refused for want of money."""
    anna, boris = await on_early_worker(pool, "RUB", "RUB")
    await made(pool, Settle(by(), Kind.DEPOSIT, anna, rub(100)))
    sent = Transfer(await by_late_worker(pool), anna, boris, rub(100))
    outcomes = await at_once(pool, sent, sent, sent)
    assert hows(outcomes) == ["POSTED", "REPLAYED", "REPLAYED"]
    assert len(ids_of(outcomes)) == 1


async def same_id_for_other_contents(pool: Pool) -> None:
    anna, boris = await on_early_worker(pool, "RUB", "RUB")
    await made(pool, Settle(by(), Kind.DEPOSIT, anna, rub(100)))
    origin = await by_late_worker(pool)
    outcomes = await at_once(
        pool, *(Transfer(origin, anna, boris, rub(amount)) for amount in (100, 99))
    )
    assert hows(outcomes) == ["IdempotencyKeyReused", "POSTED"]


async def same_id_for_another_account(pool: Pool) -> None:
    anna, boris = await on_early_worker(pool, "RUB", "RUB")
    origin = await by_late_worker(pool)
    outcomes = await at_once(
        pool, *(Settle(origin, Kind.DEPOSIT, account, rub(1)) for account in (anna, boris))
    )
    assert hows(outcomes) == ["IdempotencyKeyReused", "POSTED"]


async def two_refunds(pool: Pool) -> None:
    anna, boris = await on_early_worker(pool, "RUB", "RUB")
    await made(pool, Settle(by(), Kind.DEPOSIT, boris, rub(500)))
    (deposit,) = await made(pool, Settle(await by_late_worker(pool), Kind.DEPOSIT, anna, rub(500)))
    (original,) = await made(pool, Transfer(await by_late_worker(pool), anna, boris, rub(100)))
    for movement in (original, deposit):
        part = Money(movement.amount_minor * 2 // 3, "RUB")
        outcomes = await at_once(
            pool, *[Reverse(await by_late_worker(pool), movement, part) for _ in "ab"]
        )
        assert hows(outcomes) == ["POSTED", "ReversalTooLarge"]


async def two_captures(pool: Pool) -> None:
    anna, boris = await on_early_worker(pool, "RUB", "RUB")
    await made(pool, Settle(by(), Kind.DEPOSIT, anna, rub(100)))
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    (hold,) = await made(
        pool, Place(Transfer(await by_late_worker(pool), anna, boris, rub(100)), tomorrow)
    )
    first = Capture(await by_late_worker(pool), hold, rub(60), keep_rest=True)
    outcomes = await at_once(pool, first, first, Capture(await by_late_worker(pool), hold, rub(60)))
    assert len({o.movement.movement_id for o in outcomes if isinstance(o, Done)}) == 1
    outcomes = await at_once(
        pool, Release(await by_late_worker(pool), hold), Release(await by_late_worker(pool), hold)
    )
    assert "POSTED" not in hows(outcomes) or hows(outcomes) == ["HoldClosed", "POSTED"]


async def service_bought_once(pool: Pool) -> None:
    (anna,) = await on_early_worker(pool, "RUB")
    (service,) = await for_sale(pool, rub(50))
    await made(pool, Settle(by(), Kind.DEPOSIT, anna, rub(100)))
    sent = [Purchase(await by_late_worker(pool), anna, service, rub(50), RATES) for _ in "ab"]
    outcomes = await at_once(pool, *sent, sent[0])
    assert len(ids_of(outcomes)) == 1
    assert hows(outcomes).count("POSTED") == 1
    # Refunded and bought again at once: bought again only after the refund.
    (bought,) = [o.movement for o in outcomes if isinstance(o, Done) and o.how is How.POSTED]
    again = Purchase(await by_late_worker(pool), anna, service, rub(50), RATES)
    refunds = [Reverse(await by_late_worker(pool), bought) for _ in "ab"]
    outcomes = await at_once(pool, *refunds, again)
    assert hows(outcomes[:2]) == ["POSTED", "ReversalTooLarge"]
    assert hows(outcomes[2:])[0] in {"POSTED", "ALREADY_PURCHASED"}
    assert hows(await at_once(pool, again)) in (["POSTED"], ["REPLAYED"])


async def reference_used_once(pool: Pool) -> None:
    anna, boris = await on_early_worker(pool, "RUB", "RUB")
    reference = f"ch_{uuid4()}"
    outcomes = await at_once(
        pool,
        *[
            Settle(await by_late_worker(pool), Kind.DEPOSIT, account, rub(1), "stripe", reference)
            for account in (anna, boris, anna)
        ],
    )
    assert hows(outcomes) == ["POSTED", "ReferenceReused", "ReferenceReused"]


async def quote_used_once(pool: Pool) -> None:
    roubles, dollars = await on_early_worker(pool, "RUB", "USD", owned=True)
    await made(pool, Settle(by(), Kind.DEPOSIT, roubles, rub(1_000)))
    quote = await quoted(pool, roubles, rub(300), "RUB", "USD")
    outcomes = await at_once(
        pool, *[Exchange(await by_late_worker(pool), quote, dollars) for _ in "ab"]
    )
    assert hows(outcomes) == ["POSTED", "QuoteUsed"]


RACES: list[Race] = [
    same_request_twice,
    same_id_for_other_contents,
    same_id_for_another_account,
    two_refunds,
    two_captures,
    service_bought_once,
    reference_used_once,
    quote_used_once,
]


async def run(pool: Pool, race: Race, rounds: int) -> None:
    left = iter(range(rounds))
    faults: list[AssertionError] = []

    async def lane() -> None:
        for _ in left:
            if faults:
                return
            try:
                await race(pool)
            except AssertionError as fault:
                faults.append(fault)

    await asyncio.gather(*(lane() for _ in range(LANES)))
    if faults:
        raise faults[0]


@pytest.mark.parametrize("race", RACES)
async def test_race_has_one_outcome(late_pool: Pool, race: Race) -> None:
    await run(late_pool, race, ROUNDS)


@pytest.mark.long
@pytest.mark.parametrize("race", RACES)
async def test_race_has_one_outcome_each_of_many_times(late_pool: Pool, race: Race) -> None:
    await run(late_pool, race, ROUNDS_LONG)


async def ignored(*_: object) -> None:
    """In place of `confirm`."""


async def locking_nothing(*_: object) -> list[object]:
    """In place of `_lock_followed`."""
    return []


async def reading_what_there_is(journal: ClusterJournal, movement_ids: set[UUID]) -> object:
    """In place of `_read`."""
    return await movements(journal._conn, movement_ids)


@pytest.mark.parametrize(
    ("protection", "instead", "race"),
    [
        ("confirm", ignored, same_request_twice),
        ("_lock_followed", locking_nothing, two_refunds),
        ("_read", reading_what_there_is, service_bought_once),
    ],
)
async def test_race_is_lost_without_its_protection(
    unprotected_pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
    protection: str,
    instead: object,
    race: Race,
) -> None:
    monkeypatch.setattr(ClusterJournal, protection, instead)
    with pytest.raises(AssertionError):
        await run(unprotected_pool, race, ROUNDS_LONG)


async def test_whatever_is_written_is_prepared(late_pool: Pool, service_settings: Settings) -> None:
    late_commits.committed_plainly.clear()
    for race in RACES:
        await race(late_pool)
    await cover_all(late_pool, service_settings)
    (account_id,) = await opened(late_pool, "RUB")
    async with pools.transaction(late_pool) as conn:
        changed = "UPDATE accounts SET limit_minor = 1 WHERE account_id = %s"
        assert (await conn.execute(changed, (account_id,))).rowcount == 1
    assert not late_commits.committed_plainly


async def test_books_are_right_after_the_races(
    late_url: str, late_pool: Pool, pool: Pool, database_url: str
) -> None:
    for race in RACES:
        await run(late_pool, race, LANES)
    cluster.copy(late_url, database_url)
    async with pool.connection() as conn:
        report = await verification.verify(conn)
    assert report.clean, {name: found for name, found in report.faults.items() if found}
