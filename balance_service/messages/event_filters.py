"""Reads which events are kept: by those who list them, follow them, or are sent them."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from balance_service._generated.balance.v1 import event_pb2
from balance_service.domain import errors
from balance_service.domain.events import TYPES, EventType
from balance_service.messages import field_limits, fields

_FILTER = event_pb2.EventFilter.DESCRIPTOR


class EventFilter(NamedTuple):
    """Which events are kept; what is empty does not limit."""

    types: Sequence[EventType]
    account_ids: Sequence[UUID]


def read(sent: event_pb2.EventFilter, field: str) -> EventFilter:
    """Reads which events are kept; the order in which they are named is no matter.

    Args:
        sent: What was sent.
        field: Where it is in the request.

    Raises:
        InvalidFields: A type is unknown, an account is no UUID, or there are too many.
    """
    checks = fields.Checks()
    types = checks(_read_types, sent.types, f"{field}.types")
    account_ids = checks(_read_accounts, sent.accounts, f"{field}.accounts")
    checks.finish()
    return EventFilter(types, account_ids)


def write(types: Sequence[EventType], account_ids: Sequence[UUID]) -> event_pb2.EventFilter:
    """A filter as a message."""
    return event_pb2.EventFilter(
        types=[each.text for each in types], accounts=map(str, account_ids)
    )


def _read_types(sent: Sequence[str], field: str) -> Sequence[EventType]:
    _check_count(sent, "types", field)
    violations = [
        errors.Violation(
            f"{field}[{index}]",
            "must be a known type, such as balance.v1.transfer.created",
        )
        for index, text in enumerate(sent)
        if text not in TYPES
    ]
    if violations:
        raise errors.InvalidFields(tuple(violations))
    return sorted({TYPES[text] for text in sent})


def _read_accounts(sent: Sequence[str], field: str) -> Sequence[UUID]:
    _check_count(sent, "accounts", field)
    checks = fields.Checks()
    read = [checks(fields.identifier, text, f"{field}[{index}]") for index, text in enumerate(sent)]
    checks.finish()
    return sorted(set(read))


def _check_count(sent: Sequence[str], name: str, field: str) -> None:
    most = field_limits.find(_FILTER, name).max_items
    if len(sent) > most:
        raise errors.invalid(field, f"must have at most {most} items")
