"""An endpoint of webhooks that fails at random, and holds what it took to what it was to hear."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from balance_client import AsyncClient, WebhookInvalid, v1, verify_webhook
from balance_client.policy import new_request_id
from rehearsals import stage

# Of the service: webhooks go to this machine.
SETTINGS = {"webhooks_plain_http": True, "webhooks_networks": "127.0.0.0/8"}
# So few that an endpoint that fails can be told of all of them.
TYPES = [
    f"balance.v1.{kind}"
    for kind in (
        "schedule.created",
        "schedule.cancelled",
        "schedule.occurrence_done",
        "schedule.occurrence_skipped",
        "schedule.occurrence_failed",
        "exchange.reversed",
        "hold.voided",
    )
]
# What it does with a request, and how often: of 1,000.
WAYS = {
    "taken": 750,
    "taken slowly": 50,
    "taken, answer lost": 50,
    "refused": 97,
    "dropped": 50,
    "too late": 3,
}
SLOW_SECONDS_MAX = 2.0
# Longer than the service waits for an answer.
LATE_SECONDS = 16
# Longer than the turn of a worker that died, and than the rest after some failures.
HEARD_SECONDS_MAX = 240
# Within it, what no dead worker's turn and no later attempt holds back is sent.
QUICK_SECONDS = 3
# What is tried again later than this, its owner has sent again at the end.
SOON = timedelta(seconds=8)
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass
class Receiver:
    """Takes what is sent to it, or fails.

    Args:
        client: Calls the service as the endpoint's owner.
        rng: Decides how it fails.
        accepted: How often it took an event with a good signature, by the event's id.
        ways: How often it did what with a request.
        recovered: Whether it fails no more.
    """

    client: AsyncClient
    rng: random.Random
    accepted: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    recovered: bool = False
    _endpoint: v1.WebhookEndpoint = field(default_factory=v1.WebhookEndpoint)
    _server: asyncio.Server | None = None

    @property
    def repeats(self) -> int:
        """How often it took an event that it had."""
        return self.accepted.total() - len(self.accepted)

    async def start(self) -> None:
        """Listens, and has the service send to it from now on.

        Raises:
            BalanceError: The service refused what it must not refuse.
        """
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        asked = v1.WebhookEndpoint(
            url=f"http://127.0.0.1:{port}/", filter=v1.EventFilter(types=TYPES)
        )
        request = v1.CreateWebhookEndpointRequest(endpoint=asked, request_id=str(new_request_id()))
        self._endpoint = await stage.insist(self.client.webhooks.CreateWebhookEndpoint, request)

    def close(self) -> None:
        """Stops listening."""
        if self._server:
            self._server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.strip().split("\r\n")[1:]
            headers = {name.lower(): value for name, value in (x.split(": ", 1) for x in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            writer.write(await self._answer(headers, body))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # The worker that sent it is gone.
        finally:
            writer.close()

    async def _answer(self, headers: dict[str, str], body: bytes) -> bytes:
        """What it says to a request; nothing where the connection is dropped."""
        way = "taken" if self.recovered else self.rng.choices(*zip(*WAYS.items(), strict=True))[0]
        try:
            event = verify_webhook(headers, body, self._endpoint.secret)
        except WebhookInvalid:
            # As of a worker whose clock is an hour behind.
            way = "not believed"
        self.ways[way] += 1
        if way == "taken slowly":
            await asyncio.sleep(self.rng.uniform(0, SLOW_SECONDS_MAX))
        elif way == "too late":
            await asyncio.sleep(LATE_SECONDS)
        if way.startswith("taken"):
            self.accepted[event.id] += 1
        if way in ("dropped", "taken, answer lost"):
            return b""
        status = {"refused": "503 Unavailable", "not believed": "400 Bad Request"}.get(
            way, "200 OK"
        )
        return f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode()

    async def settle(self, *, quick: bool) -> None:
        """Fails no more, and returns once it has heard everything, or after a time.

        Args:
            quick: Whether it does not wait for what a dead worker or a later attempt holds back.
        """
        self.recovered = True
        loop = asyncio.get_running_loop()
        end = loop.time() + (QUICK_SECONDS if quick else HEARD_SECONDS_MAX)
        wanted = {event.id async for event in self._wanted()}
        while loop.time() < end:
            pending = [each async for each in self._deliveries(v1.WEBHOOK_DELIVERY_STATE_PENDING)]
            if not pending and wanted <= self.accepted.keys():
                return
            for each in pending if not quick else ():
                if each.next_attempt_time.ToDatetime(UTC) > datetime.now(UTC) + SOON:
                    again = v1.RedeliverWebhookDeliveryRequest(
                        endpoint=self._endpoint.id, event=each.event
                    )
                    await stage.insist(self.client.webhooks.RedeliverWebhookDelivery, again)
            await asyncio.sleep(0.5)

    async def find_anomalies(self, *, quick: bool) -> list[str]:
        """What it heard that it may not hear, and what it did not hear.

        Args:
            quick: Whether some may still be on its way.
        """
        delivered = {
            each.event async for each in self._deliveries(v1.WEBHOOK_DELIVERY_STATE_DELIVERED)
        }
        accepted = set(self.accepted)
        wanted = {event.id async for event in self._wanted()}
        return list(_compare(accepted, delivered, wanted, quick=quick))

    async def _wanted(self) -> AsyncIterator[v1.Event]:
        """What its owner may list, of what it asked to hear."""
        request = v1.ListEventsRequest(filter=v1.EventFilter(types=TYPES), page_size=1000)
        request.start_time.FromDatetime(BEGINNING)
        while True:
            page = await stage.insist(self.client.events.ListEvents, request)
            for event in page.events:
                yield event
            if not page.next_page_token:
                return
            request = v1.ListEventsRequest(
                filter=v1.EventFilter(types=TYPES), page_size=1000, page_token=page.next_page_token
            )

    async def _deliveries(
        self, state: v1.WebhookDeliveryState.ValueType
    ) -> AsyncIterator[v1.WebhookDelivery]:
        request = v1.ListWebhookDeliveriesRequest(
            endpoint=self._endpoint.id, state=state, page_size=1000
        )
        while True:
            page = await stage.insist(self.client.webhooks.ListWebhookDeliveries, request)
            for each in page.deliveries:
                yield each
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


def _compare(
    accepted: set[str], delivered: set[str], wanted: set[str], *, quick: bool
) -> Iterator[str]:
    yield from (f"webhook: heard and not listed: {each}" for each in accepted - wanted)
    yield from (f"webhook: delivered and never taken: {each}" for each in delivered - accepted)
    if not quick:
        yield from (f"webhook: listed and never heard: {each}" for each in wanted - accepted)
