"""Totals on real Postgres: what a trial balance of any moment is read from."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from balance_service.database import pool as pools
from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors
from balance_service.domain.accounts import SYSTEM_ACCOUNTS
from balance_service.domain.chart import CHART, USERS, Total
from balance_service.domain.commands import Settle, Transfer
from balance_service.domain.events import EventType
from balance_service.domain.money import Money
from balance_service.domain.movements import MOVING_NOTHING, Kind
from balance_service.reading import trial_balance
from balance_service.repositories import outbox, totals, verification
from tests.events import number_all
from tests.integration.small_ledger import by, history, made, opened, quoted
from tests.integration.test_commit_path import Verified

POSTED = """
SELECT 'users' AS role, a.currency, e.amount_minor, e.created_at, e.movement_id
FROM entries AS e JOIN accounts AS a USING (account_id)
UNION ALL
SELECT s.role, s.currency, e.amount_minor, e.created_at, e.movement_id
FROM system_entries AS e JOIN unnest(%(ids)s::uuid[], %(roles)s::text[], %(currencies)s::text[])
    AS s (account_id, role, currency) USING (account_id)
"""
SYSTEM = {
    "ids": list(SYSTEM_ACCOUNTS),
    "roles": [str(account.role) for account in SYSTEM_ACCOUNTS.values()],
    "currencies": [account.currency for account in SYSTEM_ACCOUNTS.values()],
}
FAR = datetime(9999, 1, 1, tzinfo=UTC)
# Each movement on another day, in the order of their ids, and what belongs to it with it.
SPREAD = """
WITH days AS (
    SELECT movement_id, row_number() OVER (ORDER BY movement_id) % 5 AS days FROM movements
), of_movements AS (
    UPDATE movements AS m SET created_at = m.created_at - make_interval(days => d.days::int)
    FROM days AS d WHERE m.movement_id = d.movement_id
), of_entries AS (
    UPDATE entries AS e SET created_at = e.created_at - make_interval(days => d.days::int)
    FROM days AS d WHERE e.movement_id = d.movement_id
)
UPDATE system_entries AS e SET created_at = e.created_at - make_interval(days => d.days::int)
FROM days AS d WHERE e.movement_id = d.movement_id
"""


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Pool]:
    """Connections of somebody whom no grant holds back."""
    async with pools.create(database_url, 2) as connections:
        yield connections


async def roll_up(pool: Pool) -> int:
    """Rolls up what has a number; how many commits."""
    async with transaction(pool) as conn:
        return await totals.roll_up(conn)


async def at(pool: Pool, moment: datetime | None = None) -> list[Total]:
    async with pool.connection() as conn:
        return await totals.at(conn, moment)


async def posted(pool: Pool, before: datetime = FAR) -> list[Total]:
    """What was posted before a moment, counted from the journal."""
    found: dict[tuple[str, str], Total] = {}
    async with pool.connection() as conn:
        rows = await (await conn.execute(POSTED, SYSTEM)).fetchall()
        opened = await (await conn.execute("SELECT currency, created_at FROM accounts")).fetchall()
    for role, currency, minor, created_at, _ in rows:
        if created_at < before:
            total = found.setdefault((currency, role), Total(CHART[role], currency, 0, 0, 0, 0))
            debit, credit = max(-minor, 0), max(minor, 0)
            found[currency, role] = total._replace(
                debit_minor=total.debit_minor + debit,
                credit_minor=total.credit_minor + credit,
                entries=total.entries + 1,
            )
    for currency, created_at in opened:
        if created_at < before:
            total = found.setdefault((currency, USERS), Total(CHART[USERS], currency, 0, 0, 0, 0))
            found[currency, USERS] = total._replace(accounts=total.accounts + 1)
    return [found[key] for key in sorted(found)]


async def test_totals_are_what_was_posted_however_far_they_are(
    pool: Pool, verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    await history(pool)
    expected = await posted(pool)
    assert sum(total.credit_minor - total.debit_minor for total in expected) == 0
    assert await at(pool) == expected  # Nothing has a number yet.
    await number_all(pool)
    assert await at(pool) == expected
    monkeypatch.setattr(totals, "ROLLED_UP_AT_ONCE_MAX", 2)
    while await roll_up(pool):
        assert await at(pool) == expected
        await verified()
    assert await at(pool) == expected
    async with pool.connection() as conn:
        progress = await totals.progress(conn)
    assert progress.followed == progress.newest > 0
    (account,) = await opened(pool, "JPY")
    await made(pool, Settle(by(), Kind.DEPOSIT, account, Money(7, "JPY")))
    assert await at(pool) == await posted(pool) != expected


async def test_past_moments_are_counted_from_days_minutes_and_what_waits(
    pool: Pool, owner: Pool
) -> None:
    await history(pool)
    async with owner.connection() as conn:
        await conn.execute(SPREAD)
    moments = [
        (datetime.now(UTC) - timedelta(days=days, minutes=minutes)).replace(second=0, microsecond=0)
        for days in range(-1, 6)
        for minutes in (-2, 0, 5)
    ]
    midnights = [moment.replace(hour=0, minute=0) for moment in moments]
    await number_all(pool)
    for _ in range(2):
        for moment in (*moments, *midnights):
            assert await at(pool, moment) == await posted(pool, moment), moment
        await roll_up(pool)


async def test_chart_names_what_the_ledger_posts_to(pool: Pool) -> None:
    await history(pool)
    rubles, dollars = await opened(pool, "RUB", "USD")
    quote = await quoted(pool, rubles, Money(303, "RUB"), "RUB", "USD")
    await made(
        pool,
        Settle(by(), Kind.DEPOSIT, rubles, quote.paid),
        # A cent goes to the rounding account.
        Transfer(by(), rubles, dollars, quote.paid, quote),
    )
    async with pool.connection() as conn:
        rows = await (
            await conn.execute(
                f"SELECT DISTINCT p.role, m.kind FROM ({POSTED}) AS p JOIN movements AS m"
                " USING (movement_id)",
                SYSTEM,
            )
        ).fetchall()
    found = {(role, Kind(kind)) for role, kind in rows}
    assert found == {(role, kind) for role, title in CHART.items() for kind in title.kinds}
    assert {kind for _, kind in found} == set(Kind) - MOVING_NOTHING


async def test_only_one_rolls_up_at_a_time(pool: Pool) -> None:
    await history(pool)
    await number_all(pool)
    async with transaction(pool) as conn:
        assert await totals.roll_up(conn)
        assert await roll_up(pool) == 0
    assert await at(pool) == await posted(pool)


async def test_past_moment_waits_for_what_may_still_be_dated_before_it(pool: Pool) -> None:
    await history(pool)
    past = datetime.now(UTC) - timedelta(minutes=3)
    async with transaction(pool) as conn:
        await conn.execute("SELECT pg_current_xact_id()")
        with pytest.raises(errors.DeadlinePassed):
            await trial_balance.read(pool, past, "time", 0.2)
        waiting = asyncio.create_task(trial_balance.read(pool, past, "time", None))
        await trial_balance.read(pool, None, "time", 1)
    read = await waiting
    assert read.time == past.replace(second=0, microsecond=0)
    assert read.totals == []
    with pytest.raises(errors.InvalidFields):
        await trial_balance.read(pool, datetime.now(UTC) + timedelta(seconds=59), "time", None)


async def test_what_was_posted_before_totals_began_is_built_from_the_journal(
    pool: Pool, owner: Pool, verified: Verified
) -> None:
    await history(pool)
    await number_all(pool)
    async with owner.connection() as conn:
        await conn.execute(
            "UPDATE totals_progress SET built = FALSE, begins_at ="
            " (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY created_at) FROM movements)"
        )
    with pytest.raises(errors.LedgerTotalsMissing):
        await trial_balance.read(pool, None, "time", None)
    assert await roll_up(pool)
    await verified()
    for _ in range(2):
        async with transaction(pool) as conn:
            await totals.build(conn)
        assert await at(pool) == await posted(pool)
    await verified()


async def test_totals_that_are_far_behind_are_not_added_up_for_an_answer(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await history(pool)
    await number_all(pool)
    monkeypatch.setattr(totals, "UNFOLLOWED_EVENTS_MAX", 3)
    with pytest.raises(errors.Unavailable):
        await trial_balance.read(pool, None, "time", None)
    await roll_up(pool)
    assert (await trial_balance.read(pool, None, "time", None)).totals == await posted(pool)


async def test_account_that_was_counted_stays_so_while_another_event_of_it_waits(
    pool: Pool, verified: Verified
) -> None:
    await history(pool)
    await number_all(pool)
    await roll_up(pool)
    async with transaction(pool) as conn:
        found = await (await conn.execute("SELECT account_id FROM accounts LIMIT 1")).fetchone()
        assert found is not None
        await outbox.record_account(conn, EventType.ACCOUNT_LIMITS_SET, found[0])
    await verified()


async def test_a_total_that_is_wrong_is_found(pool: Pool, owner: Pool) -> None:
    await history(pool)
    await number_all(pool)
    await roll_up(pool)
    for span, check in ((1, "totals_are_of_entries"), (2, "totals_add_up")):
        async with owner.connection() as conn:
            values = {"span": span}
            change = "UPDATE ledger_totals SET credit_minor = credit_minor + %(by)s WHERE span ="
            await conn.execute(f"{change} %(span)s AND role = 'users'", {**values, "by": 1})
            report = await verification.verify(conn)
            assert report.faults[check], check
            await conn.execute(f"{change} %(span)s AND role = 'users'", {**values, "by": -1})
