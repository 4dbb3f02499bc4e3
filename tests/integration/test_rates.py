"""Exchange rates kept in Postgres: one download for all processes, with its age."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors
from balance_service.domain.pricing import Quotation, Rates, RateSheet
from balance_service.providers.rates import BankOfRussia, StaticTable
from balance_service.reading.rates import ExchangeRates
from balance_service.repositories import rates as sheets
from tests.rate_source import Source, cbr

MOSCOW = timezone(timedelta(hours=3))


def exchange(
    pool: Pool, source: Source, refresh_after: timedelta, stale_after: int = 96
) -> ExchangeRates:
    return ExchangeRates(
        pool,
        BankOfRussia(source.url),
        refresh_after=refresh_after,
        stale_after=timedelta(hours=stale_after),
    )


def moscow(days: int = 0) -> datetime:
    """Midnight in Moscow that began today, or another day."""
    today = datetime.now(MOSCOW).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=days)


async def test_sheet_is_fetched_when_due_and_shared_through_postgres(
    pool: Pool, source: Source
) -> None:
    now = datetime.now(UTC)
    source.document = cbr(moscow())
    first, second = (exchange(pool, source, timedelta(hours=1)) for _ in range(2))
    await first.refresh()
    await first.refresh()
    await second.refresh()
    assert source.asked == 1
    for rates in (first, second):
        assert rates.current.rate("USD", "RUB", now).value == Decimal("78.9988")


async def test_source_that_is_away_leaves_the_last_sheet_until_it_is_stale(
    pool: Pool, source: Source
) -> None:
    now = datetime.now(UTC)
    source.document = cbr(moscow(-2))
    rates = exchange(pool, source, timedelta(0))
    await rates.refresh()
    source.document = b""
    await rates.refresh()
    assert source.asked == 2
    rate = rates.current.rate("USD", "RUB", now)
    assert (rate.value, rate.source) == (Decimal("78.9988"), "cbr")
    late = now + timedelta(days=25)
    with pytest.raises(errors.RateStale):
        rates.current.rate("USD", "RUB", late)
    assert rates.current.shown("USD", "RUB", late) == (rate, True)


async def test_no_sheet_at_all_is_no_rate(pool: Pool, source: Source) -> None:
    rates = exchange(pool, source, timedelta(0))
    await rates.refresh()
    with pytest.raises(errors.RateUnavailable):
        rates.current.rate("USD", "RUB", datetime.now(UTC))


async def test_sheet_of_tomorrow_waits_for_its_day(pool: Pool, source: Source) -> None:
    source.document = cbr(moscow())
    rates = exchange(pool, source, timedelta(0))
    await rates.refresh()
    source.document = cbr(moscow(1), "90,5")
    await rates.refresh()
    for current in (rates.current, await restarted(pool, source)):
        for moment, value in (
            (datetime.now(UTC), "78.9988"),
            (moscow(1) - timedelta(microseconds=1), "78.9988"),
            (moscow(1), "90.5"),
        ):
            assert current.rate("USD", "RUB", moment).value == Decimal(value)


async def restarted(pool: Pool, source: Source) -> Rates:
    """What another process goes by that does not ask the source."""
    other = exchange(pool, source, timedelta(hours=1))
    asked = source.asked
    async with pool.connection() as conn:
        await sheets.set_fetch_due(conn, "cbr", datetime.now(UTC) + timedelta(minutes=30))
    await other.refresh()
    assert source.asked == asked
    return other.current


async def test_sheet_in_force_is_asked_for_where_only_the_next_is_at_hand(
    pool: Pool, source: Source
) -> None:
    # As on an evening on which the service starts for the first time, or after a week.
    source.document = cbr(moscow(1), "90,5")
    source.by_day = {moscow().strftime("%d/%m/%Y"): cbr(moscow())}
    rates = exchange(pool, source, timedelta(hours=1))
    await rates.refresh()
    assert rates.current.rate("USD", "RUB", datetime.now(UTC)).value == Decimal("78.9988")
    assert rates.current.rate("USD", "RUB", moscow(1)).value == Decimal("90.5")
    await rates.refresh()
    assert source.asked == 2


async def test_past_moments_have_the_sheets_of_their_time(pool: Pool, source: Source) -> None:
    rates = exchange(pool, source, timedelta(0))
    for day, value in ((-3, "70,5"), (-2, "71,5"), (-1, "72,5"), (0, "73,5")):
        source.document = cbr(moscow(day), value)
        await rates.refresh()
    async with pool.connection() as conn:

        async def then(moment: datetime) -> str:
            shown = (await rates.past(conn, moment)).shown("USD", "RUB", moment)
            return str(shown.rate.value) if shown else ""

        assert await then(moscow(-3) - timedelta(seconds=1)) == ""
        assert await then(moscow(-3)) == "70.5"
        assert await then(moscow(-1) - timedelta(seconds=1)) == "71.5"
        assert await then(moscow(-1) + timedelta(hours=3)) == "72.5"
        assert await then(datetime.now(UTC)) == "73.5"


async def test_sheet_that_is_not_believed_leaves_the_last_in_force(
    pool: Pool, source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    source.document = cbr(moscow(-1))
    rates = exchange(pool, source, timedelta(0))
    await rates.refresh()
    for document in (
        cbr(moscow(), "7899,88"),
        cbr(moscow(), "0,789988"),
        cbr(moscow(40), "79"),
        cbr(moscow(-40), "79"),
    ):
        source.document = document
        await rates.refresh()
        assert "rates_not_believed" in capsys.readouterr().out
        assert rates.current.rate("USD", "RUB", datetime.now(UTC)).value == Decimal("78.9988")
    source.document = cbr(moscow(), "81,5")
    await rates.refresh()
    assert rates.current.rate("USD", "RUB", datetime.now(UTC)).value == Decimal("81.5")


async def test_history_is_not_told_anew(pool: Pool, source: Source) -> None:
    rates = exchange(pool, source, timedelta(0))
    for day, value in ((-2, "70,5"), (0, "71,5"), (-2, "72,5")):
        source.document = cbr(moscow(day), value)
        await rates.refresh()
    async with pool.connection() as conn:
        past = await rates.past(conn, moscow(-1))
    assert past.rate("USD", "RUB", moscow(-1)).value == Decimal("70.5")
    # What is in force, the source may correct.
    source.document = cbr(moscow(), "71,6")
    await rates.refresh()
    assert rates.current.rate("USD", "RUB", datetime.now(UTC)).value == Decimal("71.6")


async def test_processes_that_start_together_have_rates_at_once(pool: Pool, source: Source) -> None:
    source.document = cbr(moscow())
    starting = [exchange(pool, source, timedelta(hours=1)) for _ in range(4)]
    await asyncio.gather(*(rates.refresh() for rates in starting))
    for rates in starting:
        assert rates.current.rate("USD", "RUB", datetime.now(UTC)).value == Decimal("78.9988")
    async with pool.connection() as conn:
        counted = await (await conn.execute("SELECT count(*) FROM rate_sheets")).fetchone()
    assert counted == (1,)


async def test_one_of_many_processes_asks_the_source(pool: Pool, source: Source) -> None:
    source.document = cbr(moscow())
    many = [exchange(pool, source, timedelta(hours=1)) for _ in range(6)]
    await many[0].refresh()
    for wrong in (timedelta(0), timedelta(days=400)):
        # Due, or never again because of a clock that was wrong.
        async with pool.connection() as conn:
            await sheets.set_fetch_due(conn, "cbr", datetime.now(UTC) + wrong)
        asked = source.asked
        await asyncio.gather(*(rates.refresh() for rates in many))
        assert source.asked == asked + 1


async def test_two_processes_that_bring_a_sheet_together_store_one(pool: Pool) -> None:
    sheet = await StaticTable().fetch()
    now = datetime.now(UTC)

    async def bring() -> None:
        async with transaction(pool) as conn:
            # Both begin before either commits, as two workers do that found no sheet.
            await sheets.put(conn, sheet, now)
            await asyncio.sleep(0.2)

    await asyncio.gather(bring(), bring())
    async with pool.connection() as conn:
        assert await sheets.get(conn, "static", now, expires=False) == [sheet]


hours = st.integers(0, 60).map(lambda n: datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=n))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(hours, max_size=8), st.lists(hours, min_size=1, max_size=8))
async def test_kept_sheet_of_a_moment_is_the_newest_whatever_came_first(
    pool: Pool, times: list[datetime], moments: list[datetime]
) -> None:
    source = str(uuid4())
    async with pool.connection() as conn:
        for n, time_ in enumerate(times, 1):
            quotations = {"USD": Quotation(Decimal(1), Decimal(n))}
            await sheets.put(conn, RateSheet(source, "RUB", time_, quotations), time_)
        for moment in moments:
            found = await sheets.get(conn, source, moment, expires=True)
            begun = [time_ for time_ in times if time_ <= moment]
            coming = {time_ for time_ in times if time_ > moment}
            expected = sorted(coming | ({max(begun)} if begun else set()))
            assert [sheet.as_of for sheet in found] == expected
            for sheet in found:
                # Of one time, what came last.
                last = max(n for n, time_ in enumerate(times, 1) if time_ == sheet.as_of)
                assert sheet.quotations["USD"].value == last


async def test_static_table_is_taken_as_it_is(pool: Pool) -> None:
    rates = ExchangeRates(
        pool, StaticTable(), refresh_after=timedelta(hours=1), stale_after=timedelta(hours=1)
    )
    await rates.refresh()
    later = datetime.now(UTC) + timedelta(days=4000)
    assert rates.current.rate("USD", "RUB", later).source == "static"
