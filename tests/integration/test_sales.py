"""Sales by service and month on real Postgres: added up once, whatever was rolled up so far."""

import asyncio
import random
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors, ids
from balance_service.domain.accounts import SYSTEM_ACCOUNTS, SystemRole
from balance_service.domain.commands import Purchase, Settle
from balance_service.domain.follow_up_commands import Capture, Place, Reverse
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.reports import MonthlySales
from balance_service.reading import trial_balance
from balance_service.repositories import sales, totals, verification
from tests.events import number_all
from tests.integration import small_ledger
from tests.integration.small_ledger import RATES, by, for_sale, history, made, opened
from tests.integration.test_commit_path import Verified
from tests.integration.test_totals import at as totals_at
from tests.integration.test_totals import owner, posted, roll_up

__all__ = ["owner"]
SUMS = ["purchases", "quantity", "gross", "gross_price", "refunds", "refunded", "refunded_price"]
MIGRATION = next((Path(__file__).parents[2] / "migrations").glob("*_service_sales.sql"))
FIRST, LAST = date(2020, 1, 1), date(2029, 12, 1)
JOURNAL = """
SELECT m.kind, m.created_at AT TIME ZONE 'UTC', coalesce(m.service_id, b.service_id), m.currency,
    coalesce(m.price_currency, m.currency), m.amount_minor,
    coalesce(m.price_minor, m.amount_minor), coalesce(m.quantity, 1)
FROM movements AS m LEFT JOIN movements AS b ON b.movement_id = m.original_id AND m.kind = 7
WHERE m.kind IN (3, 7)
"""
VIEW = """
SELECT month, service_id, currency, purchases, gross_minor, refunds, refunded_minor, net_minor
FROM reports.sales_by_service_and_month
"""
REVENUE = "SELECT sum(amount_minor) FROM system_entries WHERE account_id = %s"


async def sold(
    pool: Pool, service_id: UUID | None = None, size: int = 1_000, start: date = FIRST
) -> list[MonthlySales]:
    """All sales from a month on, read page by page."""
    found: list[MonthlySales] = []
    place = sales.Place(start)
    while True:
        async with pool.connection() as conn:
            page = await sales.page(conn, place, LAST, service_id, size)
        found += page
        if len(page) < size:
            return found
        place = sales.Place(*page[-1][:4])


async def journal(pool: Pool) -> list[MonthlySales]:
    """The same, counted one by one from the journal."""
    found: dict[tuple[date, UUID, str, str], Counter[str]] = {}
    async with pool.connection() as conn:
        rows = await (await conn.execute(JOURNAL)).fetchall()
    for kind, moment, service_id, currency, price_currency, paid, price, quantity in rows:
        key = (moment.date().replace(day=1), service_id, currency, price_currency)
        sums = found.setdefault(key, Counter())
        if kind == Kind.PURCHASE:
            sums.update(purchases=1, quantity=quantity, gross=paid, gross_price=price)
        else:
            sums.update(refunds=1, refunded=paid, refunded_price=price)
    names = [
        "purchases",
        "quantity",
        "gross",
        "gross_price",
        "refunds",
        "refunded",
        "refunded_price",
    ]
    return [MonthlySales(*key, *(found[key][name] for name in names)) for key in sorted(found)]


async def check_against_view(pool: Pool, owner: Pool) -> None:
    """What accounts paid and got back is what the view says."""
    by_currency: dict[tuple[object, ...], Counter[int]] = {}
    for one in await sold(pool):
        sums = (one.purchases, one.gross_minor, one.refunds, one.refunded_minor, one.net_minor)
        counter = by_currency.setdefault(one[:3], Counter())
        counter.update(dict(enumerate(sums)))
    async with owner.connection() as conn:
        rows = await (await conn.execute(VIEW)).fetchall()
    assert {row[:3]: tuple(map(int, row[3:])) for row in rows} == {
        key: tuple(sums[place] for place in range(5)) for key, sums in by_currency.items()
    }


async def check_against_revenue(pool: Pool) -> None:
    """What prices came to, less what was refunded of them, is what was posted to revenue."""
    by_currency: Counter[str] = Counter()
    for one in await sold(pool):
        by_currency[one.price_currency] += one.net_price_minor
    async with pool.connection() as conn:
        for account_id, account in SYSTEM_ACCOUNTS.items():
            if account.role == SystemRole.REVENUE:
                row = await (await conn.execute(REVENUE, [account_id])).fetchone()
                assert ((row and row[0]) or 0) == by_currency[account.currency]


async def build(pool: Pool) -> None:
    async with transaction(pool) as conn:
        await totals.build(conn)


async def waits(owner: Pool) -> bool:
    """Whether a transaction waits for another."""
    async with owner.connection() as conn:
        query = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"
        row = await (await conn.execute(query)).fetchone()
    return bool(row and row[0])


