"""Rules of RFC 5545 against a calendar looked at day by day, and against dateutil's."""

# ruff: noqa: DTZ001 - what a rule counts in is local time

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil import rrule  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from balance_service.domain import errors
from balance_service.domain.recurrence import Frequency, Recurrence, Rule
from balance_service.domain.recurrence_rules import parse

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
SPAN = timedelta(days=1_200)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def expand(text: str, start: datetime, zone: ZoneInfo = BERLIN, count: int = 5) -> list[str]:
    """The local times of the first occurrences."""
    found = Recurrence(parse(text), start, zone).counted().after(start.replace(tzinfo=UTC) - SPAN)
    return [f"{each.astimezone(zone):%Y-%m-%d %H:%M}" for each in itertools.islice(found, count)]


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Rules that mean the same to everybody: a weekday is numbered in all of a list or in none,
    which dateutil mistakes otherwise, and by 1 to 4 or -1."""
    frequency = draw(st.sampled_from([each.name for each in Frequency]))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(st.integers(1, 5))}"]

    def some(name: str, values: st.SearchStrategy[object], most: int = 3) -> None:
        chosen = draw(st.lists(values, max_size=most, unique=True))
        if chosen:
            parts.append(f"{name}={','.join(map(str, chosen))}")

    some("BYMONTH", st.integers(1, 12))
    if frequency != "WEEKLY" and draw(st.booleans()):
        some("BYMONTHDAY", st.integers(1, 31) | st.integers(-31, -1))
    elif draw(st.booleans()):
        numbered = frequency in ("MONTHLY", "YEARLY") and draw(st.booleans())
        places = st.sampled_from(["1", "2", "3", "4", "-1"] if numbered else [""])
        some("BYDAY", st.builds(str.__add__, places, st.sampled_from(DAYS)))
    some("BYHOUR", st.integers(0, 23))
    named = any(part.startswith(("BYMONTHDAY", "BYDAY", "BYHOUR")) for part in parts)
    if named and draw(st.booleans()):
        some("BYSETPOS", st.integers(1, 4) | st.integers(-4, -1), most=2)
    parts.append(f"WKST={draw(st.sampled_from(DAYS))}")
    return ";".join(parts)


starts = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0)
)


def by_calendar(rule: Rule, start: datetime) -> Iterator[datetime]:
    """What a rule names, found by looking at every day."""
    hours = sorted(rule.hours) or [start.hour]
    minutes = sorted(rule.minutes) or [start.minute]
    periods: dict[int, list[datetime]] = {}
    # From the beginning of the period in which it starts.
    day, end = start.date() - timedelta(days=366), (start + SPAN).date()
    while day < end:
        period = number_of(rule, day) - number_of(rule, start.date())
        if period >= 0 and period % rule.interval == 0 and is_named(rule, start, day):
            periods.setdefault(period, []).extend(
                datetime.combine(day, time(h, m, start.second)) for h in hours for m in minutes
            )
        day += timedelta(days=1)
    for found in periods.values():
        chosen = found
        if rule.positions:
            places = (place - 1 if place > 0 else len(found) + place for place in rule.positions)
            chosen = [found[place] for place in sorted(set(places)) if 0 <= place < len(found)]
        yield from (each for each in chosen if each >= start)


def number_of(rule: Rule, day: date) -> int:
    """The number of a day's period since the beginning of time."""
    match rule.frequency:
        case Frequency.DAILY:
            return day.toordinal()
        case Frequency.WEEKLY:
            return (day.toordinal() - 1 - rule.week_start) // 7
        case Frequency.MONTHLY:
            return day.year * 12 + day.month
        case Frequency.YEARLY:
            return day.year


def is_named(rule: Rule, start: datetime, day: date) -> bool:
    after = day + timedelta(days=1)
    month_length = day.day
    while after.month == day.month:
        after, month_length = after + timedelta(days=1), month_length + 1
    by_default: list[bool] = []
    if rule.frequency is Frequency.YEARLY and not rule.months:
        by_default.append(day.month == start.month)
    if rule.frequency in (Frequency.YEARLY, Frequency.MONTHLY):
        by_default.append(day.day == start.day)
    if rule.frequency is Frequency.WEEKLY:
        by_default.append(day.weekday() == start.weekday())
    if rule.months and day.month not in rule.months:
        return False
    if not (rule.month_days or rule.weekdays):
        return all(by_default)
    if rule.month_days and not {day.day, day.day - month_length - 1} & set(rule.month_days):
        return False
    return not rule.weekdays or any(
        weekday == day.weekday() and is_numbered(rule, place, day)
        for place, weekday in rule.weekdays
    )


