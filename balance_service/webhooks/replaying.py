"""Has events of the log be sent again."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.database.pool import Connection
from balance_service.domain import errors
from balance_service.domain.events import Place
from balance_service.domain.webhooks import Delivery, Endpoint
from balance_service.repositories import events
from balance_service.repositories import webhook_deliveries as deliveries

# Events that are read at once.
READ_MAX = 1_000


class Part(NamedTuple):
    """A part of the log, by the numbers of its first event and its last."""

    first: int
    last: int


async def part(conn: Connection, first: int, last: int) -> Part:
    """The part of the log from a number to another, as far as it has got.

    Raises:
        EventsExpired: The first of it is not kept any more.
    """
    oldest = await events.oldest(conn)
    if first <= oldest:
        raise errors.EventsExpired(str(oldest + 1))
    return Part(first, min(last, (await events.newest(conn)).sequence))


async def part_by_time(conn: Connection, start: datetime, end: datetime | None) -> Part:
    """The part of the log from a moment to another; by default, to its end.

    Raises:
        EventsExpired: Some of it may not be kept any more.
    """
    before = await events.before_time(conn, start)
    oldest = await events.oldest(conn)
    if 0 < before <= oldest:
        raise errors.EventsExpired(str(oldest + 1))
    last = (await events.newest(conn)).sequence
    return Part(before + 1, await events.before_time(conn, end) if end else last)


async def replay(conn: Connection, endpoint: Endpoint, wanted: Part) -> int:
    """Has a part of the log be sent, also what was sent before; how many events that is."""
    place = await events.after(conn, wanted.first - 1)
    count = 0
    while place.sequence < wanted.last:
        reach = min(READ_MAX, wanted.last - place.sequence)
        page = await events.page(conn, place, endpoint.wanted, reach, reach)
        await deliveries.add(conn, endpoint.endpoint_id, page.events)
        told = [event.place.event_id for event in page.events]
        count += await deliveries.again(conn, endpoint.endpoint_id, told)
        place = page.end
    return count


async def again(conn: Connection, endpoint: Endpoint, event_id: UUID) -> Delivery:
    """Has an event be sent again.

    Raises:
        WebhookDeliveryNotFound: It was not sent, and was not to be.
        EventsExpired: The log does not have it any more.
    """
    known = await get(conn, endpoint, event_id)
    if known.sequence is not None:
        await events.check(conn, Place(known.sequence, event_id))
        if await events.at(conn, known.sequence) is None:
            raise errors.EventsExpired(str(await events.oldest(conn) + 1))
    await deliveries.again(conn, endpoint.endpoint_id, [event_id])
    return await get(conn, endpoint, event_id)


async def get(conn: Connection, endpoint: Endpoint, event_id: UUID) -> Delivery:
    """What became of an event.

    Raises:
        WebhookDeliveryNotFound: It was not sent, and was not to be.
    """
    found = await deliveries.find(conn, endpoint.endpoint_id, event_id)
    if found is None:
        raise errors.WebhookDeliveryNotFound(str(event_id))
    return found


async def place_to_go_on(conn: Connection, place: Place) -> Place:
    """Where an endpoint goes on: where it was, or at the oldest if events are missing."""
    try:
        await events.check(conn, place)
    except (errors.EventsExpired, errors.EventsLost):
        return await events.after(conn, await events.oldest(conn))
    return place
