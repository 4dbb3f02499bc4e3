"""A stream of NATS JetStream, as a place that events are exported to."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from balance_service._generated.balance.v1 import event_pb2
from balance_service.messages import event_messages
from balance_service.operations.event_export import NotPublished, Publish

CONNECT_SECONDS_MAX = 10.0
PUBLISH_SECONDS_MAX = 5.0


@asynccontextmanager
async def connected(url: str, credentials: str = "") -> AsyncIterator[Publish]:
    """Publishes each event under its type as the subject, and its id as the message's.

    A stream that was given an id already within its window of duplicates keeps the first message.

    Args:
        url: Of a server, such as `nats://127.0.0.1:4222`, or of several, separated by commas.
        credentials: Path of a `.creds` file; empty for none.

    Raises:
        RuntimeError: The extra `nats` is not installed, or no server can be reached.
    """
    nats, errors = _import()
    options: dict[str, Any] = {"user_credentials": credentials} if credentials else {}
    try:
        # Once connected, it goes on trying for ever.
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            client = await nats.connect(
                url.split(","),
                name="balance-service export-events",
                max_reconnect_attempts=-1,
                **options,
            )
    except (OSError, errors.Error) as error:
        raise RuntimeError(f"NATS cannot be reached: {type(error).__name__}") from None
    stream = client.jetstream(timeout=PUBLISH_SECONDS_MAX)

    async def publish(event: event_pb2.Event) -> None:
        try:
            await stream.publish(
                event.type, event_messages.body(event), headers={"Nats-Msg-Id": event.id}
            )
        except errors.Error as error:
            raise NotPublished(f"NATS: {type(error).__name__}") from None

    try:
        yield publish
    finally:
        await client.close()


def _import() -> tuple[Any, Any]:
    try:
        nats, errors = map(importlib.import_module, ("nats", "nats.errors"))
    except ImportError:
        raise RuntimeError("exporting to NATS needs the extra `nats`") from None
    return nats, errors
