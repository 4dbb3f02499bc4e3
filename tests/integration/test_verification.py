"""`verify` over ledgers in which one value is wrong, whichever it is."""

import random
from collections import defaultdict
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import LiteralString
from uuid import UUID, uuid1, uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from balance_service.database import pool as pools
from balance_service.database.pool import Connection, Pool
from balance_service.domain import ids
from balance_service.domain.commands import Exchange, Origin, Purchase, Settle
from balance_service.domain.money import DECIMALS, Money
from balance_service.domain.movements import Kind
from balance_service.repositories import totals, verification
from tests.events import number_all
from tests.integration.small_ledger import (
    HALVES,
    RATES,
    by,
    carry_out,
    for_sale,
    history,
    opened,
    opened_for_one,
    quoted,
)
from tests.integration.test_commit_path import Verified

MONEY_TABLES = (
    "accounts",
    "account_owners",
    "account_numbers",
    "movements",
    "entries",
    "system_entries",
    "system_deltas",
    "system_accounts",
    "purchases",
    "follows",
    "holds",
    "quotes",
    "quote_uses",
    "caller_references",
    "external_references",
    "ledger_totals",
    "service_sales",
)
FOLLOWED_BY_NONE: LiteralString = (
    "original_id IS NULL AND NOT EXISTS (SELECT FROM movements AS f"
    " WHERE f.original_id = movements.movement_id)"
)
CLOSED_BY_CAPTURE: LiteralString = (
    "kind = 10 AND EXISTS (SELECT FROM movements AS c"
    " WHERE c.original_id = movements.movement_id AND c.final)"
)
# What no other value tells, by column: why, and of which rows. docs/operating/reliability.md lists
# them, too.
NOT_DERIVABLE: dict[str, tuple[str, LiteralString]] = {
    "accounts.limit_minor": ("an operator's decision", "true"),
    "accounts.status": ("an operator's decision", "true"),
    "accounts.debit_limit_minor": ("an operator's decision", "true"),
    "accounts.daily_limit_minor": ("an operator's decision", "true"),
    "accounts.created_at": ("stands once; not after the first entry", "sequence > 0"),
    "movements.principal": ("stands once without a request id", "request_id IS NULL"),
    "movements.description": ("a caller's words", "true"),
    "movements.metadata": ("a caller's words", "true"),
    "movements.rate_source": ("stands once where nothing follows", FOLLOWED_BY_NONE),
    "movements.rate_as_of": ("stands once where nothing follows", FOLLOWED_BY_NONE),
    "movements.amount_minor": (
        "a hold that a capture closed leaves no trace of its rest",
        CLOSED_BY_CAPTURE,
    ),
    "movements.created_at": (
        "not before the hold, nor its expiry before its time",
        "kind IN (11, 12)",
    ),
    "movements.effective_at": ("what moves nothing has no entry", "kind IN (10, 11, 12)"),
    "movements.whole": ("how the last part was asked for", "original_id IS NOT NULL"),
    "movements.quantity": ("the price of one is not kept elsewhere", "kind IN (3, 10)"),
    "quotes.created_at": ("stands once; an hour or less before the end", "true"),
    "quotes.expires_at": ("stands once; an hour or less after the start", "true"),
    "quotes.kept": ("whether it was looked at for deletion", "true"),
    "system_deltas.delta_id": ("a random id", "true"),
}
# Other values that a value might have had, by type.
OTHERS: dict[str, list[LiteralString]] = {
    "bigint": ["coalesce({0}, 0) + 1"],
    "integer": ["coalesce({0}, 0) + 1"],
    "smallint": ["coalesce({0}, 0) + 1"],
    "numeric": ["coalesce({0}, 0) + 1"],
    "uuid": [
        """coalesce(
            overlay(
                {0}::text placing CASE right({0}::text, 1) WHEN '0' THEN '1' ELSE '0' END from 36
            ),
            gen_random_uuid()::text
        )::uuid"""
    ],
    "text": ["coalesce(left({0}, -1), '') || CASE right({0}, 1) WHEN 'D' THEN 'B' ELSE 'D' END"],
    "timestamp with time zone": [
        "coalesce({0}, now()) + interval '1 microsecond'",
        "coalesce({0}, now()) - interval '1 year'",
    ],
    "date": ["({0} + interval '1 month')::date", "({0} - interval '1 year')::date"],
    "boolean": ["NOT coalesce({0}, false)"],
    "jsonb": ["""'{{"other": "words"}}'"""],
}
OTHER_CURRENCY: LiteralString = "CASE {0} WHEN 'RUB' THEN 'USD' ELSE 'RUB' END"


