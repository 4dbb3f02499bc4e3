"""The trial balance and journals, as callers and accounting programs get them."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import AsyncClient, v1
from balance_service.database.pool import Pool
from balance_service.domain.chart import CHART
from balance_service.domain.journals.forms import Detail, Form, Period
from balance_service.operations import journals
from tests.cli import Cli
from tests.events import number_all
from tests.journals import back_date
from tests.parity_world import world
from tests.service import Person, Service, reason, refused

MINUTE = timedelta(minutes=1)


def stamp(moment: datetime) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(moment)
    return found


async def trial_balance(client: AsyncClient, time: datetime | None = None) -> v1.TrialBalance:
    request = v1.GetTrialBalanceRequest(time=stamp(time) if time else None)
    return await client.ledgers.GetTrialBalance(request)


async def exported(person: Person, start: datetime, end: datetime, **how: object) -> str:
    """A journal's text."""
    request = v1.ExportJournalRequest(
        start_time=stamp(start),
        end_time=stamp(end),
        **how,  # type: ignore[arg-type]
    )
    return "".join([part.text async for part in person.client.ledgers.ExportJournal(request)])


def days_ago(days: int) -> datetime:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days)


async def bookkept(service: Service) -> Person:
    """An admin of a ledger with a movement of most kinds."""
    return (await world(service)).admin


async def test_trial_balance_proves_that_nothing_appeared(service: Service) -> None:
    admin = await bookkept(service)
    told = await trial_balance(admin.client)
    assert told.balanced
    assert [each.currency for each in told.currencies] == sorted(
        each.currency for each in told.currencies
    )
    by_code = {each.currency: each for each in told.currencies}
    for each in told.currencies:
        assert Decimal(each.difference) == 0
        assert each.debits == each.credits
        assert [line.name for line in each.lines] == [title.name for title in CHART.values()]
        sides = [
            sum(Decimal(getattr(line, side)) for line in each.lines)
            for side in ("debit_balance", "credit_balance")
        ]
        assert sides[0] == sides[1]
    users = by_code["RUB"].lines[1]
    listed = await admin.client.accounts.SearchAccounts(
        v1.SearchAccountsRequest(currency="RUB", page_size=1000)
    )
    assert users.accounts == len(listed.accounts)
    held = sum(Decimal(account.balance) for account in listed.accounts)
    assert Decimal(users.credit_balance) - Decimal(users.debit_balance) == held
    assert [account.role for account in told.chart] == list(CHART)
    assert told.chart[1].normal_side == v1.LEDGER_SIDE_CREDIT


async def test_trial_balance_of_a_past_moment_is_rounded_down_to_the_minute(
    service: Service,
) -> None:
    admin = await bookkept(service)
    before = datetime(2020, 1, 1, 12, 30, 59, 999999, UTC)
    told = await trial_balance(admin.client, before)
    assert told.time.ToDatetime(UTC) == before.replace(second=0, microsecond=0)
    assert (told.balanced, list(told.currencies)) == (True, [])
    assert len(told.chart) == len(CHART)


async def test_trial_balance_is_refused_of_the_future_and_to_others(service: Service) -> None:
    admin, anna = await service.admin(), await service.person()
    future = v1.GetTrialBalanceRequest(time=stamp(datetime.now(UTC) + MINUTE))
    error = await refused(admin.client.ledgers.GetTrialBalance(future))
    assert [violation.field for violation in error.violations] == ["time"]
    far = v1.GetTrialBalanceRequest(time=Timestamp(seconds=10**15))
    error = await refused(admin.client.ledgers.GetTrialBalance(far))
    assert [violation.field for violation in error.violations] == ["time"]
    for refusing in (anna.client, await service.sibling()):
        ask = refusing.ledgers.GetTrialBalance(v1.GetTrialBalanceRequest())
        assert await reason(ask) == "PERMISSION_MISSING"


async def test_journal_is_the_same_by_rpc_and_by_command(
    service: Service, pool: Pool, database_url: str
) -> None:
    admin = await bookkept(service)
    await number_all(pool)
    back_date(database_url, 5)
    start, end = days_ago(7), days_ago(1)
    for detail in Detail:
        for form in Form:
            told = await exported(admin, start, end, format=form.value, detail=detail.value)
            assert "Assets:Settlement" in told
            parts: list[str] = []
            period = Period(start, end)
            await journals.export(service.settings, period, form, detail, parts.append)
            assert "".join(parts) == told
    by_default = await exported(admin, start, end)
    whole = ("--from", f"{start:%Y-%m-%d}", "--to", f"{end:%Y-%m-%dT%H:%MZ}")
    cli = Cli(service.settings.environment())
    shown = await asyncio.to_thread(cli.run, "journal", "export", *whole)
    assert (shown.stdout, shown.returncode) == (by_default, 0), shown.stderr
    built = await asyncio.to_thread(cli.run, "journal", "build-totals")
    assert built.stdout == "The totals were built before.\n"


async def test_totals_are_not_built_while_the_version_before_may_run(
    service: Service, database_url: str
) -> None:
    with psycopg.connect(database_url) as owner:
        owner.execute(
            "UPDATE totals_progress SET built = FALSE, begins_at = now() + interval '1 day'"
        )
    with pytest.raises(journals.TotalsNotDue, match="build the totals after that"):
        await journals.build_totals(service.settings)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("start_time", {"start_time": None}),
        ("end_time", {"end_time": None}),
        ("start_time", {"start_time": Timestamp(seconds=10**15)}),
        ("start_time", {"start_time": Timestamp(seconds=61)}),
        ("end_time", {"end_time": Timestamp(seconds=120, nanos=1000)}),
        ("end_time", {"end_time": Timestamp(seconds=60)}),
        ("end_time", {"end_time": Timestamp(seconds=60 + 3701 * 86400)}),
        ("start_time", {"detail": v1.JOURNAL_DETAIL_DAY}),
        ("detail", {"detail": 9}),
        ("format", {"format": 9}),
    ],
)
async def test_journal_of_a_wrong_period_is_refused(
    service: Service, field: str, wrong: dict[str, object]
) -> None:
    admin = await service.admin()
    right = {"start_time": Timestamp(seconds=60), "end_time": Timestamp(seconds=120)}
    request = v1.ExportJournalRequest(**{**right, **wrong})  # type: ignore[arg-type]
    error = await refused(anext(aiter(admin.client.ledgers.ExportJournal(request))))
    assert field in [violation.field for violation in error.violations]


async def test_journal_is_refused_of_the_future_of_what_is_gone_and_to_others(
    service: Service, pool: Pool, database_url: str
) -> None:
    admin, anna = await bookkept(service), await service.person()
    future = datetime.now(UTC).replace(second=0, microsecond=0) + 2 * MINUTE
    asked = v1.ExportJournalRequest(start_time=stamp(days_ago(9)), end_time=stamp(future))
    error = await refused(anext(aiter(admin.client.ledgers.ExportJournal(asked))))
    assert [violation.field for violation in error.violations] == ["end_time"]
    over = anext(aiter(anna.client.ledgers.ExportJournal(asked)))
    assert await reason(over) == "PERMISSION_MISSING"
    await number_all(pool)
    back_date(database_url, 5)
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "DELETE FROM events WHERE last_sequence < (SELECT max(last_sequence) FROM events)"
        )
    gone = v1.ExportJournalRequest(start_time=stamp(days_ago(9)), end_time=stamp(days_ago(0)))
    assert await reason(anext(aiter(admin.client.ledgers.ExportJournal(gone)))) == "EVENTS_EXPIRED"
