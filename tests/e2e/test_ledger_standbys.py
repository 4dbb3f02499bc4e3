"""The ledger as a whole from a standby: trial balances and balances of now, and journals."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import freshness, v1
from balance_service.reading import journal_export
from balance_service.repositories import journal_export as parts
from balance_service.repositories import outbox
from tests.journals import back_date, back_date_new
from tests.service import Person, Service, rich
from tests.standbys import PATIENCE_SECONDS, Made, Pair, Told, ask, balance, until, watched

pytestmark = [pytest.mark.xdist_group("standbys"), pytest.mark.usefixtures("within")]

WEEK = timedelta(days=7)
# What keeps a movement that is committed from being told.
HELD_UP = {
    v1.JOURNAL_DETAIL_MOVEMENT: f"SELECT pg_advisory_xact_lock({outbox._LOCK})",
    v1.JOURNAL_DETAIL_DAY: "SELECT FROM totals_progress FOR UPDATE",
}


@pytest.fixture
def server_url(servers: Pair) -> str:
    """Where the databases of these tests are."""
    return servers.url


def of_now(
    admin: Person, max_staleness: str = "60s", at_least: str | None = None
) -> Awaitable[Told]:
    request = v1.GetTrialBalanceRequest()
    return ask(admin.client.ledgers.GetTrialBalance, request, max_staleness, at_least)


def of_all(
    admin: Person,
    max_staleness: str | None = "60s",
    at_least: str | None = None,
    request: v1.ListBalancesRequest | None = None,
) -> Awaitable[Told]:
    wanted = request or v1.ListBalancesRequest()
    return ask(admin.client.reports.ListBalances, wanted, max_staleness, at_least)


def held(told: Told) -> str:
    """What all users have, by a trial balance in one currency, which has to balance."""
    (roubles,) = told.answer.currencies
    assert told.answer.balanced
    return str(roubles.lines[1].credit_balance)


def moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)


async def test_trial_balance_of_now_is_one_moment_of_the_standby(
    servers: Pair, keeper: tuple[Person, str]
) -> None:
    admin, account = keeper
    with servers.paused():
        made = await admin.deposit("10", account)
        old = await of_now(admin)
        assert (old.read_from, held(old)) == ("standby", "1000.00")
        told = datetime.fromisoformat(old.as_of)
        assert told <= moment(old.answer.time) <= moment(made.date)
        new = await of_now(admin, at_least=made.id)
        assert (new.read_from, held(new)) == ("primary", "1010.00")
        assert moment(new.answer.time) >= moment(made.date)
    seen = await until(lambda: of_now(admin, at_least=made.id), "standby")
    assert held(seen) == "1010.00"


async def test_balances_of_now_are_of_the_last_moment_that_is_over_on_the_standby(
    servers: Pair, replicated: Service, keeper: tuple[Person, str]
) -> None:
    admin, account = keeper
    await rich(replicated)

    async def over() -> Told:
        told = await of_all(admin)
        return told if len(told.answer.balances) == 2 else Told(told.answer, "", "", "")

    await until(over, "standby")
    with servers.paused():
        made = await admin.deposit("10", account)
        old = await of_all(admin)
        of = moment(old.answer.as_of)
        assert (old.read_from, len(old.answer.balances)) == ("standby", 2)
        assert {each.balance for each in old.answer.balances} == {"1000.00"}
        told = datetime.fromisoformat(old.as_of)
        assert timedelta() <= of + timedelta(microseconds=1) - told < timedelta(milliseconds=1)
        assert of < moment(made.date)
    same = v1.ListBalancesRequest(as_of=old.answer.as_of)
    assert (await of_all(admin, None, request=same)).answer == old.answer


async def test_balances_of_now_are_never_older_than_accepted_nor_than_what_was_seen(
    keeper: tuple[Person, str],
) -> None:
    admin, account = keeper
    made = await admin.deposit("10", account)
    await until(lambda: balance(admin, account, at_least=made.id), "standby")
    assert (await of_all(admin, at_least=made.id)).read_from == "primary"
    await until(lambda: of_all(admin, at_least=""), "standby")
    await until(lambda: balance(admin, account, "1s"), "standby")
    # What is over is more than a second ago.
    assert (await of_all(admin, "1s")).read_from == "primary"


async def test_pages_go_on_where_a_standby_began_them(
    replicated: Service, keeper: tuple[Person, str]
) -> None:
    admin, _ = keeper
    await rich(replicated)
    first = v1.ListBalancesRequest(page_size=1)

    async def both() -> Told:
        told = await of_all(admin, request=first)
        return told if told.answer.next_page_token else Told(told.answer, "", "", "")

    page = await until(both, "standby")
    second = v1.ListBalancesRequest(page_size=1, page_token=page.answer.next_page_token)
    for max_staleness in ("60s", "0s"):
        rest = await of_all(admin, max_staleness, request=second)
        assert rest.answer.as_of == page.answer.as_of
        assert len({each.account for each in (*page.answer.balances, *rest.answer.balances)}) == 2


def whole_days(detail: int = v1.JOURNAL_DETAIL_MOVEMENT) -> v1.ExportJournalRequest:
    """The last week, without today."""
    request = v1.ExportJournalRequest(detail=detail)  # type: ignore[arg-type]
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    request.start_time.FromDatetime(today - WEEK)
    request.end_time.FromDatetime(today)
    return request


async def exported(
    admin: Person, request: v1.ExportJournalRequest, max_staleness: float | None = None
) -> list[str]:
    """The parts of a journal."""
    told = freshness.ask(max_staleness)
    method = admin.client.ledgers.ExportJournal
    return [part.text async for part in method(request, metadata=told)]


async def exported_by(
    made: Made, server: str, export: Callable[[], Awaitable[list[str]]]
) -> list[str]:
    """The parts of a journal, once a kind of server makes all of it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            made.by.clear()
            told = await export()
            if made.by == [server]:
                return told
            await asyncio.sleep(0.05)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    """Who makes journals."""
    return watched(monkeypatch, journal_export, "export")


