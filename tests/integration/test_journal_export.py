"""Journals on real Postgres, read by the accounting programs that they are for."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors
from balance_service.domain.commands import Origin, Settle, Transfer
from balance_service.domain.journals.forms import Detail, Form, Period
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.reading import journal_export
from balance_service.repositories import journal_export as parts
from balance_service.repositories import totals
from tests.archived import archive
from tests.events import number_all
from tests.integration.small_ledger import exchanges, history, made, opened
from tests.integration.test_totals import at
from tests.journals import READERS, back_date, balances, needs, together

DAY = timedelta(days=1)
# Long enough ago that nothing was posted before.
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
# What would break a line, a comment, a tag, a quote or a column, if it were not text alone.
HOSTILE = (
    'Salary; time:2001-01-01 | (paid) "in\\" full, a=b\tc  {} ^link #tag @@ 1 USD',
    "=HYPERLINK(0)",
    "* ! 2001-01-01 open\r\n    Assets:Settlement  1 RUB\u2028x",
    '"',
    "\\",
)


def today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def roll_up(pool: Pool) -> None:
    async with transaction(pool) as conn:
        await totals.roll_up(conn)


async def books(pool: Pool, database_url: str) -> None:
    """A ledger with movements of every kind ten days ago, and more five days ago."""
    await history(pool)
    await number_all(pool)
    back_date(database_url, 5)
    anna, boris = await opened(pool, "RUB", "RUB")
    await made(
        pool,
        *(
            Settle(
                Origin(principal="service:x", description=text),
                Kind.DEPOSIT,
                anna,
                Money(1_000, "RUB"),
            )
            for text in HOSTILE
        ),
    )
    await exchanges(pool, anna)
    await number_all(pool)
    back_date(database_url, 5)
    # An account that moved before, and again today; one that moved before alone.
    await made(pool, Transfer(Origin(principal="service:x"), anna, boris, Money(10, "RUB")))
    await number_all(pool)
    await roll_up(pool)


async def exported(
    pool: Pool, start: datetime, end: datetime, form: Form, detail: Detail, **how: bool
) -> str:
    told = journal_export.export(pool, Period(start, end), form, detail, **how)
    return "".join([part async for part in told])


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("detail", Detail)
async def test_programs_read_the_balances_of_the_trial_balance(
    pool: Pool, database_url: str, tmp_path: Path, form: Form, detail: Detail
) -> None:
    needs(form)
    await books(pool, database_url)
    path = tmp_path / "book"
    for start, end in ((LONG_AGO, today()), (today() - 7 * DAY, today())):
        path.write_text(await exported(pool, start, end, form, detail), encoding="utf-8")
        found = READERS[form](path)
        expected = balances(await at(pool, end))
        assert expected
        assert together(found) == expected
        assert (found != expected) == (detail is Detail.MOVEMENT)


async def test_accounts_of_users_have_their_own_balances(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    await books(pool, database_url)
    path = tmp_path / "book"
    text = await exported(pool, today() - 7 * DAY, today(), Form.CSV, Detail.MOVEMENT)
    path.write_text(text, encoding="utf-8")
    found = READERS[Form.CSV](path)
    with psycopg.connect(database_url) as conn:
        rows = conn.execute(
            "SELECT DISTINCT ON (a.account_id) a.number, a.currency, e.balance_after_minor,"
            " e.created_at FROM entries AS e JOIN accounts AS a USING (account_id)"
            " WHERE e.created_at < %s ORDER BY a.account_id, e.sequence DESC",
            [today()],
        ).fetchall()
    since = today() - 7 * DAY
    moved = {
        (f"Liabilities:Users:{number}", currency): Money(-minor, currency)
        for number, currency, minor, at_ in rows
        if at_ >= since and minor
    }
    assert moved
    told = {key: str(amount) for key, amount in found.items() if key[0].count(":") == 2}
    assert told == {key: str(amount) for key, amount in moved.items()}


@pytest.mark.parametrize("form", Form)
async def test_parts_of_the_log_and_the_journal_itself_tell_the_same(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch, form: Form
) -> None:
    await books(pool, database_url)
    asked = today() - 7 * DAY, today(), form, Detail.MOVEMENT
    whole = await exported(pool, *asked)
    for events in (1, 7):
        monkeypatch.setattr(parts, "PART_EVENTS", events)
        assert await exported(pool, *asked) == whole
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "DELETE FROM events WHERE last_sequence < (SELECT max(last_sequence) FROM events)"
        )
    with pytest.raises(errors.EventsExpired):
        await exported(pool, *asked)
    monkeypatch.setattr(journal_export, "PART_SIDES", 3)
    by_time = await exported(pool, *asked, from_journal=True)
    assert sorted(by_time.splitlines()) == sorted(whole.splitlines())


async def test_parts_end_at_the_same_places_wherever_the_first_begins(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await history(pool)
    await number_all(pool)
    monkeypatch.setattr(parts, "PART_EVENTS", 3)

    async def ends(after: int) -> list[int]:
        found: list[int] = []
        async with pool.connection() as conn:
            while (part := await parts.part(conn, after)).last_sequence is not None:
                found.append(after := part.last_sequence)
        return found

    async with pool.connection() as conn:
        rows = await (await conn.execute("SELECT last_sequence FROM events")).fetchall()
    whole = await ends(0)
    assert len(whole) > 2
    for (after,) in rows:
        assert await ends(after) == [end for end in whole if end > after], after


async def test_journal_of_a_time_long_past_waits_for_nothing_of_now(
    pool: Pool, database_url: str
) -> None:
    await books(pool, database_url)
    asked = today() - 7 * DAY, today() - DAY, Form.HLEDGER
    whole = {detail: await exported(pool, *asked, detail) for detail in Detail}
    (anna,) = await opened(pool, "RUB")
    deposit = Settle(Origin(principal="service:x"), Kind.DEPOSIT, anna, Money(1_000, "RUB"))
    await made(pool, deposit)
    # It gets no number, and is not rolled up.
    for detail in Detail:
        assert await exported(pool, *asked, detail) == whole[detail]


async def test_text_of_users_stays_within_its_field(pool: Pool, database_url: str) -> None:
    await books(pool, database_url)
    for form in Form:
        text = await exported(pool, LONG_AGO, today(), form, Detail.MOVEMENT)
        lines = [line for line in text.splitlines() if "Assets:Settlement 1 RUB x" in line]
        assert len(lines) == (2 if form is Form.CSV else 1)
        assert all("* ! 2001-01-01" in line for line in lines)
    assert ",'=HYPERLINK(0)," in text


async def test_period_with_nothing_in_it_has_the_balances_of_its_start_alone(
    pool: Pool, database_url: str
) -> None:
    assert "RUB" not in await exported(pool, LONG_AGO, today(), Form.HLEDGER, Detail.MOVEMENT)
    await books(pool, database_url)
    for detail in Detail:
        start = today() - 2 * DAY
        text = await exported(pool, start, today(), Form.HLEDGER, detail)
        assert "(opening-RUB) opening" in text
        assert text.count(" * (") == text.count("(opening-")
    with pytest.raises(errors.InvalidFields):
        await exported(pool, today(), today() + 2 * DAY, Form.HLEDGER, Detail.DAY)


async def test_journal_of_archived_time_is_told_by_day_alone(pool: Pool, database_url: str) -> None:
    anna, boris = await opened(pool, "RUB", "RUB")
    await made(pool, Settle(Origin(principal="service:x"), Kind.DEPOSIT, anna, Money(1_000, "RUB")))
    await number_all(pool)
    back_date(database_url, 5)
    await made(pool, Transfer(Origin(principal="service:x"), anna, boris, Money(10, "RUB")))
    await number_all(pool)
    back_date(database_url, 1)
    await roll_up(pool)
    horizon = today() - 3 * DAY
    days = await exported(pool, LONG_AGO, today(), Form.HLEDGER, Detail.DAY)
    later = await exported(pool, horizon, today(), Form.HLEDGER, Detail.MOVEMENT)
    await archive(database_url, horizon)
    for from_journal in (True, False):
        for start in (LONG_AGO, horizon - timedelta(minutes=1)):
            with pytest.raises(errors.PeriodArchived) as refused:
                await exported(
                    pool, start, today(), Form.HLEDGER, Detail.MOVEMENT, from_journal=from_journal
                )
            assert refused.value.available_from == horizon
    assert await exported(pool, LONG_AGO, today(), Form.HLEDGER, Detail.DAY) == days
    # With the opening of an account whose last entry before is archived.
    assert await exported(pool, horizon, today(), Form.HLEDGER, Detail.MOVEMENT) == later
