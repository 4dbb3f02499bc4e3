"""What callers were told before old entries were put into files, and what they are told after."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import SecretStr

from balance_client import AsyncClient, AsyncServiceCredentials, BalanceError, v1
from balance_service.config import Settings
from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import ids
from balance_service.domain.principals import Scope
from balance_service.operations import administration, archives
from balance_service.repositories import totals
from tests.archived import date_back, expire_events
from tests.checkpoints import cover_all
from tests.integration.test_commit_path import transfer
from tests.integration.test_sub_accounts import number, shop
from tests.partitions import BEGINS_WHOLE, convert
from tests.service import StartService, replayed

pytestmark = BEGINS_WHOLE

THIS_YEAR = datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC)
LAST_YEAR = THIS_YEAR.replace(year=THIS_YEAR.year - 1)
HORIZON = Timestamp(seconds=int(THIS_YEAR.timestamp()))
LONG_AGO = Timestamp(seconds=1)
# What has an answer only as long as older entries are in the database.
REFUSED = {"list before", "statement before", "statement across", "balance before"}

Questions = dict[str, Callable[[], Awaitable[object]]]


async def three_years(
    pool: Pool, settings: Settings, database_url: str
) -> tuple[UUID, UUID, list[UUID]]:
    """An account with sub-accounts, one that pays to it each year, and the request ids of that."""
    await convert(database_url, cutover=LAST_YEAR)
    worker, account, (payer, *_) = await shop(pool)
    paid = []
    # The receipts of the second year are booked just before the horizon.
    for then in (LAST_YEAR - timedelta(days=100), THIS_YEAR - timedelta(seconds=1), None):
        request_ids = [ids.new_id() for _ in range(3)]
        await worker.commit(*(transfer(payer, account, 10, each) for each in request_ids))
        paid += request_ids
        if then:
            await date_back(database_url, then)
    await number(pool, account)
    await cover_all(pool, settings)
    async with pools.transaction(pool) as conn:
        await totals.roll_up(conn)
    await expire_events(database_url)
    return account, payer, paid


def questions(client: AsyncClient, account: str, now: Timestamp) -> Questions:
    """What is asked of an account, by name."""
    last = Timestamp()
    last.FromDatetime(THIS_YEAR - timedelta(microseconds=1))
    year = Timestamp(seconds=int(LAST_YEAR.timestamp()))

    def listed(**asked: Any) -> Callable[[], Awaitable[object]]:
        wanted = v1.MovementFilter(**asked)
        request = v1.ListEntriesRequest(account=account, filter=wanted, page_size=100)
        return lambda: client.accounts.ListEntries(request)

    def stated(start: Timestamp, end: Timestamp) -> Callable[[], Awaitable[object]]:
        request = v1.GetStatementRequest(account=account, start_time=start, end_time=end)
        return lambda: client.statements.GetStatement(request)

    def balance(as_of: Timestamp) -> Callable[[], Awaitable[object]]:
        request = v1.GetAccountRequest(account=account, as_of=as_of)
        return lambda: client.accounts.GetAccount(request)

    return {
        "list": listed(),
        "list since the horizon": listed(start_time=HORIZON),
        "list before": listed(start_time=LONG_AGO),
        "statement since the horizon": stated(HORIZON, now),
        "statement before": stated(year, HORIZON),
        "statement across": stated(year, now),
        "balance since the horizon": balance(HORIZON),
        "balance at the end of the year before": balance(last),
        "balance before": balance(year),
    }


async def answers(asked: Questions) -> dict[str, object]:
    """What each question is answered, or why it is refused."""
    told: dict[str, object] = {}
    for name, ask in asked.items():
        try:
            told[name] = await ask()
        except BalanceError as error:
            told[name] = error.reason
    return told


async def test_answers_are_as_before_or_refused(
    start_service: StartService,
    pool: Pool,
    service_settings: Settings,
    database_url: str,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "archives"
    account_id, payer_id, paid = await three_years(pool, service_settings, database_url)
    account, payer = str(account_id), str(payer_id)
    owner = service_settings.model_copy(update={"owner_database_url": SecretStr(database_url)})
    secret = await administration.create_service_principal(owner, "test", "", list(Scope))
    service = await start_service()
    client = service.client(AsyncServiceCredentials("test", secret))
    newest = await client.accounts.ListEntries(v1.ListEntriesRequest(account=account, page_size=1))
    now = newest.entries[0].date
    asked = [questions(client, each, now) for each in (account, payer)]
    payments = [
        v1.CreateTransferRequest(
            from_account=payer, to_account=account, amount="0.10", request_id=str(each)
        )
        for each in paid
    ]
    before = [await answers(each) for each in asked]
    assert not any("PERIOD_ARCHIVED" in told.values() for told in before)
    carried_out = [await client.transfers.CreateTransfer(payment) for payment in payments]

    made = await asyncio.to_thread(archives.write, owner, folder, THIS_YEAR, timedelta(0))
    assert [manifest.ends_at for manifest in made] == [LAST_YEAR, THIS_YEAR]
    after = [await answers(each) for each in asked]
    for told, was in zip(after, before, strict=True):
        whole = was["list"]
        assert isinstance(whole, v1.ListEntriesResponse)
        left = v1.ListEntriesResponse(entries=whole.entries[:3], archived_before=HORIZON)
        assert told == was | dict.fromkeys(REFUSED, "PERIOD_ARCHIVED") | {"list": left}
    for payment, first in zip(payments, carried_out, strict=True):
        assert await replayed(client.transfers.CreateTransfer(payment))
        assert await client.transfers.CreateTransfer(payment) == first
    assert [await answers(each) for each in asked] == after

    report = await administration.verify(owner, archives=folder)
    assert report.clean, report.faults
    for _ in made:
        await asyncio.to_thread(archives.restore, owner, folder, lambda _step: None)
    assert [await answers(each) for each in asked] == before
