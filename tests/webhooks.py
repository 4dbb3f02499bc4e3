"""Receivers of webhooks, on this machine, that answer as a test wants them to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from balance_client import AsyncClient, v1, verify_webhook
from balance_service.domain.principals import Scope

# Settings of a service that may send to this machine.
LOCAL = {"webhooks_plain_http": True, "webhooks_networks": "127.0.0.0/8"}
LISTENING = (Scope.WEBHOOKS_WRITE, Scope.EVENTS_READ)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Got(NamedTuple):
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> v1.Event:
        return verify_webhook(self.headers, self.body, secret)


Answer = Callable[[Got], bytes | Awaitable[bytes]]


@dataclass
class Receiver:
    """Takes requests and keeps them.

    Args:
        url: Where it is.
        answer: What it says to each, byte by byte; a connection is closed after that.
    """

    url: str = ""
    answer: Answer = field(default=lambda _: OK)
    got: list[Got] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)
    taking: set[asyncio.Task[None]] = field(default_factory=set)

    async def until(self, done: Callable[[list[Got]], object]) -> list[Got]:
        """Waits for requests."""
        async with asyncio.timeout(60), self.came:
            await self.came.wait_for(lambda: done(self.got))
        return list(self.got)

    async def until_told(self, *event_ids: str) -> None:
        """Waits until it was told of events."""
        await self.until(lambda got: set(event_ids) <= {each.event_id for each in got})

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self.taking.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                got = await _read(reader)
                async with self.came:
                    self.got.append(got)
                    self.came.notify_all()
                said = self.answer(got)
                writer.write(said if isinstance(said, bytes) else await said)
                await writer.drain()
        finally:
            writer.close()
            self.taking.discard(task)


async def _read(reader: asyncio.StreamReader) -> Got:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    body = await reader.readexactly(int(headers["content-length"]))
    return Got(first.split()[1], headers, body)


@asynccontextmanager
async def receiver(
    answer: Answer | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    taking = Receiver() if answer is None else Receiver(answer=answer)
    server = await asyncio.start_server(taking.take, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    taking.url = f"{'https' if context else 'http'}://127.0.0.1:{port}/hooks?key=k"
    try:
        yield taking
    finally:
        server.close()
        for task in list(taking.taking):
            task.cancel()
        await asyncio.gather(*taking.taking, return_exceptions=True)


def status(number: int, *headers: str) -> bytes:
    """An answer without a body."""
    return "\r\n".join([f"HTTP/1.1 {number} X", *headers, "content-length: 0", "", ""]).encode()


async def add(client: AsyncClient, url: str, **said: Any) -> v1.WebhookEndpoint:
    """Adds an endpoint."""
    endpoint = v1.WebhookEndpoint(url=url, **said)
    request = v1.CreateWebhookEndpointRequest(endpoint=endpoint)
    return await client.webhooks.CreateWebhookEndpoint(request)


async def deliveries(client: AsyncClient, endpoint: str) -> list[v1.WebhookDelivery]:
    """What was sent to an endpoint, newest first."""
    request = v1.ListWebhookDeliveriesRequest(endpoint=endpoint, page_size=1000)
    return list((await client.webhooks.ListWebhookDeliveries(request)).deliveries)


def delivered(delivery: v1.WebhookDelivery) -> bool:
    return delivery.state == v1.WEBHOOK_DELIVERY_STATE_DELIVERED


def dead(delivery: v1.WebhookDelivery) -> bool:
    return delivery.state == v1.WEBHOOK_DELIVERY_STATE_DEAD


def tried(attempts: int) -> Callable[[v1.WebhookDelivery], bool]:
    return lambda delivery: delivery.attempts == attempts


async def until_state(
    client: AsyncClient, endpoint: str, event: str, wanted: Callable[[v1.WebhookDelivery], object]
) -> v1.WebhookDelivery:
    """Waits until something has become of an event."""
    async with asyncio.timeout(60):
        while True:
            for each in await deliveries(client, endpoint):
                if each.event == event and wanted(each):
                    return each
            await asyncio.sleep(0.05)


async def until_disabled(client: AsyncClient, endpoint: str) -> v1.WebhookEndpoint:
    request = v1.GetWebhookEndpointRequest(endpoint=endpoint)
    async with asyncio.timeout(60):
        while not (found := await client.webhooks.GetWebhookEndpoint(request)).disabled:
            await asyncio.sleep(0.05)
    return found


async def until_listed(client: AsyncClient, event_id: str) -> v1.Event:
    async with asyncio.timeout(60):
        while True:
            listed = await client.events.ListEvents(v1.ListEventsRequest(page_size=1000))
            for event in listed.events:
                if event.id == event_id:
                    return event
            await asyncio.sleep(0.05)
