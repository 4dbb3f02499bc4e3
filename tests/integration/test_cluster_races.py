"""Who comes between the parts of a commit on a cluster: every race has one outcome for all.

The parts come to light late (`late_commits`), so that nearly each round is such a race.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain.commands import Exchange, Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Capture, Place, Release, Reverse
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Done, How, Outcome
from balance_service.repositories import verification
from tests import cluster, postgres
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

ROUNDS = 30
# Of each race, by `make test-long`.
ROUNDS_LONG = 10_000
# At once, each on accounts of its own.
LANES = 8

Race = Callable[[Pool], Awaitable[None]]


def rub(amount: int) -> Money:
    return Money(amount, "RUB")


@pytest.fixture(scope="module")
def late_url() -> Iterator[str]:
    if not cluster.url():
        pytest.skip("TEST_CLUSTER_URL names no Citus cluster")
    with cluster.database(f"test_{secrets.token_hex(8)}", late=True) as url:
        yield url


@pytest_asyncio.fixture
async def late_pool(late_url: str) -> AsyncIterator[Pool]:
    async with pools.create(postgres.of_service(late_url), 3 * LANES) as connections:
        yield connections


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
    anna, boris = await opened(pool, "RUB", "RUB")
    await made(pool, Settle(by(), Kind.DEPOSIT, anna, rub(100)))
    sent = Transfer(by(uuid4()), anna, boris, rub(100))
    outcomes = await at_once(pool, sent, sent, sent)
    assert hows(outcomes) == ["POSTED", "REPLAYED", "REPLAYED"]
    assert len(ids_of(outcomes)) == 1


async def same_id_for_other_contents(pool: Pool) -> None:
    anna, boris = await opened(pool, "RUB", "RUB")
    await made(pool, Settle(by(), Kind.DEPOSIT, anna, rub(100)))
    origin = by(uuid4())
    outcomes = await at_once(
        pool, *(Transfer(origin, anna, boris, rub(amount)) for amount in (100, 99))
    )
    assert hows(outcomes) == ["IdempotencyKeyReused", "POSTED"]


async def same_id_for_another_account(pool: Pool) -> None:
    anna, boris = await opened(pool, "RUB", "RUB")
    origin = by(uuid4())
    outcomes = await at_once(
        pool, *(Settle(origin, Kind.DEPOSIT, account, rub(1)) for account in (anna, boris))
    )
    assert hows(outcomes) == ["IdempotencyKeyReused", "POSTED"]


async def two_refunds(pool: Pool) -> None:
    anna, boris = await opened(pool, "RUB", "RUB")
    await made(pool, Settle(by(), Kind.DEPOSIT, boris, rub(500)))
    (deposit,) = await made(pool, Settle(by(), Kind.DEPOSIT, anna, rub(500)))
    (original,) = await made(pool, Transfer(by(), anna, boris, rub(100)))
    for movement in (original, deposit):
        part = Money(movement.amount_minor * 2 // 3, "RUB")
        outcomes = await at_once(pool, *(Reverse(by(uuid4()), movement, part) for _ in "ab"))
        assert hows(outcomes) == ["POSTED", "ReversalTooLarge"]


async def two_captures(pool: Pool) -> None:
    anna, boris = await opened(pool, "RUB", "RUB")
    await made(pool, Settle(by(), Kind.DEPOSIT, anna, rub(100)))
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    (hold,) = await made(pool, Place(Transfer(by(), anna, boris, rub(100)), tomorrow))
    first = Capture(by(uuid4()), hold, rub(60), keep_rest=True)
    outcomes = await at_once(pool, first, first, Capture(by(uuid4()), hold, rub(60)))
    assert len({o.movement.movement_id for o in outcomes if isinstance(o, Done)}) == 1
    outcomes = await at_once(pool, Release(by(uuid4()), hold), Release(by(uuid4()), hold))
    assert "POSTED" not in hows(outcomes) or hows(outcomes) == ["HoldClosed", "POSTED"]


async def service_bought_once(pool: Pool) -> None:
    (anna,) = await opened(pool, "RUB")
    (service,) = await for_sale(pool, rub(50))
    await made(pool, Settle(by(), Kind.DEPOSIT, anna, rub(100)))
    sent = [Purchase(by(uuid4()), anna, service, rub(50), RATES) for _ in "ab"]
    outcomes = await at_once(pool, *sent, sent[0])
    assert len(ids_of(outcomes)) == 1
    assert hows(outcomes).count("POSTED") == 1
    # Refunded and bought again at once: bought again only after the refund.
    (bought,) = [o.movement for o in outcomes if isinstance(o, Done) and o.how is How.POSTED]
    again = Purchase(by(uuid4()), anna, service, rub(50), RATES)
    refunds = [Reverse(by(uuid4()), bought) for _ in "ab"]
    outcomes = await at_once(pool, *refunds, again)
    assert hows(outcomes[:2]) == ["POSTED", "ReversalTooLarge"]
    assert hows(outcomes[2:])[0] in {"POSTED", "ALREADY_PURCHASED"}
    assert hows(await at_once(pool, again)) in (["POSTED"], ["REPLAYED"])


async def reference_used_once(pool: Pool) -> None:
    anna, boris = await opened(pool, "RUB", "RUB")
    reference = f"ch_{uuid4()}"
    outcomes = await at_once(
        pool,
        *(
            Settle(by(uuid4()), Kind.DEPOSIT, account, rub(1), "stripe", reference)
            for account in (anna, boris, anna)
        ),
    )
    assert hows(outcomes) == ["POSTED", "ReferenceReused", "ReferenceReused"]


async def quote_used_once(pool: Pool) -> None:
    roubles, dollars = await opened_for_one(pool, "RUB", "USD")
    await made(pool, Settle(by(), Kind.DEPOSIT, roubles, rub(1_000)))
    quote = await quoted(pool, roubles, rub(300), "RUB", "USD")
    outcomes = await at_once(pool, *(Exchange(by(uuid4()), quote, dollars) for _ in "ab"))
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

    async def lane() -> None:
        for _ in left:
            await race(pool)

    await asyncio.gather(*(lane() for _ in range(LANES)))


@pytest.mark.parametrize("race", RACES)
async def test_race_has_one_outcome(late_pool: Pool, race: Race) -> None:
    await run(late_pool, race, ROUNDS)


@pytest.mark.long
@pytest.mark.parametrize("race", RACES)
async def test_race_has_one_outcome_each_of_many_times(late_pool: Pool, race: Race) -> None:
    await run(late_pool, race, ROUNDS_LONG)


async def test_books_are_right_after_the_races(
    late_url: str, late_pool: Pool, pool: Pool, database_url: str
) -> None:
    for race in RACES:
        await run(late_pool, race, LANES)
    cluster.copy(late_url, database_url)
    async with pool.connection() as conn:
        report = await verification.verify(conn)
    assert report.clean, {name: found for name, found in report.faults.items() if found}
