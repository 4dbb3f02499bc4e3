"""What operators do with an endpoint of webhooks: stop it, go on, rotate its secret, send again.

The contract takes no reason for these; the audit log keeps who did it, when, and what was changed.
"""

from collections.abc import Sequence

from google.protobuf.field_mask_pb2 import FieldMask

from balance_service._generated.balance.v1 import webhook_pb2
from balance_service.console import webhooks
from balance_service.console.act_kinds import Act, Change, Order, Subject
from balance_service.console.rendering import moment, value_label
from balance_service.console.visits import Visit

# Between an endpoint's id and an event's, of a delivery.
_BETWEEN = "."


async def _subject(visit: Visit, target: str) -> Subject:
    endpoint_id, _, event = target.partition(_BETWEEN)
    endpoint = await webhooks.read(visit, endpoint_id)
    return Subject([("url", endpoint.url), ("owner", endpoint.owner), ("event", event)])


def _switched(visit: Visit, endpoint: webhook_pb2.WebhookEndpoint) -> str:
    return visit.text("webhooks.disabled" if endpoint.disabled else "webhooks.enabled")


async def _switching(
    visit: Visit, order: Order, after: webhook_pb2.WebhookEndpoint
) -> Sequence[Change]:
    before = await webhooks.read(visit, order.target)
    return [Change("status", _switched(visit, before), _switched(visit, after))]


async def _rotating(
    visit: Visit, order: Order, after: webhook_pb2.WebhookEndpoint
) -> Sequence[Change]:
    before = await webhooks.read(visit, order.target)
    return [Change("secret_time", moment(before.secret_time), moment(after.secret_time))]


async def _sending(visit: Visit, _: Order, after: webhook_pb2.WebhookDelivery) -> Sequence[Change]:
    pending = value_label("webhook_delivery_state", after.state, visit.language)
    return [Change("status", "", pending)]


def _switch(*, disabled: bool) -> Act:
    def request(order: Order) -> webhook_pb2.UpdateWebhookEndpointRequest:
        return webhook_pb2.UpdateWebhookEndpointRequest(
            id=order.target,
            endpoint=webhook_pb2.WebhookEndpoint(disabled=disabled),
            update_mask=FieldMask(paths=["disabled"]),
            request_id=order.request_id,
            validate_only=order.rehearsal,
        )

    return Act(
        name="disable-webhook" if disabled else "enable-webhook",
        fields=(),
        subject=_subject,
        method=lambda service: service.webhooks.UpdateWebhookEndpoint,
        request=request,
        changes=_switching,
        path=_path,
        is_danger=disabled,
    )


def _rotate(order: Order) -> webhook_pb2.RotateWebhookSecretRequest:
    return webhook_pb2.RotateWebhookSecretRequest(
        endpoint=order.target, request_id=order.request_id, validate_only=order.rehearsal
    )


def _redeliver(order: Order) -> webhook_pb2.RedeliverWebhookDeliveryRequest:
    endpoint, _, event = order.target.partition(_BETWEEN)
    return webhook_pb2.RedeliverWebhookDeliveryRequest(
        endpoint=endpoint,
        event=event,
        request_id=order.request_id,
        validate_only=order.rehearsal,
    )


def _path(target: str) -> str:
    return f"{webhooks.PATH}/{target.partition(_BETWEEN)[0]}"


ACTS = (
    _switch(disabled=True),
    _switch(disabled=False),
    Act(
        name="rotate-webhook-secret",
        fields=(),
        subject=_subject,
        method=lambda service: service.webhooks.RotateWebhookSecret,
        request=_rotate,
        changes=_rotating,
        path=_path,
        shown_once=lambda endpoint: endpoint.secret,
        is_danger=True,
    ),
    Act(
        name="redeliver-event",
        fields=(),
        subject=_subject,
        method=lambda service: service.webhooks.RedeliverWebhookDelivery,
        request=_redeliver,
        changes=_sending,
        path=_path,
    ),
)