@pytest_asyncio.fixture
async def conn(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Connection]:
    """An owner's connection, on which `verify` also sees what is not committed."""
    await history(pool)
    await number_all(pool)
    async with pools.transaction(pool) as rolling:
        await totals.roll_up(rolling)
    monkeypatch.setitem(verification._SQL, "snapshot", "SELECT 1")
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        assert (await verification.verify(conn)).clean
        yield conn


async def is_found(conn: Connection, change: sql.Composed) -> bool:
    """Whether a change is refused by the database itself, or found by `verify`; it is undone."""
    try:
        async with conn.transaction(force_rollback=True):
            await conn.execute(change)
            return not (await verification.verify(conn)).clean
    except psycopg.errors.IntegrityError:
        return True


async def columns(conn: Connection) -> list[tuple[str, str, str]]:
    cursor = await conn.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = ANY(%s)"
        " ORDER BY table_name, ordinal_position",
        (list(MONEY_TABLES),),
    )
    return await cursor.fetchall()


async def rows(conn: Connection, table: str, condition: LiteralString = "true") -> list[str]:
    query = sql.SQL("SELECT ctid::text FROM {} WHERE ").format(sql.Identifier(table))
    found = await conn.execute(query + sql.SQL(condition))
    return [row[0] for row in await found.fetchall()]


@pytest.mark.long
async def test_any_other_value_is_found_or_known_not_to_be(conn: Connection) -> None:
    missed: dict[str, set[str]] = defaultdict(set)
    tried = 0
    for table, column, kind in await columns(conn):
        others = [*OTHERS[kind], *([OTHER_CURRENCY] if column.endswith("currency") else [])]
        for place in await rows(conn, table):
            for other in others:
                change = sql.SQL("UPDATE {} SET {} = {} WHERE ctid = {}::tid").format(
                    sql.Identifier(table),
                    sql.Identifier(column),
                    sql.SQL(other).format(sql.Identifier(column)),
                    sql.Literal(place),
                )
                tried += 1
                if not await is_found(conn, change):
                    missed[f"{table}.{column}"].add(place)
    assert tried > 1500
    # The list names what cannot be found and nothing else, so that it stays true.
    assert set(missed) == set(NOT_DERIVABLE)
    for name, (_, condition) in NOT_DERIVABLE.items():
        assert missed[name] <= set(await rows(conn, name.partition(".")[0], condition)), name


# Either is enough to show that its caller used it; versions before 0004 wrote the second alone.
REFERENCES = {"caller_references", "external_references"}


async def test_any_missing_row_is_found(conn: Connection) -> None:
    for table in MONEY_TABLES:
        for place in await rows(conn, table):
            delete = sql.SQL("DELETE FROM {} WHERE ctid = {}::tid").format(
                sql.Identifier(table), sql.Literal(place)
            )
            assert await is_found(conn, delete) == (table not in REFERENCES), (table, place)
    both = sql.SQL("WITH mine AS (DELETE FROM caller_references) DELETE FROM external_references")
    assert await is_found(conn, sql.Composed([both]))


async def test_every_table_is_money_or_known_not_to_be(conn: Connection) -> None:
    cursor = await conn.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
        " AND relnamespace = 'public'::regnamespace"
    )
    others = {
        # What operators did, of which `verify` proves the last: see below.
        "account_changes",
        # When those end that hold for a time: tests/e2e/test_timed_limits.py.
        "limit_ends",
        # What users, accounts and movements are found by: see tests/e2e/test_external_ids.py and
        # test_movement_search.py.
        "external_ids",
        "movement_labels",
        "subject_external_ids",
        # Proved by their movements: tests/e2e/test_schedule_input.py.
        "schedule_occurrences",
        "schedules",
        "approvals",
        "client_certificates",
        "client_secrets",
        # Proved by the journal: test_events.py.
        "events",
        "outbox",
        # What is in files: test_archives.py.
        "archives",
        "brought_forward",
        "system_brought_forward",
        # Where the totals are: test_totals.py.
        "totals_progress",
        # Proved by its chain: test_audit_chain.py.
        "audit_events",
        "audit_seals",
        "audit_unsealed",
        # Proved by themselves, and prove the others: test_proof.py.
        "checkpoints",
        "covered_movements",
        "uncovered_history",
        "confirmation_codes",
        "exchange_rates",
        "idempotency_keys",
        "known_askers",
        "rate_fetches",
        "rate_sheets",
        "recovery_codes",
        "refresh_tokens",
        "schema_migrations",
        "second_factors",
        "service_principals",
        "services",
        "sessions",
        "sign_in_quotas",
        "signing_keys",
        "users",
        "verifications",
        # What was sent, which proves nothing: tests/e2e/test_webhooks.py.
        "webhook_deliveries",
        "webhook_endpoints",
        # What waits, of which this history has none: tests/integration/test_sub_accounts.py.
        "sub_accounts",
        "waiting_receipts",
        # How far exporters have come: tests/integration/test_event_export.py.
        "event_exporters",
    }
    assert {row[0] for row in await cursor.fetchall()} - others == set(MONEY_TABLES)


