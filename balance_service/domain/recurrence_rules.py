"""Reads the RRULE of RFC 5545 (3.3.10), as far as schedules offer it.

Left out are periods below a day, whose times BYHOUR and BYMINUTE name, and BYSECOND, BYYEARDAY and
BYWEEKNO. Everything is bounded, so that to expand a rule costs little whatever it says.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from balance_service.domain import errors
from balance_service.domain.errors import InvalidFields
from balance_service.domain.recurrence import Frequency, Rule

FIELD = "recurrence_rule"
COUNT_MAX = 2_000
INTERVAL_MAX = 1_000

_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_NUMBER = re.compile(r"[+-]?[0-9]{1,4}", re.ASCII)
_WEEKDAY = re.compile(rf"([+-]?[0-9]{{1,2}})?({'|'.join(_WEEKDAYS)})", re.ASCII)
_UNTIL = re.compile(r"[0-9]{8}(T[0-9]{6}Z?)?", re.ASCII)


def parse(text: str) -> Rule:
    """Reads a rule.

    Args:
        text: Such as `FREQ=MONTHLY;BYMONTHDAY=-1`, with or without `RRULE:` before it.

    Raises:
        InvalidFields: It is malformed, or says what is not offered.
    """
    parts: dict[str, str] = {}
    for part in text.upper().removeprefix("RRULE:").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise _wrong("must be parts such as FREQ=MONTHLY, joined by semicolons")
        if name in parts:
            raise _wrong(f"must have {_shown(name)} once")
        parts[name] = value
    if unknown := parts.keys() - _READERS.keys():
        offered = ", ".join(_READERS)
        raise _wrong(f"must not have {_shown(min(unknown))}: what is offered is {offered}")
    if "FREQ" not in parts:
        raise _wrong("must have FREQ")
    read = {_READERS[name][0]: _READERS[name][1](name, value) for name, value in parts.items()}
    rule = Rule(**read)
    _check_together(rule)
    return rule


def _check_together(rule: Rule) -> None:
    """Refuses parts that mean nothing beside each other (RFC 5545, 3.3.10)."""
    if rule.count is not None and rule.until is not None:
        raise _wrong("must not have both COUNT and UNTIL")
    if rule.month_days and rule.frequency is Frequency.WEEKLY:
        raise _wrong("must not have BYMONTHDAY with FREQ=WEEKLY")
    numbered = any(place for place, _ in rule.weekdays)
    if numbered and rule.frequency in (Frequency.DAILY, Frequency.WEEKLY):
        raise _wrong("must number weekdays only with FREQ=MONTHLY or YEARLY")
    in_month = rule.frequency is Frequency.MONTHLY or rule.months
    if in_month and any(abs(place) > 5 for place, _ in rule.weekdays):
        raise _wrong("must number the weekdays of a month from 1 to 5, or from -5 to -1")
    named = (rule.months, rule.month_days, rule.weekdays, rule.hours, rule.minutes)
    if rule.positions and not any(named):
        raise _wrong("must have another BY part with BYSETPOS")


def _frequency(_: str, value: str) -> Frequency:
    if value not in Frequency.__members__:
        offered = ", ".join(Frequency.__members__)
        raise _wrong(f"must have a FREQ of {offered}; BYHOUR and BYMINUTE name times of a day")
    return Frequency[value]


def _until(_: str, value: str) -> datetime:
    try:
        if not _UNTIL.fullmatch(value):
            raise ValueError
        if "T" not in value:
            # A date contains its whole day.
            return datetime.strptime(f"{value}T235959", "%Y%m%dT%H%M%S")  # noqa: DTZ007 - local
        until = datetime.strptime(value.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - as sent
    except ValueError:
        raise _wrong("must have an UNTIL such as 20301231 or 20301231T235959Z") from None
    return until.replace(tzinfo=UTC) if value.endswith("Z") else until


def _numbers(
    least: int, most: int, *, negative: bool = False
) -> Callable[[str, str], tuple[int, ...]]:
    """What reads a list of numbers, which may also count from the end."""

    def read(name: str, value: str) -> tuple[int, ...]:
        numbers = {_number(name, item, least, most, negative=negative) for item in _items(value)}
        return tuple(sorted(numbers))

    return read


def _one(least: int, most: int) -> Callable[[str, str], int]:
    return lambda name, value: _number(name, value, least, most)


def _number(name: str, text: str, least: int, most: int, *, negative: bool = False) -> int:
    number = int(text) if _NUMBER.fullmatch(text) else None
    if number is None or not least <= (abs(number) if negative else number) <= most:
        also = f", or from -{most} to -{least}" if negative else ""
        raise _wrong(f"must have numbers from {least} to {most}{also} in {name}")
    return number


def _weekdays(_: str, value: str) -> tuple[tuple[int, int], ...]:
    found: set[tuple[int, int]] = set()
    for item in _items(value):
        match = _WEEKDAY.fullmatch(item)
        place = int(match[1] or 0) if match else 0
        if match is None or abs(place) > 53 or (match[1] and place == 0):
            raise _wrong("must have weekdays such as MO, or 1FR and -1SU, in BYDAY")
        found.add((place, _WEEKDAYS.index(match[2])))
    return tuple(sorted(found))


def _week_start(_: str, value: str) -> int:
    if value not in _WEEKDAYS:
        raise _wrong("must have a weekday such as MO in WKST")
    return _WEEKDAYS.index(value)


def _items(value: str) -> list[str]:
    return value.split(",")


# By the part's name, the field of Rule and what reads it.
_READERS: Mapping[str, tuple[str, Callable[[str, str], Any]]] = {
    "FREQ": ("frequency", _frequency),
    "INTERVAL": ("interval", _one(1, INTERVAL_MAX)),
    "COUNT": ("count", _one(1, COUNT_MAX)),
    "UNTIL": ("until", _until),
    "BYMONTH": ("months", _numbers(1, 12)),
    "BYMONTHDAY": ("month_days", _numbers(1, 31, negative=True)),
    "BYDAY": ("weekdays", _weekdays),
    "BYHOUR": ("hours", _numbers(0, 23)),
    "BYMINUTE": ("minutes", _numbers(0, 59)),
    "BYSETPOS": ("positions", _numbers(1, 366, negative=True)),
    "WKST": ("week_start", _week_start),
}


def _shown(name: str) -> str:
    """A part's name, as far as a message has room for it."""
    return name[:20] or "a part without a name"


def _wrong(rule: str) -> InvalidFields:
    return errors.invalid(FIELD, rule)
