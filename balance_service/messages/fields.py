"""Reads and checks fields of requests; every violation of a request is reported at once."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import ParamSpec, Protocol, TypeVar, cast
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from balance_service._generated.balance.v1 import account_pb2, options_pb2
from balance_service.domain import errors, ids, money, texts
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.paging import (
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    Direction,
    Filter,
    Order,
)
from balance_service.messages import limits

SEVERAL_CURRENCIES = "needs one `account`: the listed accounts are in several currencies"

IN_THE_FUTURE = "must not be in the future"

P = ParamSpec("P")
T = TypeVar("T")

_UUID = limits.compile_pattern(limits.read_format(options_pb2.FORMAT_UUID))
_REQUEST_ID = limits.read_format(options_pb2.FORMAT_REQUEST_ID)
# What a header carries unchanged, whoever passes it on.
_REQUEST_ID_PATTERN = limits.compile_pattern(_REQUEST_ID)
_SKIP = limits.read_format(options_pb2.FORMAT_SKIP)
_METADATA = limits.read_format(options_pb2.FORMAT_METADATA)
_METADATA_PAIRS_MAX = _METADATA.max_items
_METADATA_VALUE_LENGTH_MAX = _METADATA.values.max_length
_METADATA_KEY_LENGTH_MAX = _METADATA.keys.max_length
_METADATA_KEY_PATTERN = limits.compile_pattern(_METADATA.keys)
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class Checks:
    """Collects what several readers find wrong."""

    def __init__(self) -> None:
        self._violations: list[errors.Violation] = []

    def __call__(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a reader reads. After a violation, a value that `finish` keeps from being used."""
        try:
            return read(*args, **kwargs)
        except errors.InvalidFields as refusal:
            self._violations += refusal.violations
            return cast("T", None)

    def refuse(self, field: str, description: str) -> None:
        """Notes what is wrong with a field."""
        self._violations.append(errors.Violation(field, description))

    @property
    def failed(self) -> bool:
        return bool(self._violations)

    def finish(self) -> None:
        """Raises InvalidFields if anything was wrong."""
        if self._violations:
            raise errors.InvalidFields(tuple(self._violations))


class AmountFields(Protocol):
    """A request with an amount and a currency."""

    amount: str
    currency: str


def amount(checks: Checks, request: AmountFields) -> Money:
    """Reads `amount` in `currency`."""
    currency = checks(money.parse_currency, request.currency, "currency")
    if currency:
        return checks(money.parse_amount, request.amount, currency, "amount")
    checks(money.parse_number, request.amount, "amount")
    return cast("Money", None)


def identifier(value: str, field: str) -> UUID:
    """Reads a required UUID."""
    found = _known_uuid(value)
    if found is None:
        raise errors.invalid(field, "must be a UUID" if value else "is required: a UUID")
    return found


def _uuid(value: str) -> UUID | None:
    return UUID(value) if _UUID.fullmatch(value) else None


# Accounts come again and again, and reading one takes five times as long as finding it here.
_known_uuid = functools.lru_cache(maxsize=8192)(_uuid)


def optional_identifier(value: str, field: str) -> UUID | None:
    """Reads a UUID that may be left out."""
    return identifier(value, field) if value else None


def request_id(value: str, field: str = "request_id") -> UUID | None:
    """Reads a request id: a UUID is itself, and any other text stands for one of its own."""
    if not value:
        return None
    # Never seen before, unless it is sent again.
    found = _uuid(value)
    if found is None:
        longest = _REQUEST_ID.max_length
        if len(value) > longest or not _REQUEST_ID_PATTERN.fullmatch(value):
            rule = f"must have 1 to {longest} printable ASCII characters, no space first or last"
            raise errors.invalid(field, rule)
        return ids.text_id(value)
    if found.int == 0:
        raise errors.invalid(field, "must not be the nil UUID")
    return found


def text(message: Message, name: str, path: str = "") -> str:
    """Reads a text field within the limits that the contract states for it.

    Args:
        message: The request, or a message in it.
        name: The field, which must not be left out if the limits have a least length.
        path: Where the field is in the request, for the refusal; its name by default.
    """
    stated = limits.find(message.DESCRIPTOR, name)
    value: str = getattr(message, name)
    return limited_text(value, path or name, stated.max_length, stated.min_length)


def limited_text(value: str, field: str, length_max: int, length_min: int = 0) -> str:
    """Reads text as people see it, newlines and tabs included: see `domain.texts`."""
    if not length_min <= len(value) <= length_max:
        size = f"{length_min} to {length_max}" if length_min else f"at most {length_max}"
        raise errors.invalid(field, f"must have {size} characters")
    if fault := texts.fault(value):
        raise errors.invalid(field, fault)
    return value


def check_count(message: Message, name: str) -> None:
    """Checks how many items a list has."""
    stated = limits.find(message.DESCRIPTOR, name)
    least, most = stated.min_items, stated.max_items
    if not least <= len(getattr(message, name)) <= most:
        raise errors.invalid(name, f"must have {least} to {most} items")