async def test_verify_derives_ids_as_the_domain_does(pool: Pool, verified: Verified) -> None:
    (account,) = await opened(pool, "RUB")
    made = [
        *(uuid4() for _ in range(40)),
        *(ids.new_id() for _ in range(40)),
        *(ids.derived_id(f"item {n}", uuid4()) for n in range(20)),
        *(UUID(int=random.getrandbits(128)) for _ in range(60)),
        uuid1(),
        UUID(int=2**128 - 1),
    ]
    origins = [
        Origin(principal=f"user:{ids.new_id()}" if n % 2 else "service:ß", request_id=request_id)
        for n, request_id in enumerate(made)
    ]
    await carry_out(
        pool, *(Settle(origin, Kind.DEPOSIT, account, Money(1, "RUB")) for origin in origins)
    )
    await verified()


async def test_verify_rounds_as_the_domain_does(pool: Pool, verified: Verified) -> None:
    """Also where exactly half a unit is left, up and down to even."""
    codes = ["RUB", *HALVES]
    opened_ = dict(zip(codes, await opened(pool, *codes), strict=True))
    # At one rouble a yen: 1.5, 2.5, 3.5 and 4.5 yen. A price of half a yen would charge nothing.
    prices = [
        Money(random.randint(10, 9_999) * 10 ** max(DECIMALS[code] - 1, 0), code)
        for code in codes
        for _ in range(20)
    ] + [Money(minor, "RUB") for minor in (150, 250, 350, 450)]
    sold = await for_sale(pool, *prices)
    await carry_out(
        pool,
        *(
            Settle(by(), Kind.DEPOSIT, account, Money(10**15, code))
            for code, account in opened_.items()
        ),
    )
    done = await carry_out(
        pool,
        *(
            Purchase(by(), account, service_id, price, RATES)
            for account in opened_.values()
            for service_id, price in zip(sold, prices, strict=True)
        ),
    )
    halves = 0
    for movement in (one.movement for one in done):
        if movement.rate and movement.price_minor:
            scale = DECIMALS[movement.currency] - DECIMALS[movement.rate.currency]
            exact = movement.price_minor * movement.rate.value * Decimal(10) ** scale
            halves += exact % 1 == Decimal("0.5")
    assert halves >= 4
    await verified()


async def test_verify_rounds_quotes_as_the_domain_does(pool: Pool, verified: Verified) -> None:
    """Also where exactly half a unit is left over."""
    codes = ["RUB", *HALVES]
    mine = dict(zip(codes, await opened_for_one(pool, *codes), strict=True))
    await carry_out(
        pool,
        *(Settle(by(), Kind.DEPOSIT, a, Money(10**15, code)) for code, a in mine.items()),
    )
    pairs = [(a, b) for a in codes for b in codes if a != b]
    made = [
        await quoted(pool, mine[pair[0]], Money(random.randint(1_000, 99_999), fixed), *pair)
        for pair in pairs
        for fixed in (*pair, *pair)
    ] + [
        await quoted(pool, mine["RUB"], Money(minor, "RUB"), "RUB", "USD")
        for minor in (2_001, 2_003, 2_005)
    ]
    await carry_out(pool, *(Exchange(by(), q, mine[q.received.currency]) for q in made))
    kept = [quote.exchanged_minor - quote.received.minor for quote in made]
    assert min(kept) == 0 < max(kept)
    await verified()
