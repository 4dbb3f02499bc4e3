"""What requests about webhooks mean, by themselves."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, TypedDict, cast
from uuid import UUID

from balance_service._generated.balance.v1 import webhook_pb2
from balance_service.domain import errors
from balance_service.domain.paging import REACH_MAX
from balance_service.domain.webhook_urls import Target
from balance_service.domain.webhooks import OLD_SECRET_LIFE_MAX, DeliveryState
from balance_service.messages import event_filters, fields, masks
from balance_service.messages.event_filters import EventFilter


class Offered(NamedTuple):
    """What somebody says of an endpoint."""

    url: str
    description: str
    filter: EventFilter
    disabled: bool


class Creation(NamedTuple):
    endpoint: Offered


class Changes(TypedDict, total=False):
    """New values of an endpoint's fields."""

    url: str
    description: str
    filter: EventFilter
    disabled: bool


class Values(NamedTuple):
    etag: str
    changes: Changes


class Update(NamedTuple):
    id: UUID
    endpoint: Values
    update_mask: frozenset[str]


class Named(NamedTuple):
    """A request about an endpoint, and nothing else."""

    endpoint: UUID


class Rotation(NamedTuple):
    endpoint: UUID
    expire_time: datetime | None


class Redelivery(NamedTuple):
    endpoint: UUID
    event: UUID


class Replay(NamedTuple):
    """A part of the log, by numbers or, where there are none, by times."""

    endpoint: UUID
    first_sequence: int
    last_sequence: int
    start_time: datetime | None
    end_time: datetime | None


class WebhookRequests:
    """Reads requests.

    Args:
        parse_url: Reads where something may be sent.
    """

    def __init__(self, parse_url: Callable[[str, str], Target]) -> None:
        self._parse_url = parse_url

    def creation(self, request: webhook_pb2.CreateWebhookEndpointRequest) -> Creation:
        message = request.endpoint
        checks = fields.Checks()
        url = checks(self._read_url, message)
        description = checks(fields.text, message, "description", "endpoint.description")
        kept = checks(event_filters.read, message.filter, "endpoint.filter")
        checks.finish()
        return Creation(Offered(url, description, kept, message.disabled))

    def update(self, request: webhook_pb2.UpdateWebhookEndpointRequest) -> Update:
        message = request.endpoint
        readers = {
            "url": lambda: self._read_url(message),
            "description": lambda: fields.text(message, "description", "endpoint.description"),
            "filter": lambda: event_filters.read(message.filter, "endpoint.filter"),
            "disabled": lambda: message.disabled,
        }
        checks = fields.Checks()
        endpoint_id = checks(fields.identifier, request.id, "id")
        masked = masks.read(checks, request.update_mask, readers, readers.keys())
        checks.finish()
        changes = cast("Changes", masked.values)
        return Update(endpoint_id, Values(message.etag, changes), masked.names)

    def _read_url(self, message: webhook_pb2.WebhookEndpoint) -> str:
        self._parse_url(message.url, "endpoint.url")
        return message.url


def named(
    request: webhook_pb2.DeleteWebhookEndpointRequest | webhook_pb2.SendTestEventRequest,
) -> Named:
    return Named(fields.identifier(request.endpoint, "endpoint"))


def rotation(request: webhook_pb2.RotateWebhookSecretRequest) -> Rotation:
    checks = fields.Checks()
    endpoint_id = checks(fields.identifier, request.endpoint, "endpoint")
    until = checks(_read_end, request) if request.HasField("expire_time") else None
    checks.finish()
    return Rotation(endpoint_id, until)


def redelivery(request: webhook_pb2.RedeliverWebhookDeliveryRequest) -> Redelivery:
    checks = fields.Checks()
    endpoint_id = checks(fields.identifier, request.endpoint, "endpoint")
    event_id = checks(fields.identifier, request.event, "event")
    checks.finish()
    return Redelivery(endpoint_id, event_id)


def replay(request: webhook_pb2.ReplayEventsRequest) -> Replay:
    """Reads a part of the log; how long one by times is, is not known yet."""
    first, last = request.first_sequence, request.last_sequence
    checks = fields.Checks()
    endpoint_id = checks(fields.identifier, request.endpoint, "endpoint")
    start, end = [
        checks(fields.bound, getattr(request, name), name) if request.HasField(name) else None
        for name in ("start_time", "end_time")
    ]
    by_number = bool(first or last)
    if by_number and (request.HasField("start_time") or request.HasField("end_time")):
        checks.refuse("start_time", "must not be sent with first_sequence or last_sequence")
    elif by_number:
        checks(check_part, first, last, "first_sequence", "last_sequence")
    elif not request.HasField("start_time"):
        checks.refuse("first_sequence", "is required, or start_time: where to begin")
    checks.finish()
    if start and end and end <= start:
        raise errors.invalid("end_time", "must be after start_time")
    return Replay(endpoint_id, first, last, start, end)


def check_part(first: int, last: int, first_field: str, last_field: str) -> None:
    """Checks how many events a part of the log has.

    Raises:
        InvalidFields: There are none, or too many.
    """
    if first < 1:
        raise errors.invalid(first_field, "must be at least 1")
    if last < first:
        raise errors.invalid(last_field, "must not lie before where to begin")
    if last - first >= REACH_MAX:
        rule = f"must end a part of at most {REACH_MAX} events; this one has {last - first + 1}"
        raise errors.invalid(last_field, rule)


def state(value: int) -> DeliveryState | None:
    """Reads a state of a filter; None for any."""
    try:
        return DeliveryState(value) if value else None
    except ValueError:
        raise errors.invalid("state", "must be a known state of a delivery") from None


def _read_end(request: webhook_pb2.RotateWebhookSecretRequest) -> datetime:
    until = fields.moment(request.expire_time, "expire_time")
    if until - datetime.now(UTC) > OLD_SECRET_LIFE_MAX:
        rule = f"must be at most {OLD_SECRET_LIFE_MAX.days} days from now"
        raise errors.invalid("expire_time", rule)
    return until