async def trade(pool: Pool, seed: int) -> None:
    """Purchases and refunds at random: converted or not, repeated, held, months apart."""
    chance = random.Random(seed)
    prices = [Money(chance.randint(1, 500), code) for code in ("RUB", "USD", "JPY", "RUB")]
    services = await for_sale(pool, *prices)
    accounts = {code: (await opened(pool, code))[0] for code in ("RUB", "USD")}
    for code, account in accounts.items():
        await made(pool, Settle(by(), Kind.DEPOSIT, account, Money(10_000_000, code)))
    left: list[list[int | Movement]] = []
    for _ in range(40):
        with pytest.MonkeyPatch.context() as patched:
            small_ledger.move_on(patched, timedelta(days=20 * len(left) + chance.randint(0, 19)))
            if left and chance.random() < 0.4:
                await refund(pool, chance, left)
                continue
            place = chance.randrange(len(services))
            account = accounts[chance.choice(sorted(accounts))]
            quantity = chance.randint(1, 4)
            wanted = Purchase(
                by(), account, services[place], prices[place], RATES,
                repeatable=True, quantity=quantity,
            )  # fmt: skip
            if chance.random() < 0.3:
                until = small_ledger.NOW + timedelta(days=3_650)
                (hold,) = await made(pool, Place(wanted, until))
                (bought,) = await made(pool, Capture(by(), hold))
            else:
                (bought,) = await made(pool, wanted)
            left.append([bought, bought.amount_minor])


async def refund(pool: Pool, chance: random.Random, left: list[list[int | Movement]]) -> None:
    """Gives back a part of a purchase that has some left."""
    some = [one for one in left if one[1]]
    if not some:
        return
    one = chance.choice(some)
    bought, rest = one
    assert isinstance(bought, Movement)
    assert isinstance(rest, int)
    minor = chance.randint(1, rest)
    await made(pool, Reverse(by(ids.new_id()), bought, Money(minor, bought.currency)))
    one[1] = rest - minor


@pytest.mark.parametrize("seed", range(3))
async def test_sales_are_those_of_the_journal_however_far_they_are(
    pool: Pool, owner: Pool, verified: Verified, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    await trade(pool, seed)
    expected = await journal(pool)
    assert len({one.month for one in expected}) > 3
    assert any(one.currency != one.price_currency and one.refunds for one in expected)
    assert any(one.quantity > one.purchases for one in expected)
    assert await sold(pool) == expected  # Nothing has a number yet.
    await number_all(pool)
    assert await sold(pool) == expected
    monkeypatch.setattr(totals, "ROLLED_UP_AT_ONCE_MAX", 7)
    while await roll_up(pool):
        assert await sold(pool, size=3) == expected
    await check_against_view(pool, owner)
    await check_against_revenue(pool)
    await verified()
    for service_id in {one.service_id for one in expected}:
        wanted = [one for one in expected if one.service_id == service_id]
        assert await sold(pool, service_id, size=1) == wanted
    start = expected[len(expected) // 2].month
    assert await sold(pool, start=start) == [one for one in expected if one.month >= start]
    await history(pool)
    assert await sold(pool) == await journal(pool) != expected
    await check_against_view(pool, owner)
    await check_against_revenue(pool)


async def test_sales_before_totals_began_are_built_from_the_journal_once(
    pool: Pool, owner: Pool, verified: Verified
) -> None:
    await history(pool)
    await number_all(pool)
    async with owner.connection() as conn:
        await conn.execute(
            "UPDATE totals_progress SET built = FALSE, begins_at ="
            " (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY created_at) FROM movements"
            " WHERE kind IN (3, 7))"
        )
    assert await roll_up(pool)
    assert await sold(pool) != await journal(pool)
    async with transaction(pool) as conn:
        await totals.build(conn)
        again = asyncio.create_task(build(pool))
        async with asyncio.timeout(60):
            while not await waits(owner):
                await asyncio.sleep(0.01)
    await again
    await build(pool)
    assert await sold(pool) == await journal(pool)
    await verified()


async def test_migration_has_totals_and_sales_of_a_ledger_begin_again(
    pool: Pool, owner: Pool, verified: Verified
) -> None:
    await history(pool)
    await number_all(pool)
    await roll_up(pool)
    async with owner.connection() as conn:
        await conn.execute("DROP TABLE service_sales")
        # As after the migration of a ledger: for a day, the version before may write no events.
        await conn.execute("UPDATE events SET numbered_at = now() + interval '1 day'")
        await conn.execute(MIGRATION.read_bytes())
        begins = "SELECT begins_at > now() + interval '23 hours' FROM totals_progress"
        assert await (await conn.execute(begins)).fetchone() == (True,)
        # The day passes.
        await conn.execute("UPDATE totals_progress SET begins_at = clock_timestamp()")
    with pytest.raises(errors.LedgerTotalsMissing):
        await trial_balance.read(pool, None, "time", None)
    (account,), (service_id,) = await opened(pool, "JPY"), await for_sale(pool, Money(5, "JPY"))
    await made(pool, Settle(by(), Kind.DEPOSIT, account, Money(7, "JPY")))
    await made(pool, Purchase(by(), account, service_id, Money(5, "JPY"), RATES))
    await number_all(pool)
    await roll_up(pool)
    await build(pool)
    assert await sold(pool) == await journal(pool)
    assert await totals_at(pool) == await posted(pool)
    await verified()


async def test_sales_that_are_wrong_are_found(pool: Pool, owner: Pool) -> None:
    await history(pool)
    await number_all(pool)
    await roll_up(pool)
    async with owner.connection() as conn:
        for column in ("quantity", "gross_price_minor", "refunds", "refunded_minor"):
            for sign in ("+", "-"):
                change = f"UPDATE service_sales SET {column} = {column} {sign} 1 WHERE refunds > 0"
                await conn.execute(change.encode())
                found = (await verification.verify(conn)).faults["sales_are_of_movements"]
                assert bool(found) == (sign == "+"), column
        await conn.execute("DELETE FROM service_sales WHERE refunds > 0")
        assert (await verification.verify(conn)).faults["sales_are_of_movements"]