@pytest.mark.parametrize("detail", HELD_UP)
async def test_journal_is_the_same_from_a_standby(
    database_url: str, keeper: tuple[Person, str], made: Made, detail: int
) -> None:
    admin, account = keeper
    await admin.deposit("2", account)
    await numbered(database_url)
    back_date(database_url, 3)
    request = whole_days(detail)
    whole = await exported(admin, request)
    assert made.by == ["primary"]
    assert "2.00" in "".join(whole) or "1002.00" in "".join(whole)
    told = await exported_by(made, "standby", lambda: exported(admin, request, 60))
    assert told == whole


async def test_journal_that_a_standby_breaks_off_goes_on_from_the_primary(
    database_url: str,
    keeper: tuple[Person, str],
    made: Made,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin, account = keeper
    for amount in ("1", "2", "3"):
        await admin.deposit(amount, account)
    await numbered(database_url)
    back_date(database_url, 3)
    monkeypatch.setattr(parts, "PART_EVENTS", 1)
    request = whole_days()
    whole = await exported(admin, request)
    assert len(whole) == 5  # The head, and each deposit.
    await exported_by(made, "standby", lambda: exported(admin, request, 60))
    for after in (1, 3):
        made.by.clear()
        made.broken_after = after
        assert await exported(admin, request, 60) == whole
        assert made.by == ["standby", "primary"]


@pytest.mark.parametrize(("detail", "held_up"), HELD_UP.items())
async def test_journal_from_a_standby_lacks_nothing_that_is_dated_in_its_period(
    database_url: str, keeper: tuple[Person, str], made: Made, detail: int, held_up: str
) -> None:
    """A deposit is shown that has no number, or is not in the totals."""
    admin, account = keeper
    await numbered(database_url)
    back_date(database_url, 3)
    request = whole_days(detail)

    def export() -> Awaitable[list[str]]:
        return exported(admin, request, 60)

    await exported_by(made, "standby", export)
    async with holding(database_url, held_up):
        late = await admin.deposit("7", account)
        back_date_new(database_url)
        await until(lambda: balance(admin, account, at_least=late.id), "standby")
        made.by.clear()
        asking = asyncio.ensure_future(export())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while made.by != ["standby", "primary"]:
                assert not asking.done()
                await asyncio.sleep(0.02)
    whole = await asking
    assert " 7.00 RUB" in "".join(whole)
    assert await exported_by(made, "standby", export) == whole


@contextlib.asynccontextmanager
async def holding(database_url: str, statement: str) -> AsyncIterator[None]:
    """Holds a lock until the end."""
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        await conn.execute(statement.encode())
        yield


async def numbered(database_url: str) -> None:
    """Waits until all events have their numbers and are in the totals."""
    done = (
        "SELECT NOT EXISTS (SELECT FROM outbox) AND followed_sequence ="
        " (SELECT max(last_sequence) FROM events) FROM totals_progress"
    )
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await (await conn.execute(done)).fetchone() != (True,):
                await asyncio.sleep(0.05)
