"""A scene for every refusal that is about statements for periods."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from balance_service.domain import errors
from balance_service.reading import periods
from tests.archived import archive
from tests.refusal_scenes import Ask, World, provokes


@provokes(errors.StatementTooLong)
async def period_with_more_entries_than_are_added_up(world: World) -> Ask:
    date = (await world.anna.deposit("1", world.account)).date
    await world.anna.deposit("1", world.account)
    world.patch.setattr(periods, "ENTRIES_MAX", 1)
    request = v1.GetStatementRequest(
        account=world.account,
        start_time=Timestamp(seconds=1),
        end_time=Timestamp(seconds=date.seconds, nanos=date.nanos + 1000),
    )
    return Ask("StatementService/GetStatement", request, world.anna)


@provokes(errors.PeriodArchived)
async def balances_of_an_archived_time(world: World) -> Ask:
    # Before anything was booked, so that other scenes have their entries.
    await archive(world.database_url, datetime(2000, 1, 1, tzinfo=UTC))
    request = v1.ListBalancesRequest(as_of=Timestamp(seconds=1))
    return Ask("ReportService/ListBalances", request, world.admin)
