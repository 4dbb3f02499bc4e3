"""Reads and checks fields of requests; every violation of a request is reported at once."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, NoReturn, ParamSpec, TypeVar, cast
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
from balance_service.messages import field_limits

SEVERAL_CURRENCIES = "needs one `account`: the listed accounts are in several currencies"

IN_THE_FUTURE = "must not be in the future"

SAME_CURRENCY = "must be another currency"

_Bound = Literal["start_time", "end_time", "start_effective_time", "end_effective_time"]

P = ParamSpec("P")
T = TypeVar("T")

_UUID = field_limits.compile_pattern(field_limits.read_format(options_pb2.FORMAT_UUID))
_REQUEST_ID = field_limits.read_format(options_pb2.FORMAT_REQUEST_ID)
# What a header carries unchanged, whoever passes it on.
_REQUEST_ID_PATTERN = field_limits.compile_pattern(_REQUEST_ID)
_SKIP = field_limits.read_format(options_pb2.FORMAT_SKIP)
_METADATA = field_limits.read_format(options_pb2.FORMAT_METADATA)
_METADATA_PAIRS_MAX = _METADATA.max_items
_METADATA_VALUE_LENGTH_MAX = _METADATA.values.max_length
_METADATA_KEY_LENGTH_MAX = _METADATA.keys.max_length
_METADATA_KEY_PATTERN = field_limits.compile_pattern(_METADATA.keys)
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class _Unread:
    """Stands for a value that could not be read.

    It may be put aside, as into a dataclass, but any look at it is a mistake of ours: the request
    is refused by `Checks.finish`, which was left out or comes too late.
    """

    def _fail(self, *_: object) -> NoReturn:
        raise AssertionError("a value of the request is used before `finish` of its checks")

    __getattr__ = __bool__ = __eq__ = __hash__ = __lt__ = __iter__ = __len__ = __str__ = _fail


_UNREAD = _Unread()


class Checks:
    """Collects what several readers find wrong with a request, to refuse it once, with all of it.

    What is read may be used after `finish`; until then it may only be put aside.
    """

    def __init__(self) -> None:
        self._violations: list[errors.Violation] = []

    def __call__(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Reads a value.

        Args:
            read: Returns it, or raises InvalidFields, which is kept for `finish`.
            args: What it takes: the sent value, and mostly its field.
            kwargs: Its options.

        Returns:
            The value; where there is none, what fails when it is used.
        """
        try:
            return read(*args, **kwargs)
        except errors.InvalidFields as refusal:
            self._violations += refusal.violations
            # Typed as the value itself: `finish` raises before anybody may use it as one.
            return cast("T", _UNREAD)

    def refuse(self, field: str, description: str) -> None:
        """Notes what is wrong with a field."""
        self._violations.append(errors.Violation(field, description))

    @property
    def refused(self) -> set[str]:
        """The fields that something was wrong with so far."""
        return {violation.field for violation in self._violations}

    @property
    def failed(self) -> bool:
        """Whether anything was wrong so far."""
        return bool(self._violations)

    def finish(self) -> None:
        """Ends the reading.

        Raises:
            InvalidFields: Anything was wrong; it names all of it.
        """
        if self._violations:
            raise errors.InvalidFields(tuple(self._violations))


def amount(
    value: str,
    code: str,
    field: str = "amount",
    currency_field: str = "currency",
    *,
    units_min: int = 0,
) -> Money:
    """Reads an amount in a currency.

    Args:
        value: A decimal string.
        code: The currency; empty for the default one.
        field: The amount's field.
        currency_field: The currency's field.
        units_min: The least amount, in whole units; 0 for the currency's smallest amount.
    """
    checks = Checks()
    currency = checks(money.parse_currency, code, currency_field)
    if checks.failed:
        # How many decimals it may have is not known: what no currency has is still refused.
        checks(money.parse_number, value, field)
    checks.finish()
    minor_min = units_min * 10 ** money.DECIMALS[currency] or 1
    return money.parse_amount(value, currency, field, minor_min)


def identifier(value: str, field: str) -> UUID:
    """Reads a required UUID."""
    uuid = _known_uuid(value)
    if uuid is None:
        raise errors.invalid(field, "must be a UUID" if value else "is required: a UUID")
    return uuid


def _parse_uuid(value: str) -> UUID | None:
    return UUID(value) if _UUID.fullmatch(value) else None


# The same accounts come again and again: parsing an id takes five times as long as this look-up.
_known_uuid = functools.lru_cache(maxsize=8192)(_parse_uuid)


def optional_identifier(value: str, field: str) -> UUID | None:
    """Reads a UUID that may be left out."""
    return identifier(value, field) if value else None


def request_id(value: str, field: str = "request_id") -> UUID | None:
    """Reads a request id: a UUID is itself, and any other text stands for one of its own."""
    if not value:
        return None
    # Not cached: request ids are unique.
    uuid = _parse_uuid(value)
    if uuid is None:
        longest = _REQUEST_ID.max_length
        if len(value) > longest or not _REQUEST_ID_PATTERN.fullmatch(value):
            rule = f"must have 1 to {longest} printable ASCII characters, no space first or last"
            raise errors.invalid(field, rule)
        return ids.text_id(value)
    if uuid.int == 0:
        raise errors.invalid(field, "must not be the nil UUID")
    return uuid


