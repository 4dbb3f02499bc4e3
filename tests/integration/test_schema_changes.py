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
from balance_service.domain.commands import Origin, Settle
from balance_service.domain.events import EventType
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Request
from balance_service.domain.state import Done
from balance_service.repositories import accounts, outbox, rates, verification
from tests import postgres
from tests.commits import commit

MIGRATIONS = sorted((Path(__file__).parent.parent.parent / "migrations").glob("*.sql"))
# The first version that has a ledger.
LEDGER = 2
EVENTS = 15
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


# A deposit or withdrawal of a kopeck or more as the versions before 0007 write it.
OLD_SETTLE = """
WITH changed AS (
    UPDATE accounts
    SET
        balance_minor = balance_minor + %(amount)s,
        sequence = sequence + 1,
        changed_at = greatest(changed_at, now())
    WHERE account_id = %(account)s
    RETURNING account_id, balance_minor, sequence, changed_at
),
sides AS (
    SELECT
        *,
        CASE WHEN %(amount)s > 0 THEN 1 ELSE 2 END AS kind,
        CASE WHEN %(amount)s > 0 THEN %(system)s ELSE account_id END AS from_account_id,
        CASE WHEN %(amount)s > 0 THEN account_id ELSE %(system)s END AS to_account_id
    FROM changed
),
moved AS (
    INSERT INTO movements (
        movement_id, from_account_id, to_account_id, request_id, amount_minor,
        balance_after_minor, created_at, kind, currency, principal, description
    )
    SELECT
        %(movement)s, from_account_id, to_account_id, %(request)s, abs(%(amount)s),
        balance_minor, changed_at, kind, 'RUB', 'service:test', ''
    FROM sides
),
entered AS (
    INSERT INTO entries (
        account_id, movement_id, counterparty_id, sequence, amount_minor, balance_after_minor,
        created_at, kind
    )
    SELECT
        account_id, %(movement)s, %(system)s, sequence, %(amount)s, balance_minor, changed_at, kind
    FROM sides
),
system_entered AS (
    INSERT INTO system_entries (movement_id, account_id, amount_minor, created_at)
    SELECT %(movement)s, %(system)s, -%(amount)s, changed_at FROM sides
)
INSERT INTO system_deltas (delta_id, account_id, amount_minor, entries)
VALUES (gen_random_uuid(), %(system)s, -%(amount)s, 1)
"""


# The event of a deposit, since there are events.
TELL = """
INSERT INTO outbox (movement_ids, from_sequences, to_sequences)
SELECT ARRAY[%(movement)s::uuid], ARRAY[NULL::bigint], ARRAY[sequence]
FROM accounts
WHERE account_id = %(account)s
"""


async def old_settle(
    pool: pools.Pool, account: UUID, amount_minor: int, *, tells: bool = False
) -> None:
    """Has a worker of the version before deposit an amount, or withdraw a negative one."""
    request = ids.new_id()
    values = {
        "account": account,
        "amount": amount_minor,
        "request": request,
        "movement": ids.derived_id("service:test", request),
        "system": SystemAccount(SystemRole.SETTLEMENT, "RUB").account_id,
    }
    async with pools.transaction(pool) as conn:
        # Whose parameters have the types of what stands beside them.
        await psycopg.AsyncClientCursor(conn).execute(OLD_SETTLE, values)
        if tells:
            await conn.execute(TELL, values)


class Load:
    """What goes on while a schema changes: sign-ups, and money where there is a ledger."""

    def __init__(self, pool: pools.Pool, opened: list[UUID], version: int) -> None:
        self._pool = pool
        self._opened = opened
        self._tells = version >= EVENTS
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
            await old_settle(self._pool, account, 1, tells=self._tells)
            self.deposits += 1


OLD_OPEN = """
WITH opened AS (
    INSERT INTO accounts (account_id, owner_id, number, currency, created_at, changed_at)
    VALUES (%(account)s, %(owner)s, %(number)s, 'RUB', now(), now())
    RETURNING account_id, owner_id, number, currency
),
owned AS (
    INSERT INTO account_owners (owner_id, currency, account_id)
    SELECT owner_id, currency, account_id FROM opened
)
INSERT INTO account_numbers (number, account_id) SELECT number, account_id FROM opened
"""


async def old_open(conn: pools.Connection, *, tells: bool = False) -> UUID:
    """Opens an account as versions before events do, or as those that tell of it."""
    account = ids.new_id()
    number = ids.new_account_number()
    values = {"account": account, "owner": ids.new_id(), "number": number}
    await conn.execute(OLD_OPEN, values)
    if tells:
        await outbox.record_account(conn, EventType.ACCOUNT_OPENED, account)
    return account


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
        return [await old_open(conn, tells=version >= EVENTS) for _ in range(20)]


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
async def test_every_earlier_schema_becomes_the_newest_under_load(
    url: str, folder: Path, version: int
) -> None:
    for path in MIGRATIONS[:version]:
        shutil.copy(path, folder)
    migrate.up(url)
    async with pools.create(postgres.of_service(url), 8) as pool:
        opened = await _populate(url, pool, version)
        load, stop = Load(pool, opened, version), asyncio.Event()
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


async def test_debits_of_the_version_before_do_not_count(url: str) -> None:
    migrate.up(url)
    with psycopg.connect(url) as owner:
        # As after the migration of a ledger: the version before writes no events.
        owner.execute("UPDATE events SET numbered_at = now() + interval '1 day'")
        owner.execute("UPDATE uncovered_history SET until = now() + interval '1 day', done = false")
        owner.execute(
            "UPDATE totals_progress SET begins_at = now() + interval '1 day', built = false"
        )
    async with pools.create(postgres.of_service(url), 2) as pool:
        async with pools.transaction(pool) as conn:
            account, _ = await accounts.open_account(conn, ids.new_id(), "RUB")

        async def settle(kind: Kind, amount_minor: int) -> None:
            origin = Origin(principal="service:test", request_id=ids.new_id())
            command = Settle(origin, kind, account, Money(amount_minor, "RUB"))
            ((outcome,),) = await commit(pool, Request((command,)))
            assert isinstance(outcome, Done)

        await settle(Kind.DEPOSIT, 100)
        await settle(Kind.WITHDRAWAL, 5)
        await old_settle(pool, account, -30)
        await settle(Kind.WITHDRAWAL, 6)
        async with pool.connection() as conn:
            (profile,) = await accounts.get(conn, [account])
    assert (profile.account.balance_minor, profile.account.spent_minor) == (59, 11)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        report = await verification.verify(conn)
    # Said until the day ends, and nothing else is wrong.
    assert {check for check, faults in report.faults.items() if faults} == {"spent_is_counted"}


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
    async with pools.create(postgres.of_service(url), 2) as pool:

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


def test_migration_that_rewrites_a_table_would_be_seen(url: str, folder: Path) -> None:
    for path in MIGRATIONS:
        shutil.copy(path, folder)
    (folder / "9998_rewrites.sql").write_text(
        "ALTER TABLE system_entries ALTER COLUMN amount_minor TYPE numeric;"
    )
    with pytest.raises(pg.RaiseException, match="rewrites system_entries"):
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
