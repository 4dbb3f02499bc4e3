"""Requests about webhooks that succeed over gRPC and over HTTP."""

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from tests.parity_world import World


def webhooks(there: World) -> dict[str, Message]:
    """Those about where events are sent to."""
    endpoint = there.ids["endpoint"]
    hears = v1.WebhookEndpoint(url="https://93.184.216.34/?a=%20b", description="Почему?")
    return {
        "CreateWebhookEndpoint": v1.CreateWebhookEndpointRequest(endpoint=hears),
        "GetWebhookEndpoint": v1.GetWebhookEndpointRequest(endpoint=endpoint),
        "ListWebhookEndpoints": v1.ListWebhookEndpointsRequest(page_size=1, count_total=True),
        "UpdateWebhookEndpoint": v1.UpdateWebhookEndpointRequest(
            id=endpoint,
            endpoint=v1.WebhookEndpoint(
                disabled=True, filter=v1.EventFilter(types=["balance.v1.user.created"])
            ),
            update_mask=FieldMask(paths=["filter", "disabled"]),
        ),
        "RotateWebhookSecret": v1.RotateWebhookSecretRequest(
            endpoint=endpoint, expire_time=Timestamp(seconds=1)
        ),
        "SendTestEvent": v1.SendTestEventRequest(endpoint=endpoint),
        "ListWebhookDeliveries": v1.ListWebhookDeliveriesRequest(
            endpoint=endpoint,
            state=v1.WEBHOOK_DELIVERY_STATE_PENDING,
            page_size=1,
            count_total=True,
        ),
        "RedeliverWebhookDelivery": v1.RedeliverWebhookDeliveryRequest(
            endpoint=endpoint, event=there.ids["test event"]
        ),
        "ReplayEvents": v1.ReplayEventsRequest(
            endpoint=endpoint, first_sequence=1, last_sequence=1
        ),
        "DeleteWebhookEndpoint": v1.DeleteWebhookEndpointRequest(
            endpoint=there.ids["leaving endpoint"]
        ),
    }
