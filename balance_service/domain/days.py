"""Calendar days of a time zone, as the moments between which each lies."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

# Files beside the zones: the machine's own, and copies by names that other machines lack.
_BESIDE_ZONES = ("localtime", "posixrules", "posix", "right")


def find_zone(name: str) -> ZoneInfo:
    """A time zone of the IANA database, by its name.

    Raises:
        ValueError: There is none.
    """
    if name.partition("/")[0] in _BESIDE_ZONES:
        raise ValueError(name)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(name) from None


class Day(NamedTuple):
    """A calendar day: from `start`, and before `end`, both in UTC."""

    start: datetime
    end: datetime


class Calendar:
    """The days of a zone.

    It keeps the day that was asked for last, for nearly all that is posted is posted today: two
    comparisons instead of a search in the zone's table.

    Args:
        zone: Such as a ZoneInfo.
    """

    __slots__ = ("_latest", "_zone")

    def __init__(self, zone: tzinfo = UTC) -> None:
        self._zone = zone
        self._latest = Day(datetime.max.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))

    @property
    def zone_name(self) -> str:
        """The name of the zone, as Postgres knows it."""
        return str(self._zone)

    def day(self, moment: datetime) -> Day:
        """The day that a moment lies in."""
        day = self._latest
        if not day.start <= moment < day.end:
            today = moment.astimezone(self._zone).date()
            day = Day(self._begin(today), self._begin(today + timedelta(days=1)))
            self._latest = day
        return day

    def _begin(self, day: date) -> datetime:
        # A midnight that clocks skip is, by its offset before, the moment they are put forward.
        return datetime.combine(day, time(), self._zone).astimezone(UTC)
