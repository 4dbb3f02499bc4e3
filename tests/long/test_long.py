"""Random operations of every kind, on a real Postgres, as a simple model predicts them.

`make test` carries out a few hundred; `make test-long` carries out 100,000 (SEED=... replays).
"""

import random
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import ids
from balance_service.domain.catalogue import Service
from balance_service.domain.money import Money
from balance_service.domain.state import State
from balance_service.repositories import accounts, catalogue, queries, users, verification
from balance_service.repositories.journal import Journal
from tests.long.driver import Driver
from tests.long.model import Books
from tests.long.rules import ACTIVE, DECIMALS
from tests.long.world import World

ACCOUNTS = 24
SERVICES = 60
VERIFY_EVERY = 5_000


async def make_user(pool: Pool, number: int) -> UUID:
    async with pools.transaction(pool) as conn:
        new = users.NewUser(f"user-{number}@example.com")
        user_id = await users.create_if_new(conn, new, datetime.now(UTC))
    assert user_id
    return user_id


async def open_accounts(pool: Pool, books: Books) -> None:
    owners = [await make_user(pool, number) for number in range(ACCOUNTS // 2)]
    for number in range(ACCOUNTS):
        owner = owners[number // 2]
        currency = list(DECIMALS)[number % 3]
        async with pools.transaction(pool) as conn:
            account, _ = await accounts.open_account(conn, owner, currency)
        row = {"owner": owner, "currency": currency, "status": ACTIVE}
        zeros = dict.fromkeys(("balance", "held", "limit", "sequence"), 0)
        nones = dict.fromkeys(("debit_limit", "daily_limit", "last_day"))
        books.accounts[account] = {**row, **zeros, **nones}


async def sell_services(pool: Pool, world: World) -> None:
    for number in range(SERVICES):
        price = Money(world.rng.choice([1, 7, 99, 701]), list(DECIMALS)[number % 3])
        service = Service(
            UUID(int=world.rng.getrandbits(128), version=4),
            "Service",
            "",
            price,
            1,
            world.books.now,
            world.books.now,
            repeatable=number % 5 == 0,
        )
        async with pools.transaction(pool) as conn:
            await catalogue.insert(conn, service)
        row = {"amount": price.minor, "currency": price.currency}
        row["repeatable"] = service.repeatable
        world.services[service.service_id] = row


def set_clock(monkeypatch: pytest.MonkeyPatch, books: Books) -> None:
    """Has commits take place by the model's clock, so that a seed replays."""
    real = Journal.load

    async def load(journal: Journal, *arguments: Any) -> tuple[State, datetime]:
        state, _ = await real(journal, *arguments)
        return state, books.now

    monkeypatch.setattr(Journal, "load", load)

    class Clock(queries.Statements):
        """Queries of verification, whose day is the model's."""

        def __getitem__(self, name: str) -> str:
            if name == "read_clock":
                return f"SELECT '{books.now.isoformat()}'::timestamptz"
            return super().__getitem__(name)

    monkeypatch.setattr(
        verification, "_SQL", Clock(verification._SQL, verification._SQL.on_cluster)
    )


async def test_ledger_answers_as_the_model_predicts(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    operations = request.config.getoption("operations")
    seed = request.config.getoption("seed")
    if seed is None:
        seed = random.randrange(10**9)
    sys.stdout.write(f"\nreplay with: make test-long SEED={seed}\n")
    sys.stdout.flush()
    books = Books(datetime.now(UTC) + timedelta(minutes=1))
    rng = random.Random(seed)
    drawn = random.Random(rng.random())
    monkeypatch.setattr(ids, "new_id", lambda: UUID(int=drawn.getrandbits(128), version=4))
    world = World(rng, books, {})
    await open_accounts(pool, books)
    await sell_services(pool, world)
    set_clock(monkeypatch, books)
    driver = Driver(pool, world)
    await driver.run(operations, VERIFY_EVERY)
    for what, times in sorted(driver.ended.items()):
        sys.stdout.write(f"{times:>8} {what}\n")