def metadata(pairs: Mapping[str, str]) -> dict[str, str]:
    """Reads the caller's own map."""
    if not pairs:
        return {}
    if len(pairs) > _METADATA_PAIRS_MAX:
        raise errors.invalid("metadata", f"must have at most {_METADATA_PAIRS_MAX} pairs")
    checks = Checks()
    well_named = {
        key: value
        for key, value in pairs.items()
        if len(key) <= _METADATA_KEY_LENGTH_MAX and _METADATA_KEY_PATTERN.fullmatch(key)
    }
    if len(well_named) < len(pairs):
        size = f"1 to {_METADATA_KEY_LENGTH_MAX}"
        rule = f'keys must be {size} characters of a-z, 0-9, "_", "." and "-"'
        checks.refuse("metadata", rule)
    for key, value in well_named.items():
        checks(limited_text, value, f"metadata.{key}", _METADATA_VALUE_LENGTH_MAX)
    checks.finish()
    return well_named


def moment(stamp: Timestamp, field: str) -> datetime:
    """Reads a timestamp; of a part of a microsecond, which nothing is dated by, the start."""
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise errors.invalid(field, "must be a time from year 1 to 9999") from None


def past_moment(stamp: Timestamp, field: str) -> datetime:
    """Reads a timestamp that is not in the future."""
    found = moment(stamp, field)
    if found > datetime.now(UTC):
        raise errors.invalid(field, IN_THE_FUTURE)
    return found


def bound(stamp: Timestamp, field: str) -> datetime:
    """Reads a timestamp that times are at or after, or before: the first microsecond not before it.

    Movements are dated to the microsecond, so that bound keeps the same of them.
    """
    found = moment(stamp, field)
    if stamp.nanos % 1000 and found < _END_OF_TIME:
        found += timedelta(microseconds=1)
    return found


def page_size(value: int) -> int:
    """Reads a page size; 0 is the default and more than the maximum is the maximum (AIP-158)."""
    if value < 0:
        raise errors.invalid("page_size", "must not be negative")
    return min(value or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)


def skip(value: int) -> int:
    """Reads how many to leave out before a page (AIP-158)."""
    if not _SKIP.minimum <= value <= _SKIP.maximum:
        raise errors.invalid("skip", f"must be from {_SKIP.minimum} to {_SKIP.maximum}")
    return value


def order(value: str) -> Order:
    """Reads `order_by`; newest first by default."""
    words = " ".join(value.split())
    try:
        return Order(words or Order.DATE_DESC)
    except ValueError:
        choices = ", ".join(f'"{choice}"' for choice in Order)
        raise errors.invalid("order_by", f"must be one of {choices}") from None


def kind(value: int) -> Kind | None:
    """Reads a kind of movement; unspecified is any."""
    if value == account_pb2.MOVEMENT_KIND_UNSPECIFIED:
        return None
    try:
        return Kind(value)
    except ValueError:
        raise errors.invalid("kind", "must be a known kind of movement") from None


def movement_filter(
    checks: Checks,
    message: account_pb2.MovementFilter,
    wanted: Kind | None = None,
    direction: Direction | None = None,
) -> Filter:
    """Reads a filter, but for its amounts: which currency they are in is not known yet."""
    start = message.HasField("start_time")
    end = message.HasField("end_time")
    return Filter(
        start_time=checks(bound, message.start_time, "filter.start_time") if start else None,
        end_time=checks(bound, message.end_time, "filter.end_time") if end else None,
        counterparty_id=checks(optional_identifier, message.counterparty, "filter.counterparty"),
        kind=wanted,
        direction=direction,
    )


def check_amounts(checks: Checks, message: account_pb2.MovementFilter) -> None:
    """Checks a filter's amounts as far as that needs no currency."""
    for name, text in _amount_bounds(message).items():
        checks(money.parse_number, text, name, zero=True)


def with_amounts(
    checks: Checks, kept: Filter, message: account_pb2.MovementFilter, currency: str
) -> Filter:
    """A filter with its amounts, in the listed accounts' currency; "" if they have several."""
    found: dict[str, Money] = {}
    for name, text in _amount_bounds(message).items():
        if currency:
            found[name] = checks(money.parse_amount, text, currency, name, 0)
        else:
            checks.refuse(name, SEVERAL_CURRENCIES)
    least, most = found.get("filter.min_amount"), found.get("filter.max_amount")
    return dataclasses.replace(
        kept,
        amount_minor_min=least.minor if least else None,
        amount_minor_max=most.minor if most else None,
    )


def _amount_bounds(message: account_pb2.MovementFilter) -> dict[str, str]:
    """The amounts that were sent, by field."""
    sent = {"filter.min_amount": message.min_amount, "filter.max_amount": message.max_amount}
    return {name: text for name, text in sent.items() if text}
