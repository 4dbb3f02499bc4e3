"""Pages from templates: everything is escaped, and amounts, moments and kinds read as people do."""

from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Protocol

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from balance_service._generated.balance.v1 import (
    account_pb2,
    approval_pb2,
    audit_pb2,
    hold_pb2,
    schedule_pb2,
    user_pb2,
    webhook_pb2,
)
from balance_service.console import texts

TEMPLATES = Path(__file__).with_name("templates")
# Between groups of three digits (ISO 80000-1), so that amounts read the same in every language.
DIGIT_SPACE = "\N{NARROW NO-BREAK SPACE}"
_ACCOUNT_ENUMS = account_pb2.DESCRIPTOR.enum_types_by_name
ENUMS: Mapping[str, EnumDescriptor] = {
    "account_status": _ACCOUNT_ENUMS["AccountStatus"],
    "change_kind": _ACCOUNT_ENUMS["AccountChangeKind"],
    "movement_kind": _ACCOUNT_ENUMS["MovementKind"],
    "hold_status": hold_pb2.DESCRIPTOR.enum_types_by_name["HoldStatus"],
    "approval_status": approval_pb2.DESCRIPTOR.enum_types_by_name["ApprovalStatus"],
    "outcome": audit_pb2.DESCRIPTOR.enum_types_by_name["AuditOutcome"],
    "schedule_status": schedule_pb2.DESCRIPTOR.enum_types_by_name["ScheduleStatus"],
    "occurrence_outcome": schedule_pb2.DESCRIPTOR.enum_types_by_name["OccurrenceOutcome"],
    "insufficient_funds_policy": schedule_pb2.DESCRIPTOR.enum_types_by_name[
        "InsufficientFundsPolicy"
    ],
    "webhook_delivery_state": webhook_pb2.DESCRIPTOR.enum_types_by_name["WebhookDeliveryState"],
    "webhook_disabled_reason": webhook_pb2.DESCRIPTOR.enum_types_by_name["WebhookDisabledReason"],
    "role": user_pb2.DESCRIPTOR.enum_types_by_name["Role"],
}
_PREFIXES = {"change_kind": "ACCOUNT_CHANGE_KIND_", "outcome": "AUDIT_OUTCOME_"}


class Page(Protocol):
    """What a template is told of the page that it makes."""

    @property
    def language(self) -> str:
        """The language to write in."""

    def link(self, path: str, /, **query: object) -> str:
        """The address of another page of the console."""


class Renderer:
    """Makes pages from templates."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["amount"] = amount
        self._environment.filters["moment"] = moment
        self._environment.filters["iso"] = iso

    def render(self, template: str, page: Page, values: Mapping[str, object]) -> str:
        """Makes a page.

        Args:
            template: The template's file.
            page: What is told of the page.
            values: What it shows.
        """

        def t(key: str, **places: object) -> str:
            return texts.text(key, page.language, **places)

        def label(enum: str, value: int) -> str:
            return value_label(enum, value, page.language)

        known = {"t": t, "label": label, "key": value_key, "visit": page, "link": page.link}
        return self._environment.get_template(template).render({**known, **values})


def value_label(enum: str, value: int, language: str) -> str:
    """How a value of one of ENUMS is called; by its number if this version does not know it."""
    key = value_key(enum, value)
    return texts.text(f"{enum}.{key}", language) if key else str(value)


def value_key(enum: str, value: int) -> str:
    """The key of a value's text within its group; empty if this version does not know it."""
    return {number: key for key, number in values_by_key(enum).items()}.get(value, "")


def values_by_key(enum: str) -> dict[str, int]:
    """An enum's values, but for the first, which is never stored, by the keys of their texts."""
    prefix = _PREFIXES.get(enum, f"{enum.upper()}_")
    stored = ENUMS[enum].values[1:]
    return {value.name.removeprefix(prefix).lower(): value.number for value in stored}


def amount(text: str) -> str:
    """A decimal string with its digits in groups, and a real minus sign."""
    sign = "\N{MINUS SIGN}" if text.startswith("-") else ""
    whole, point, decimals = text.removeprefix("-").partition(".")
    groups = [whole[max(end - 3, 0) : end] for end in range(len(whole), 0, -3)]
    return sign + DIGIT_SPACE.join(reversed(groups)) + point + decimals


def moment(stamp: Timestamp) -> str:
    """A moment to the second, in UTC."""
    return stamp.ToDatetime(UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso(stamp: Timestamp) -> str:
    """A moment for machines (RFC 3339)."""
    return stamp.ToJsonString()
