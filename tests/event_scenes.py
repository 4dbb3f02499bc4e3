"""A scene for every refusal that is about the log of events, or what is made of it."""

import asyncio
from typing import LiteralString

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from balance_service.domain import errors
from tests.parity_world import first_event
from tests.refusal_scenes import Ask, World, provokes


async def _rewrite(world: World, statement: LiteralString) -> None:
    async with await _connect(world) as conn:
        await conn.execute(statement)


async def _connect(world: World) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(world.database_url)


async def _numbered(world: World) -> None:
    """Waits until the log has all that was committed: the refusal tells its newest number."""
    async with asyncio.timeout(60), await _connect(world) as conn:
        while (await conn.execute("SELECT FROM outbox LIMIT 1")).rowcount:
            await conn.commit()
            await asyncio.sleep(0.05)


@provokes(errors.EventsExpired)
async def events_that_are_not_kept(world: World) -> Ask:
    oldest = v1.WatchEventsRequest(start_time=Timestamp(seconds=1))
    token = (await anext(aiter(world.anna.client.events.WatchEvents(oldest)))).page_token
    await first_event(world.anna.client)
    await _rewrite(
        world,
        "DELETE FROM events WHERE last_sequence < (SELECT max(last_sequence) FROM events)",
    )
    return Ask("EventService/ListEvents", v1.ListEventsRequest(page_token=token), world.anna)


@provokes(errors.EventsLost)
async def events_that_another_server_had(world: World) -> Ask:
    await _numbered(world)
    now = v1.WatchEventsRequest()
    token = (await anext(aiter(world.anna.client.events.WatchEvents(now)))).page_token
    await _rewrite(
        world,
        "UPDATE events SET event_id = gen_random_uuid(), movement_ids[size] = gen_random_uuid()",
    )
    return Ask("EventService/WatchEvents", v1.WatchEventsRequest(page_token=token), world.anna)


@provokes(errors.LedgerTotalsMissing)
async def totals_that_were_not_built(world: World) -> Ask:
    await _rewrite(world, "UPDATE totals_progress SET built = FALSE")
    return Ask("LedgerService/GetTrialBalance", v1.GetTrialBalanceRequest(), world.admin)