def text(message: Message, name: str, path: str = "") -> str:
    """Reads a text field within the limits that the contract states for it.

    Args:
        message: The request, or a message in it.
        name: The field, which must not be left out if the limits have a least length.
        path: Where the field is in the request, for the refusal; its name by default.
    """
    stated = field_limits.find(message.DESCRIPTOR, name)
    value: str = getattr(message, name)
    return limited_text(value, path or name, stated.max_length, stated.min_length)


def limited_text(value: str, field: str, length_max: int, length_min: int = 0) -> str:
    """Reads text as people see it, newlines and tabs included: see `domain.texts`."""
    if not length_min <= len(value) <= length_max:
        size = f"{length_min} to {length_max}" if length_min else f"at most {length_max}"
        if length_min == length_max:
            size = str(length_max)
        raise errors.invalid(field, f"must have {size} characters")
    if fault := texts.fault(value):
        raise errors.invalid(field, fault)
    return value


def check_count(message: Message, name: str) -> None:
    """Checks how many items a list has."""
    stated = field_limits.find(message.DESCRIPTOR, name)
    least, most = stated.min_items, stated.max_items
    if not least <= len(getattr(message, name)) <= most:
        raise errors.invalid(name, f"must have {least} to {most} items")


def quantity(message: Message, name: str) -> int:
    """Reads how many, within the limits that the contract states; left out, it is one."""
    stated = field_limits.find(message.DESCRIPTOR, name)
    value: int = getattr(message, name)
    if not stated.minimum <= value <= stated.maximum:
        raise errors.invalid(name, f"must be from 1 to {stated.maximum}")
    return value or 1


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
    """Reads a timestamp, rounded down to the microsecond, as precise as anything is dated."""
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise errors.invalid(field, "must be a time from year 1 to 9999") from None


def past_moment(stamp: Timestamp, field: str) -> datetime:
    """Reads a timestamp that is not in the future."""
    past = moment(stamp, field)
    if past > datetime.now(UTC):
        raise errors.invalid(field, IN_THE_FUTURE)
    return past


def bound(stamp: Timestamp, field: str) -> datetime:
    """Reads a timestamp that limits a list, rounded up to the microsecond.

    Movements are dated to the microsecond, so rounding up leaves the same ones on either side.
    """
    limit = moment(stamp, field)
    if stamp.nanos % 1000 and limit < _END_OF_TIME:
        limit += timedelta(microseconds=1)
    return limit


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


def oldest_first(value: str) -> bool:
    """Whether the oldest come first in a list that goes by date alone.

    Raises:
        InvalidFields: It is no order by date.
    """
    found = order(value)
    if not found.by_date:
        raise errors.invalid("order_by", f'must be "{Order.DATE}" or "{Order.DATE_DESC}"')
    return found == Order.DATE


def kind(value: int) -> Kind | None:
    """Reads a kind of movement; unspecified is any."""
    if value == account_pb2.MOVEMENT_KIND_UNSPECIFIED:
        return None
    if value not in account_pb2.MovementKind.values():
        raise errors.invalid("kind", "must be a known kind of movement")
    return Kind(value)


def movement_filter(
    checks: Checks,
    message: account_pb2.MovementFilter,
    kind: Kind | None = None,
    direction: Direction | None = None,
) -> Filter:
    """Reads a filter, but for its amounts, whose currency is not known yet.

    Args:
        checks: Collects what is wrong with it.
        message: The filter.
        kind: The only kind to keep, already read; None for all.
        direction: The only direction to keep; None for both.
    """

    def limit(name: _Bound) -> datetime | None:
        if not message.HasField(name):
            return None
        return checks(bound, getattr(message, name), f"filter.{name}")

    return Filter(
        start_time=limit("start_time"),
        end_time=limit("end_time"),
        start_effective_time=limit("start_effective_time"),
        end_effective_time=limit("end_effective_time"),
        counterparty_id=checks(optional_identifier, message.counterparty, "filter.counterparty"),
        kind=kind,
        direction=direction,
    )


def check_amounts(checks: Checks, message: account_pb2.MovementFilter) -> None:
    """Checks a filter's amounts as far as possible without knowing their currency."""
    for name, text in _amount_bounds(message).items():
        checks(money.parse_number, text, name, zero=True)


def with_amounts(
    checks: Checks, without: Filter, message: account_pb2.MovementFilter, currency: str
) -> Filter:
    """Adds its amounts to a filter.

    Args:
        checks: Collects what is wrong with them.
        without: The filter without them.
        message: Has the amounts.
        currency: The currency of the listed accounts; empty if they have several.
    """
    minors: dict[str, int] = {}
    for name, text in _amount_bounds(message).items():
        if currency:
            minors[name] = checks(_minor_units, text, currency, name)
        else:
            checks.refuse(name, SEVERAL_CURRENCIES)
    return dataclasses.replace(
        without,
        amount_minor_min=minors.get("filter.min_amount"),
        amount_minor_max=minors.get("filter.max_amount"),
    )


def _minor_units(text: str, currency: str, field: str) -> int:
    return money.parse_amount(text, currency, field, minimum_minor=0).minor


def _amount_bounds(message: account_pb2.MovementFilter) -> dict[str, str]:
    """The amounts that were sent, by field."""
    sent = {"filter.min_amount": message.min_amount, "filter.max_amount": message.max_amount}
    return {name: text for name, text in sent.items() if text}