def is_numbered(rule: Rule, place: int, day: date) -> bool:
    """Whether a day is the one of its weekdays in its month or year."""
    if place == 0:
        return True
    in_month = rule.frequency is Frequency.MONTHLY or rule.months

    def same(other: date) -> bool:
        return (other.year, in_month and other.month) == (day.year, in_month and day.month)

    step = timedelta(days=7 if place > 0 else -7)
    # As many steps back lie within, and one more does not.
    steps = abs(place) - 1
    return same(day - steps * step) and not same(day - (steps + 1) * step)


@given(rules(), starts)
@settings(max_examples=40)
def test_a_rule_names_what_a_calendar_shows(text: str, start: datetime) -> None:
    rule = parse(text)
    found = Recurrence(rule, start, ZoneInfo("UTC")).after(start.replace(tzinfo=UTC) - SPAN)
    mine = [each.replace(tzinfo=None) for each in itertools.islice(found, 30)]
    shown = list(itertools.islice(by_calendar(rule, start), 30))
    # The last days of the span may be beyond the last period that was looked at as a whole.
    until = start + SPAN - timedelta(days=366)
    assert [each for each in mine if each < until] == [each for each in shown if each < until]


@given(rules().filter(lambda text: "FREQ=WEEKLY" not in text or "BYSETPOS" not in text), starts)
@settings(max_examples=25)
def test_a_rule_names_what_dateutil_does(text: str, start: datetime) -> None:
    # It takes positions of the first week from its start on, where RFC 5545 takes the whole week.
    if not list(itertools.islice(by_calendar(parse(text), start), 1)):
        return
    theirs = rrule.rrulestr(f"{text};UNTIL={start + SPAN:%Y%m%dT%H%M%S}", dtstart=start)
    found = Recurrence(parse(text), start, ZoneInfo("UTC")).after(start.replace(tzinfo=UTC) - SPAN)
    mine = itertools.takewhile(
        lambda each: each <= start + SPAN, (f.replace(tzinfo=None) for f in found)
    )
    assert list(itertools.islice(mine, 20)) == list(itertools.islice(theirs, 20))


@given(rules(), starts, st.integers(0, 2_000))
@settings(max_examples=25)
def test_where_it_is_asked_does_not_matter(text: str, start: datetime, days: int) -> None:
    recurrence = Recurrence(parse(text), start, BERLIN)
    begin = start.replace(tzinfo=UTC) - timedelta(days=2)
    all_of_them = list(itertools.islice(recurrence.after(begin), 40))
    assert all_of_them == sorted(set(all_of_them))
    asked = begin + timedelta(days=days)
    later = [each for each in all_of_them if each > asked]
    assert list(itertools.islice(recurrence.after(asked), len(later))) == later


def test_ends_of_months_are_as_the_standard_says() -> None:
    start = datetime(2027, 1, 31, 9)
    assert expand("FREQ=MONTHLY", start, count=3) == [
        "2027-01-31 09:00",
        "2027-03-31 09:00",
        "2027-05-31 09:00",
    ]
    assert expand("FREQ=MONTHLY;BYMONTHDAY=-1", start, count=3) == [
        "2027-01-31 09:00",
        "2027-02-28 09:00",
        "2027-03-31 09:00",
    ]
    assert expand("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", start, count=2) == [
        "2027-02-26 09:00",
        "2027-03-31 09:00",
    ]
    assert expand("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", start, count=2) == [
        "2028-02-29 09:00",
        "2032-02-29 09:00",
    ]


