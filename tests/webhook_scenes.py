"""A scene for every refusal that is about webhooks."""

from uuid import uuid4

from balance_client import v1
from balance_service.domain import errors
from tests.refusal_scenes import Ask, World, provokes
from tests.webhooks import add

PUBLIC = "https://93.184.216.34/"


@provokes(errors.WebhookEndpointNotFound)
async def endpoint_that_is_not_there(world: World) -> Ask:
    request = v1.GetWebhookEndpointRequest(endpoint=str(uuid4()))
    return Ask("WebhookService/GetWebhookEndpoint", request, world.admin)


@provokes(errors.WebhookDeliveryNotFound)
async def event_that_was_not_sent(world: World) -> Ask:
    endpoint = (await add(world.admin.client, PUBLIC, disabled=True)).id
    request = v1.RedeliverWebhookDeliveryRequest(endpoint=endpoint, event=str(uuid4()))
    return Ask("WebhookService/RedeliverWebhookDelivery", request, world.admin)


@provokes(errors.WebhookEndpointLimit)
async def one_endpoint_too_many(world: World) -> Ask:
    admin = await world.service.admin()
    for _ in range(20):
        await add(admin.client, PUBLIC, disabled=True)
    request = v1.CreateWebhookEndpointRequest(endpoint=v1.WebhookEndpoint(url=PUBLIC))
    return Ask("WebhookService/CreateWebhookEndpoint", request, admin)
