"""Endpoints of webhooks and what was sent to them, as messages of the contract."""

from collections.abc import Iterable
from datetime import datetime

from balance_service._generated.balance.v1 import webhook_pb2
from balance_service.domain.webhooks import TEST_TYPE, Delivery, Endpoint
from balance_service.messages import convert, event_filters


def endpoint(found: Endpoint, now: datetime) -> webhook_pb2.WebhookEndpoint:
    """An endpoint, without its secret.

    Args:
        found: The endpoint.
        now: Tells whether the secret before still signs.
    """
    message = webhook_pb2.WebhookEndpoint(
        id=str(found.endpoint_id),
        owner=found.owner,
        url=found.url,
        description=found.description,
        filter=event_filters.write(found.types, found.account_ids),
        disabled=found.disabled,
        disabled_reason=webhook_pb2.WebhookDisabledReason.ValueType(found.disabled_reason),
        sequence=found.place.sequence,
        secret_time=convert.timestamp(found.secret_at),
        create_time=convert.timestamp(found.created_at),
        update_time=convert.timestamp(found.updated_at),
        etag=str(found.version),
    )
    if found.failing_since:
        message.fail_time.CopyFrom(convert.timestamp(found.failing_since))
    if found.old_secret_until and found.old_secret_until > now:
        message.old_secret_expire_time.CopyFrom(convert.timestamp(found.old_secret_until))
    return message


def endpoint_texts(found: Endpoint) -> Iterable[str]:
    """What callers wrote."""
    return [found.url, found.description, *map(str, found.account_ids)]


def delivery(found: Delivery) -> webhook_pb2.WebhookDelivery:
    """An event that was sent, or is to be."""
    message = webhook_pb2.WebhookDelivery(
        endpoint=str(found.endpoint_id),
        event=str(found.event_id),
        type=found.type.text if found.type else TEST_TYPE,
        sequence=found.sequence or 0,
        state=webhook_pb2.WebhookDeliveryState.ValueType(found.state),
        attempts=found.attempts,
        http_status=found.http_status,
        error=found.error,
        create_time=convert.timestamp(found.created_at),
    )
    if found.attempted_at:
        message.attempt_time.CopyFrom(convert.timestamp(found.attempted_at))
    if found.next_attempt_at:
        message.next_attempt_time.CopyFrom(convert.timestamp(found.next_attempt_at))
    return message