def test_a_time_that_the_clocks_leave_out_is_by_the_offset_before() -> None:
    recurrence = Recurrence(parse("FREQ=DAILY"), datetime(2027, 3, 27, 2, 30), BERLIN)
    found = itertools.islice(recurrence.after(utc(2027, 3, 26)), 3)
    assert list(found) == [
        utc(2027, 3, 27, 1, 30),
        utc(2027, 3, 28, 1, 30),
        utc(2027, 3, 29, 0, 30),
    ]


def test_times_that_the_clocks_make_the_same_are_one() -> None:
    rule = parse("FREQ=DAILY;BYHOUR=2,3;BYMINUTE=30")
    recurrence = Recurrence(rule, datetime(2027, 3, 28), BERLIN)
    found = itertools.islice(recurrence.after(utc(2027, 3, 27, 12)), 3)
    assert list(found) == [
        utc(2027, 3, 28, 1, 30),
        utc(2027, 3, 29, 0, 30),
        utc(2027, 3, 29, 1, 30),
    ]


def test_a_time_that_comes_twice_is_the_first() -> None:
    recurrence = Recurrence(parse("FREQ=DAILY"), datetime(2027, 10, 31, 2, 30), BERLIN)
    assert recurrence.first_after(utc(2027, 10, 30, 20)) == utc(2027, 10, 31, 0, 30)


def test_count_and_until_end_a_rule() -> None:
    start = datetime(2027, 1, 1, 9)
    assert len(expand("FREQ=WEEKLY;COUNT=3", start, count=9)) == 3
    assert len(expand("FREQ=DAILY;UNTIL=20270103", start, count=9)) == 3
    assert len(expand("FREQ=DAILY;UNTIL=20270103T080000Z", start, count=9)) == 3
    assert len(expand("FREQ=DAILY;UNTIL=20270103T075959Z", start, count=9)) == 2


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=366",
        "FREQ=YEARLY;INTERVAL=1000;BYMONTHDAY=1;BYMONTH=1",
    ],
)
def test_a_rule_that_names_nothing_ends(text: str) -> None:
    recurrence = Recurrence(parse(text), datetime(2027, 1, 2), BERLIN)
    assert recurrence.first_after(utc(2027, 1, 1)) is None


def test_a_count_that_takes_too_long_is_told() -> None:
    with pytest.raises(OverflowError):
        Recurrence(parse("FREQ=YEARLY;COUNT=50"), datetime(2027, 1, 2), BERLIN).counted()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FREQ",
        "FREQ=",
        "INTERVAL=2",
        "FREQ=HOURLY",
        "FREQ=DAILY;FREQ=DAILY",
        "FREQ=DAILY;BYSECOND=1",
        "FREQ=DAILY;X=1",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=1001",
        "FREQ=DAILY;COUNT=2001",
        "FREQ=DAILY;COUNT=99999999999",
        "FREQ=DAILY;COUNT=2;UNTIL=20300101",
        "FREQ=DAILY;UNTIL=20301301",
        "FREQ=DAILY;UNTIL=x",
        "FREQ=DAILY;BYMONTHDAY=0",
        "FREQ=DAILY;BYMONTHDAY=32",
        "FREQ=DAILY;BYMONTHDAY=1,,2",
        "FREQ=DAILY;BYDAY=1MO",
        "FREQ=MONTHLY;BYDAY=6MO",
        "FREQ=MONTHLY;BYDAY=0MO",
        "FREQ=YEARLY;BYDAY=54MO",
        "FREQ=WEEKLY;BYMONTHDAY=1",
        "FREQ=DAILY;BYHOUR=24",
        "FREQ=DAILY;BYHOUR=\u0661",
        "FREQ=DAILY;BYMINUTE=60",
        "FREQ=DAILY;BYSETPOS=1",
        "FREQ=DAILY;WKST=XX",
        "FREQ=DAILY;;COUNT=1",
    ],
)
def test_what_is_malformed_or_not_offered_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidFields) as refused:
        parse(text)
    assert [each.field for each in refused.value.violations] == ["recurrence_rule"]


@given(st.text(alphabet="FREQ=DAILY;COUNTBYMOHS0123456789,-+", max_size=60))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    try:
        rule = parse(text)
    except errors.InvalidFields:
        return
    Recurrence(rule, datetime(2027, 1, 2), BERLIN).first_after(utc(2027, 1, 1))
