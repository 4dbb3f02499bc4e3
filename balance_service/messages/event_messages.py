"""Events to messages of the contract, and their places to bytes of page tokens."""

from collections.abc import Iterable
from uuid import UUID

from balance_service._generated.balance.v1 import account_pb2, event_pb2
from balance_service.domain.accounts import Account
from balance_service.domain.events import Event, Place
from balance_service.domain.money import format_minor
from balance_service.domain.webhooks import TEST_TYPE, Delivery
from balance_service.messages import convert, json_form
from balance_service.messages.listing import movement_texts
from balance_service.messages.schedule_messages import change_message

# Of CloudEvents.
_VERSION = "1.0"


def event(told: Event, source: str) -> event_pb2.Event:
    """An event.

    Args:
        told: The event, as its reader may see it.
        source: Where it happened.
    """
    message = event_pb2.Event(
        id=str(told.place.event_id),
        source=source,
        specversion=_VERSION,
        type=told.type.text,
        subject=f"{told.type.subject}:{told.subject_id}",
        time=convert.timestamp(told.time),
        sequence=told.place.sequence,
    )
    if movement := told.movement:
        message.movement.CopyFrom(convert.movement(movement))
        for left in told.balances:
            currency = movement.currency_of(left.account_id)
            message.balances.add(
                account=str(left.account_id),
                sequence=left.sequence,
                balance=format_minor(left.balance_minor, currency),
                currency=currency,
            )
    if told.account:
        message.account.CopyFrom(_account(told.account))
    if told.schedule:
        message.schedule.CopyFrom(change_message(told.schedule))
    return message


def test_event(delivery: Delivery, source: str) -> event_pb2.Event:
    """An event that tells of nothing, for an endpoint of webhooks to show that it hears."""
    return event_pb2.Event(
        id=str(delivery.event_id),
        source=source,
        specversion=_VERSION,
        type=TEST_TYPE,
        subject=f"webhook_endpoint:{delivery.endpoint_id}",
        time=convert.timestamp(delivery.created_at),
    )


def body(message: event_pb2.Event) -> bytes:
    """An event as JSON, as ListEvents over HTTP has it."""
    return json_form.to_json(json_form.to_dict(message))


def texts(told: Event) -> Iterable[str]:
    """What callers wrote."""
    return movement_texts(told.movement) if told.movement else ()


def place_to_bytes(place: Place) -> bytes:
    """A place in the log, for a page token."""
    return place.sequence.to_bytes(8, "big") + place.event_id.bytes


def place_from_bytes(place: bytes) -> Place:
    """The place that `place_to_bytes` made bytes of; a token's signature has vouched for these."""
    return Place(int.from_bytes(place[:8], "big"), UUID(bytes=place[8:]))


def _account(after: Account) -> account_pb2.Account:
    """An account right after it was changed, but for what the service and the day make of it."""
    message = account_pb2.Account(
        id=str(after.account_id),
        user=str(after.owner_id),
        currency=after.currency,
        balance=format_minor(after.balance_minor, after.currency),
        held=format_minor(after.held_minor, after.currency),
        available=format_minor(after.available_minor, after.currency),
        limit=format_minor(after.limit_minor, after.currency),
        status=account_pb2.AccountStatus.ValueType(after.status),
        etag=after.etag,
    )
    if after.debit_limit_minor is not None:
        message.debit_limit = format_minor(after.debit_limit_minor, after.currency)
        message.debit_limit_is_own = True
    if after.daily_limit_minor is not None:
        message.daily_limit = format_minor(after.daily_limit_minor, after.currency)
        message.daily_limit_is_own = True
    return message
