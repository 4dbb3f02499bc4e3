"""Calendar days: where they begin, also where clocks are changed at midnight."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain.days import Calendar, find_zone

# Clocks go forward at midnight in Beirut and back at midnight in Havana; Apia left out a day.
ZONES = (
    "UTC",
    "Europe/Moscow",
    "Asia/Beirut",
    "America/Havana",
    "Pacific/Apia",
    "America/St_Johns",
    "Pacific/Kiritimati",
)
YEARS = st.datetimes(datetime(2009, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone


@given(zone=st.sampled_from(ZONES), moments=st.lists(YEARS, min_size=1))
def test_a_day_holds_the_moments_of_its_date_and_no_others(
    zone: str, moments: list[datetime]
) -> None:
    calendar, local = Calendar(ZoneInfo(zone)), ZoneInfo(zone)
    for moment in moments:
        day = calendar.day(moment)
        assert day.start <= moment < day.end
        today = moment.astimezone(local).date()
        instant = timedelta(microseconds=1)
        assert day.start.astimezone(local).date() == today
        assert (day.end - instant).astimezone(local).date() == today
        assert (day.start - instant).astimezone(local).date() < today
        assert day.end.astimezone(local).date() > today


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", date(2026, 3, 29), 24),
        ("Asia/Beirut", date(2026, 3, 29), 23),
        ("America/Havana", date(2026, 11, 1), 25),
    ],
)
def test_days_are_as_long_as_their_clocks_make_them(zone: str, day: date, hours: int) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone))
    start, end = Calendar(ZoneInfo(zone)).day(noon)
    assert end - start == timedelta(hours=hours)
    assert start.tzinfo is UTC


@pytest.mark.parametrize(
    "name", ["localtime", "posixrules", "posix/Europe/Moscow", "right/UTC", "Europe", "Mars", ""]
)
def test_zones_are_those_that_every_machine_has(name: str) -> None:
    assert find_zone("Europe/Moscow").key == "Europe/Moscow"
    with pytest.raises(ValueError, match=f"^{name}$"):
        find_zone(name)
