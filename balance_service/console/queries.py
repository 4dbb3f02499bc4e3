"""What the addresses of lists ask: days, kinds, amounts and where a page goes on."""

from datetime import UTC, date, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from balance_service._generated.balance.v1 import account_pb2
from balance_service.console.protection import BadForm
from balance_service.console.rendering import values_by_key
from balance_service.console.visits import Visit

_SPACES = str.maketrans("", "", " \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}")
_DAY = timedelta(days=1)


def plain_amount(text: str) -> str:
    """An amount without the spaces between its digits, as pages show them."""
    return text.translate(_SPACES)


def start_of(day: str) -> Timestamp | None:
    """When a day begins, in UTC; None for no day.

    Raises:
        BadForm: It is no day.
    """
    return _midnight(day, timedelta())


def end_of(day: str) -> Timestamp | None:
    """When the day after begins; otherwise as `start_of`."""
    return _midnight(day, _DAY)


def enum_value(enum: str, key: str) -> int:
    """The value of one of the catalogue's enums by its key; 0, which is any, for no key.

    Raises:
        BadForm: There is no such value.
    """
    if not key:
        return 0
    value = values_by_key(enum).get(key)
    if value is None:
        raise BadForm
    return value


def movement_filter(visit: Visit) -> account_pb2.MovementFilter:
    """Which movements a statement keeps.

    Raises:
        BadForm: A day is none.
    """
    asked = visit.query
    return account_pb2.MovementFilter(
        start_time=start_of(asked.get("from", "")),
        end_time=end_of(asked.get("to", "")),
        min_amount=plain_amount(asked.get("min", "")),
        max_amount=plain_amount(asked.get("max", "")),
    )


def just_after(stamp: Timestamp) -> Timestamp:
    """The microsecond after a moment: moments are kept to one."""
    later = Timestamp()
    later.FromNanoseconds(stamp.ToNanoseconds() + 1000)
    return later


def _midnight(day: str, later: timedelta) -> Timestamp | None:
    if not day:
        return None
    stamp = Timestamp()
    try:
        midnight = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
        stamp.FromDatetime(midnight + later)
    except (OverflowError, ValueError):
        raise BadForm from None
    return stamp
