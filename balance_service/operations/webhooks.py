"""What operators do with webhooks, at the desk."""

from balance_service._generated.balance.v1 import webhook_pb2
from balance_service.operations.desk import Desk


async def list_endpoints(desk: Desk, limit: int) -> list[webhook_pb2.WebhookEndpoint]:
    """Everybody's endpoints, oldest first."""
    request = webhook_pb2.ListWebhookEndpointsRequest()
    answer = webhook_pb2.ListWebhookEndpointsResponse
    return await desk.list(request, answer, "endpoints", limit)


async def list_deliveries(
    desk: Desk, endpoint: str, state: str, limit: int
) -> list[webhook_pb2.WebhookDelivery]:
    """What was sent to an endpoint, or is to be, newest first.

    Args:
        desk: Where it is asked.
        endpoint: The endpoint's id.
        state: What became of it, as the contract has it; empty for all.
        limit: How many at most.
    """
    name = f"WEBHOOK_DELIVERY_STATE_{state or 'UNSPECIFIED'}"
    value = webhook_pb2.WebhookDeliveryState.Value(name)
    request = webhook_pb2.ListWebhookDeliveriesRequest(endpoint=endpoint, state=value)
    answer = webhook_pb2.ListWebhookDeliveriesResponse
    return await desk.list(request, answer, "deliveries", limit)


async def redeliver(
    desk: Desk, endpoint: str, event: str, request_id: str
) -> webhook_pb2.WebhookDelivery:
    """Has an event be sent to an endpoint again."""
    request = webhook_pb2.RedeliverWebhookDeliveryRequest(
        endpoint=endpoint, event=event, request_id=request_id
    )
    return await desk.ask(request, webhook_pb2.WebhookDelivery)


async def disable(desk: Desk, endpoint: str) -> webhook_pb2.WebhookEndpoint:
    """Has nothing be sent to an endpoint, until somebody enables it."""
    request = webhook_pb2.UpdateWebhookEndpointRequest(
        id=endpoint, endpoint=webhook_pb2.WebhookEndpoint(disabled=True)
    )
    request.update_mask.paths.append("disabled")
    return await desk.ask(request, webhook_pb2.WebhookEndpoint)
