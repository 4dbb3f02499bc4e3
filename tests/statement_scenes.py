"""A scene for every refusal that is about statements for periods."""

from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from balance_service.domain import errors
from balance_service.reading import periods
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
