"""Migrations while the service is at work: nobody waits long, nothing is rewritten or lost."""

import asyncio
import dataclasses
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg import errors as pg
from psycopg import sql

from balance_service.database import migrate
from balance_service.database import pool as pools
from balance_service.domain import ids
from balance_service.domain.accounts import SystemAccount, SystemRole
from balance_service.domain.commands import Capture, Place, Reverse, Settle, Transfer
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.repositories import accounts, rates, verification
from tests import postgres
from tests.integration.small_ledger import by, made, opened

MIGRATIONS = sorted((Path(__file__).parent.parent.parent / "migrations").glob("*.sql"))
# The first version that has a ledger.
LEDGER = 2
USERS = 20_000
NO_REWRITES = """
CREATE FUNCTION forbid_rewrite() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rewrites %', pg_event_trigger_table_rewrite_oid()::regclass;
END
$$;
CREATE EVENT TRIGGER no_rewrites ON table_rewrite EXECUTE FUNCTION forbid_rewrite();
"""


@pytest.fixture
def url(server_url: str) -> Iterator[str]:
    """A database in which nothing may be rewritten."""
    name = f"schema_{secrets.token_hex(8)}"
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    found = postgres.of_database(server_url, name)
    with psycopg.connect(found, autocommit=True) as conn:
        conn.execute(NO_REWRITES)
    yield found
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of migrations, without any yet."""
    empty = tmp_path / "migrations"
    empty.mkdir()
    monkeypatch.setattr(migrate, "_REPOSITORY", empty)
    return empty


# What versions before 0006 write for a deposit of a kopeck, by their own text.
OLD_DEPOSIT = """
WITH account AS (
    SELECT account_id, balance_minor + 1 AS balance_minor, sequence + 1 AS sequence,
        statement_timestamp() AS at
    FROM accounts WHERE account_id = %(account)s
),
written AS (
    INSERT INTO movements (movement_id, kind, from_account_id, to_account_id, amount_minor,
        currency, balance_after_minor, principal, request_id, description, metadata, created_at)
    SELECT %(movement)s, 1, %(settlement)s, account_id, 1, 'RUB', balance_minor, 'service:test',
        NULL, '', NULL, at FROM account
),
entered AS (
    INSERT INTO entries (account_id, sequence, movement_id, kind, amount_minor,
        balance_after_minor, counterparty_id, created_at)
    SELECT account_id, sequence, %(movement)s, 1, 1, balance_minor, %(settlement)s, at FROM account
),
other_side AS (
    INSERT INTO system_entries (movement_id, account_id, amount_minor, created_at)
    SELECT %(movement)s, %(settlement)s, -1, at FROM account
),
added AS (
    INSERT INTO system_deltas (account_id, delta_id, amount_minor, entries)
    VALUES (%(settlement)s, %(movement)s, -1, 1)
)
UPDATE accounts AS a
SET balance_minor = c.balance_minor, sequence = c.sequence, changed_at = c.at
FROM account AS c WHERE a.account_id = c.account_id
"""


async def old_deposit(pool: pools.Pool, account: UUID) -> None:
    settlement = SystemAccount(SystemRole.SETTLEMENT, "RUB").account_id
    values = {"account": account, "movement": ids.new_id(), "settlement": settlement}
    async with pools.transaction(pool) as conn:
        await conn.execute(
            "SELECT FROM accounts WHERE account_id = %s FOR NO KEY UPDATE", (account,)
        )
        await conn.execute(OLD_DEPOSIT, values)


class Load:
    """What goes on while a schema changes: sign-ups, and money where there is a ledger."""

    def __init__(self, pool: pools.Pool, opened: list[UUID]) -> None:
        self._pool = pool
        self._opened = opened
        self.sign_ups = 0
        self.deposits = 0

    async def sign_up(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            name = f"u{secrets.token_hex(8)}"
            async with self._pool.connection() as conn:
                await conn.execute(
                    "INSERT INTO users (user_id, email, username, created_at, updated_at)"
                    " VALUES (gen_random_uuid(), %s, %s, now(), now())",
                    (f"{name}@example.com", name),
                )
            self.sign_ups += 1

    async def deposit(self, stop: asyncio.Event) -> None:
        while self._opened and not stop.is_set():
            account = self._opened[self.deposits % len(self._opened)]
            await old_deposit(self._pool, account)
            self.deposits += 1


async def _populate(url: str, pool: pools.Pool, version: int) -> list[UUID]:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO users (user_id, email, username, created_at, updated_at)"
            " SELECT gen_random_uuid(), 'p' || n || '@example.com', 'person' || n, now(), now()"
            " FROM generate_series(1, %s) AS n",
            (USERS,),
        )
    if version < LEDGER:
        return []
    async with pools.transaction(pool) as conn:
        return [(await accounts.open_account(conn, ids.new_id(), "RUB"))[0] for _ in range(20)]


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
async def test_every_earlier_schema_becomes_the_newest_under_load(
    url: str, folder: Path, version: int
) -> None:
    for path in MIGRATIONS[:version]:
        shutil.copy(path, folder)
    migrate.up(url)
    async with pools.create(url, 8) as pool:
        opened = await _populate(url, pool, version)
        load, stop = Load(pool, opened), asyncio.Event()
        async with asyncio.TaskGroup() as going_on:
            for _ in range(3):
                going_on.create_task(load.sign_up(stop))
                going_on.create_task(load.deposit(stop))
            await asyncio.sleep(0.3)
            for path in MIGRATIONS[version:]:
                shutil.copy(path, folder)
            applied = await asyncio.to_thread(migrate.up, url)
            await asyncio.sleep(0.3)
            stop.set()
    assert [m.name for m in applied] == [path.name for path in MIGRATIONS[version:]]
    with psycopg.connect(url) as conn:
        counted = conn.execute("SELECT count(*) FROM users").fetchone()
        assert counted == (USERS + load.sign_ups,)
        summed = conn.execute("SELECT coalesce(sum(balance_minor), 0) FROM accounts").fetchone()
        assert summed == (load.deposits,)
    assert load.sign_ups
    assert bool(load.deposits) == (version >= LEDGER)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        assert (await verification.verify(conn)).clean


OLD_PUT = """
DELETE FROM exchange_rates WHERE source = 'cbr';
INSERT INTO exchange_rates (source, currency, base, units, value, as_of, fetched_at) VALUES
('cbr', 'USD', 'RUB', 1, %(dollar)s, %(as_of)s, now()),
('cbr', 'JPY', 'RUB', 100, 52.5, %(as_of)s, now())
"""


async def test_rates_are_kept_while_the_version_before_still_runs(url: str, folder: Path) -> None:
    change = next(path for path in MIGRATIONS if path.name.endswith("_rate_sheets.sql"))
    for path in MIGRATIONS[: MIGRATIONS.index(change)]:
        shutil.copy(path, folder)
    migrate.up(url)
    as_of = datetime(2026, 11, 24, 21, tzinfo=UTC)
    async with pools.create(url, 2) as pool:

        async def old_put(dollar: str) -> None:
            async with pools.transaction(pool) as conn:
                cursor = psycopg.AsyncClientCursor(conn)
                await cursor.execute(OLD_PUT, {"dollar": dollar, "as_of": as_of})

        await old_put("78.9988")
        shutil.copy(change, folder)
        migrate.up(url)
        async with pools.transaction(pool) as conn:
            (sheet,) = await rates.get(conn, "cbr", as_of, expires=True)
            await rates.put(
                conn, dataclasses.replace(sheet, as_of=as_of + timedelta(days=1)), as_of
            )
        assert sheet.quotations == {
            "JPY": (Decimal(100), Decimal("52.5")),
            "USD": (Decimal(1), Decimal("78.9988")),
        }
        # As the version before goes on to do, beside the new one.
        await old_put("79.5")
        async with pool.connection() as conn:
            assert await rates.get(conn, "cbr", as_of, expires=True, limit=1) == [sheet]
            old = await conn.execute("SELECT value FROM exchange_rates WHERE currency = 'USD'")
            assert await old.fetchall() == [(Decimal("79.5"),)]


async def test_holds_and_refunds_stand_beside_the_version_before(pool: pools.Pool) -> None:
    """It knows `held`, moves money of accounts with holds, and leaves the rest alone."""
    anna, boris = await opened(pool, "RUB", "RUB")
    (paid,) = await made(pool, Settle(by(), Kind.DEPOSIT, anna, Money(100, "RUB")))
    until = datetime.now(UTC) + timedelta(days=1)
    place = Place(Transfer(by(), anna, boris, Money(60, "RUB")), until)
    (hold,) = await made(pool, place)
    await old_deposit(pool, anna)
    await made(
        pool,
        Capture(by(), hold, Money(10, "RUB"), keep_rest=True),
        Reverse(by(), paid, Money(1, "RUB")),
    )
    await old_deposit(pool, anna)
    async with pool.connection() as conn:
        (profile,) = await accounts.get(conn, [anna])
        await conn.execute("RESET ROLE")
        assert (await verification.verify(conn)).clean
    assert (profile.account.balance_minor, profile.account.held_minor) == (91, 50)


def test_migration_that_rewrites_a_table_would_be_seen(url: str, folder: Path) -> None:
    for path in MIGRATIONS:
        shutil.copy(path, folder)
    (folder / "9998_rewrites.sql").write_text(
        "ALTER TABLE entries ALTER COLUMN amount_minor TYPE numeric;"
    )
    with pytest.raises(pg.RaiseException, match="rewrites entries"):
        migrate.up(url)


def test_migration_that_would_make_callers_wait_gives_up(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(MIGRATIONS[0], folder)
    migrate.up(url)
    (folder / "9998_waits.sql").write_text("ALTER TABLE users ADD COLUMN more int;")
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "100ms")
    with psycopg.connect(url) as busy:
        busy.execute("SELECT count(*) FROM users")
        with pytest.raises(pg.LockNotAvailable):
            migrate.up(url)
    assert [m.name for m in migrate.up(url)] == ["9998_waits.sql"]
