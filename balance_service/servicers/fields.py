"""Reads and checks fields of requests; every violation of a request is reported at once."""

import functools
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import ParamSpec, Protocol, TypeVar, cast
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from balance_service._generated.balance.v1 import account_pb2
from balance_service.domain import errors, ids, money, texts
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.paging import (
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    SKIP_MAX,
    Direction,
    Filter,
    Order,
)

DESCRIPTION_LENGTH_MAX = 200
METADATA_PAIRS_MAX = 16
SEVERAL_CURRENCIES = "needs one `account`: the listed accounts are in several currencies"

P = ParamSpec("P")
T = TypeVar("T")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
# What a header carries unchanged, whoever passes it on.
_REQUEST_ID = re.compile(r"[!-~]([ -~]{0,253}[!-~])?", re.ASCII)
_METADATA_KEY = re.compile(r"[a-z0-9_.-]{1,40}", re.ASCII)


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
    # Where the currency is wrong, the amount is still held to be a number.
    return checks(money.parse_amount, request.amount, currency or "BHD", "amount")


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
        if not _REQUEST_ID.fullmatch(value):
            rule = "must have 1 to 255 printable ASCII characters, no space first or last"
            raise errors.invalid(field, rule)
        return ids.text_id(value)
    if found.int == 0:
        raise errors.invalid(field, "must not be the nil UUID")
    return found


def text(value: str, field: str, length_max: int, length_min: int = 0) -> str:
    """Reads text as people see it, newlines and tabs included: see `domain.texts`."""
    if not length_min <= len(value) <= length_max:
        size = f"{length_min} to {length_max}" if length_min else f"at most {length_max}"
        raise errors.invalid(field, f"must have {size} characters")
    if fault := texts.fault(value):
        raise errors.invalid(field, fault)
    return value


def description(value: str) -> str:
    """Reads the reason of a movement."""
    return text(value, "description", DESCRIPTION_LENGTH_MAX)


def metadata(pairs: Mapping[str, str]) -> dict[str, str]:
    """Reads the caller's own map."""
    if len(pairs) > METADATA_PAIRS_MAX:
        raise errors.invalid("metadata", f"must have at most {METADATA_PAIRS_MAX} pairs")
    for key, value in pairs.items():
        if not _METADATA_KEY.fullmatch(key):
            rule = 'keys must be 1 to 40 characters of a-z, 0-9, "_", "." and "-"'
            raise errors.invalid("metadata", rule)
        text(value, f"metadata.{key}", 200)
    return dict(pairs)


def moment(stamp: Timestamp, field: str) -> datetime:
    """Reads a timestamp, to the microsecond."""
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise errors.invalid(field, "must be a time from year 1 to 9999") from None


def past_moment(stamp: Timestamp, field: str) -> datetime:
    """Reads a timestamp that is not in the future."""
    found = moment(stamp, field)
    if found > datetime.now(UTC):
        raise errors.invalid(field, "must not be in the future")
    return found


def page_size(value: int) -> int:
    """Reads a page size; 0 is the default and more than the maximum is the maximum (AIP-158)."""
    if value < 0:
        raise errors.invalid("page_size", "must not be negative")
    return min(value or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)


def skip(value: int) -> int:
    """Reads how many to leave out before a page (AIP-158)."""
    if not 0 <= value <= SKIP_MAX:
        raise errors.invalid("skip", f"must be from 0 to {SKIP_MAX}")
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
    message: account_pb2.MovementFilter,
    currency: str,
    wanted: Kind | None = None,
    direction: Direction | None = None,
) -> Filter:
    """Reads a filter, whose amounts are in the accounts' currency; "" if they have several."""
    checks = Checks()

    def bound(value: str, field: str) -> int | None:
        if not value:
            return None
        if not currency:
            raise errors.invalid(field, SEVERAL_CURRENCIES)
        return money.parse_amount(value, currency, field, minimum_minor=0).minor

    start = message.HasField("start_time")
    end = message.HasField("end_time")
    found = Filter(
        start_time=checks(moment, message.start_time, "filter.start_time") if start else None,
        end_time=checks(moment, message.end_time, "filter.end_time") if end else None,
        amount_minor_min=checks(bound, message.min_amount, "filter.min_amount"),
        amount_minor_max=checks(bound, message.max_amount, "filter.max_amount"),
        counterparty_id=checks(optional_identifier, message.counterparty, "filter.counterparty"),
        kind=wanted,
        direction=direction,
    )
    checks.finish()
    return found
