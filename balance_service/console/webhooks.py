"""Pages of webhooks: where events are sent to, and what became of each."""

from starlette.responses import Response

from balance_service._generated.balance.v1 import webhook_pb2
from balance_service.console import queries
from balance_service.console.visits import Visit

PATH = "/webhooks"
PAGE_SIZE = 25


async def read(visit: Visit, endpoint: str) -> webhook_pb2.WebhookEndpoint:
    """An endpoint.

    Raises:
        Refused: There is none.
    """
    request = webhook_pb2.GetWebhookEndpointRequest(endpoint=endpoint)
    return await visit.ask(visit.service.webhooks.GetWebhookEndpoint, request)


async def show_all(visit: Visit) -> Response:
    """Everybody's endpoints, oldest first."""
    asked = visit.query
    request = webhook_pb2.ListWebhookEndpointsRequest(
        page_size=PAGE_SIZE, page_token=asked.get("page", "")
    )
    listed = await visit.ask(visit.service.webhooks.ListWebhookEndpoints, request)
    return visit.page(
        "webhooks.html", endpoints=listed.endpoints, asked=asked, next_page=listed.next_page_token
    )


async def show(visit: Visit) -> Response:
    """An endpoint and its deliveries, newest first."""
    asked = visit.query
    endpoint = await read(visit, visit.part("endpoint"))
    state = queries.enum_value("webhook_delivery_state", asked.get("state", ""))
    request = webhook_pb2.ListWebhookDeliveriesRequest(
        endpoint=endpoint.id,
        state=webhook_pb2.WebhookDeliveryState.ValueType(state),
        page_size=PAGE_SIZE,
        page_token=asked.get("page", ""),
    )
    listed = await visit.ask(visit.service.webhooks.ListWebhookDeliveries, request)
    return visit.page(
        "webhook.html",
        endpoint=endpoint,
        deliveries=listed.deliveries,
        asked=asked,
        next_page=listed.next_page_token,
    )
