"""Requests about webhooks with one idempotency key."""

from collections.abc import Callable

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from tests.equal_world import Row, World

PUBLIC = "https://93.184.216.34/"
TYPES = ["balance.v1.user.created", "balance.v1.account.opened"]


def webhooks(there: World) -> dict[str, Row]:
    first, second = there.endpoints
    kept, turned = v1.EventFilter(types=TYPES), v1.EventFilter(types=TYPES[::-1])
    create, update = v1.CreateWebhookEndpointRequest, v1.UpdateWebhookEndpointRequest
    said = v1.WebhookEndpoint

    def change(names: list[str], new: v1.WebhookEndpoint, endpoint: str = first) -> Message:
        return update(id=endpoint, endpoint=new, update_mask=FieldMask(paths=names))

    mask = ["description", "filter"]
    return {
        "CreateWebhookEndpoint": Row(
            create(endpoint=said(url=PUBLIC, filter=kept)),
            [create(endpoint=said(url=PUBLIC, filter=turned))],
            {"endpoint": create(endpoint=said(url=PUBLIC))},
        ),
        "UpdateWebhookEndpoint": Row(
            change(mask, said(description="New", filter=kept)),
            [
                change(mask[::-1], said(description="New", filter=turned, url="not named")),
                change(mask, said(description="New", filter=kept), first.upper()),
            ],
            {
                "endpoint": change(mask, said(description="Other", filter=kept)),
                "update_mask": change(mask[:1], said(description="New")),
                "id": change(mask, said(description="New", filter=kept), second),
            },
        ),
        **acts(there),
        "DeleteWebhookEndpoint": about(v1.DeleteWebhookEndpointRequest, second, first),
    }


def acts(there: World) -> dict[str, Row]:
    first, second = there.endpoints
    sent, other = there.test_events
    rotate, again = v1.RotateWebhookSecretRequest, v1.RedeliverWebhookDeliveryRequest
    replay = v1.ReplayEventsRequest
    past = Timestamp(seconds=1)
    return {
        "RotateWebhookSecret": Row(
            rotate(endpoint=first, expire_time=past),
            [rotate(endpoint=first.upper(), expire_time=past)],
            {"expire_time": rotate(endpoint=first)},
        ),
        "SendTestEvent": about(v1.SendTestEventRequest, first, second),
        "RedeliverWebhookDelivery": Row(
            again(endpoint=first, event=sent),
            [again(endpoint=first.upper(), event=sent.upper())],
            {"event": again(endpoint=first, event=other)},
        ),
        "ReplayEvents": Row(
            replay(endpoint=first, first_sequence=1, last_sequence=1),
            [replay(endpoint=first.upper(), first_sequence=1, last_sequence=1)],
            {"last_sequence": replay(endpoint=first, first_sequence=1, last_sequence=2)},
        ),
    }


def about(kind: Callable[..., Message], endpoint: str, other: str) -> Row:
    return Row(
        kind(endpoint=endpoint),
        [kind(endpoint=endpoint.upper())],
        {"endpoint": kind(endpoint=other)},
    )
