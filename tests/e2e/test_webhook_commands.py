"""What operators do about webhooks, as they type it."""

import asyncio
import json
from typing import Any
from uuid import uuid4

from balance_client import v1
from balance_service._generated.balance.v1 import webhook_pb2
from balance_service.config import Settings
from balance_service.operations import desk
from tests.cli import Typed


async def add_and_send(settings: Settings) -> tuple[str, str]:
    """An endpoint of an operator's, and the test event that it was sent."""
    async with desk.opened(settings) as at:
        made = await at.ask(
            webhook_pb2.CreateWebhookEndpointRequest(
                endpoint=webhook_pb2.WebhookEndpoint(url="https://93.184.216.34/")
            ),
            webhook_pb2.WebhookEndpoint,
        )
        request = webhook_pb2.SendTestEventRequest(endpoint=made.id)
        return made.id, (await at.ask(request, webhook_pb2.WebhookDelivery)).event


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_endpoints_and_what_they_were_sent_are_shown_and_acted_on(
    service_settings: Settings,
) -> None:
    endpoint, event = asyncio.run(add_and_send(service_settings))
    typed = Typed(service_settings.environment())
    (listed,) = objects(typed("webhook", "list", "-o", "json"))
    assert (listed["id"], listed["disabled"], listed["secret"]) == (endpoint, False, "")
    assert "93.184.216.34" in typed("webhook", "list")
    (sent,) = objects(typed("webhook", "deliveries", endpoint, "-o", "json"))
    assert (sent["event"], sent["type"]) == (event, "balance.v1.webhook.test")
    assert typed("webhook", "deliveries", endpoint, "--state", "dead") == "There is none.\n"
    (again,) = objects(typed("webhook", "redeliver", endpoint, event, "-o", "json"))
    assert again["state"] == v1.WebhookDeliveryState.Name(v1.WEBHOOK_DELIVERY_STATE_PENDING)
    (disabled,) = objects(typed("webhook", "disable", endpoint, "-o", "json"))
    assert disabled["disabled"]
    recorded = objects(typed("audit", "list", "--action", "webhook_endpoint.updated", "-o", "json"))
    assert recorded[0]["actor"].startswith("operator:")
    assert recorded[0]["after"]["disabled"] == "yes"
    for command, status in (
        (("disable", str(uuid4())), 3),
        (("redeliver", endpoint, str(uuid4())), 3),
        (("deliveries", "x"), 2),
        (("deliveries", endpoint, "--state", "lost"), 2),
    ):
        assert typed.run("webhook", *command).status == status
