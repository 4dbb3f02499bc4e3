"""When something recurs: a rule of RFC 5545 (RRULE), from a local time on, in a time zone.

The rule is expanded period by period, a day, week, month or year, from where it is asked and not
from its start, so that its age costs nothing; and no further than HORIZON, so that one that never
comes to pass costs little. That is why no library does it: those of today walk from the start, and
up to the year 9999.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

# How far apart two occurrences may be: 29 February comes after eight years at the latest.
HORIZON = timedelta(days=3_660)
# How long a rule with COUNT may last, so that to find its last occurrence costs little.
COUNTED_MAX = timedelta(days=30 * 366)
# Local times and UTC differ by less than that.
_MARGIN = timedelta(days=2)


class Frequency(IntEnum):
    """How long a rule's period is."""

    DAILY = 1
    WEEKLY = 2
    MONTHLY = 3
    YEARLY = 4


@dataclass(frozen=True, slots=True)
class Rule:
    """An RRULE that was read.

    Args:
        frequency: The period.
        interval: Every how many periods.
        count: How many occurrences there are; None for no such end.
        until: After which moment there are none; None for no such end. Without a time zone it is a
            local time.
        months: BYMONTH, 1 to 12; empty for all, as are the others.
        month_days: BYMONTHDAY; -1 is a month's last day.
        weekdays: BYDAY: which of its kind in the month or year, 0 for each, and the day from Monday
            as 0.
        hours: BYHOUR.
        minutes: BYMINUTE.
        positions: BYSETPOS: which occurrences of a period to keep; -1 is the last.
        week_start: WKST, from Monday as 0.
    """

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    months: Sequence[int] = ()
    month_days: Sequence[int] = ()
    weekdays: Sequence[tuple[int, int]] = ()
    hours: Sequence[int] = ()
    minutes: Sequence[int] = ()
    positions: Sequence[int] = ()
    week_start: int = 0


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule, and where it begins.

    Args:
        rule: What names no days or times of day takes those of `start`.
        start: A local time. It is an occurrence only if the rule names it.
        zone: The time zone of all local times.
        last: The local time of the last occurrence, of a rule that counts them; see `counted`.
    """

    rule: Rule
    start: datetime
    zone: ZoneInfo
    last: datetime | None = None

    def counted(self) -> "Recurrence":
        """The same, with its last occurrence found, if the rule says how many there are.

        Raises:
            OverflowError: It is more than COUNTED_MAX away.
        """
        if self.rule.count is None:
            return self
        last = self.start
        for last in itertools.islice(self._locals(self.start), self.rule.count):
            if last > self.start + COUNTED_MAX:
                raise OverflowError
        return Recurrence(self.rule, self.start, self.zone, last)

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The occurrences after a moment, in UTC and in order, as far as HORIZON after the last.

        A local time that a change of the clocks leaves out is that of the offset before the change,
        and one that comes twice is the first (RFC 5545, 3.3.5). Times that this makes the same are
        one occurrence.
        """
        local = moment.astimezone(self.zone).replace(tzinfo=None)
        passed = moment
        for found in self._instants(max(local - _MARGIN, self.start)):
            if found > passed:
                yield found
                passed = found

    def first_after(self, moment: datetime) -> datetime | None:
        """The next occurrence after a moment, if there is one within HORIZON."""
        return next(self.after(moment), None)

    def _instants(self, local: datetime) -> Iterator[datetime]:
        """Occurrences from a local time on, in order."""
        held: list[datetime] = []
        for naive in self._locals(local):
            if self.last and naive > self.last:
                break
            found = naive.replace(tzinfo=self.zone).astimezone(UTC)
            until = self.rule.until
            if until and (found > until if until.tzinfo else naive > until):
                break
            # A time in a gap of the clocks may be later than some that follow it.
            settled = found - _GAP_MAX
            yield from (each for each in held if each < settled)
            held = sorted([*(each for each in held if each >= settled), found])
        yield from held

    def _locals(self, local: datetime) -> Iterator[datetime]:
        """Local times that the rule names from one on, in order."""
        times = self._times()
        period = self._period(local.date())
        looked_to = local + HORIZON
        while True:
            first = self._first_day(period)
            if first is None or first > looked_to.date():
                return
            for found in self._of_period(first, times):
                if found >= local:
                    yield found
                    looked_to = found + HORIZON
            period += 1

    def _of_period(self, first: date, times: Sequence[time]) -> Iterator[datetime]:
        days = [day for day in self._days(first) if self._keeps(day)]
        if not self.rule.positions:
            for day in days:
                yield from (datetime.combine(day, at) for at in times)
            return
        size = len(days) * len(times)
        places = {
            place - 1 if place > 0 else size + place
            for place in self.rule.positions
            if abs(place) <= size
        }
        for place in sorted(places):
            of_day, of_time = divmod(place, len(times))
            yield datetime.combine(days[of_day], times[of_time])

    @property
    def shortest_gap(self) -> timedelta:
        """The least time between two of its local times, if its days follow each other."""
        minutes = [at.hour * 60 + at.minute for at in self._times()]
        around = itertools.pairwise([*minutes, minutes[0] + 24 * 60])
        return timedelta(minutes=min(later - earlier for earlier, later in around))

    def _times(self) -> list[time]:
        hours = self.rule.hours or [self.start.hour]
        minutes = self.rule.minutes or [self.start.minute]
        second, fraction = self.start.second, self.start.microsecond
        return [time(h, m, second, fraction) for h in sorted(hours) for m in sorted(minutes)]

    def _period(self, day: date) -> int:
        """The number of the last period of the rule that begins on a day or before it."""
        start, rule = self.start.date(), self.rule
        match rule.frequency:
            case Frequency.DAILY:
                distance = (day - start).days
            case Frequency.WEEKLY:
                distance = (day - self._week_of(start)).days // 7
            case Frequency.MONTHLY:
                distance = _month(day) - _month(start)
            case Frequency.YEARLY:
                distance = day.year - start.year
        return distance // rule.interval

    def _first_day(self, period: int) -> date | None:
        """A period's first day; None after the end of the calendar."""
        start, distance = self.start.date(), period * self.rule.interval
        try:
            match self.rule.frequency:
                case Frequency.DAILY:
                    return start + timedelta(days=distance)
                case Frequency.WEEKLY:
                    return self._week_of(start) + timedelta(weeks=distance)
                case Frequency.MONTHLY:
                    return _first_of_month(_month(start) + distance)
                case Frequency.YEARLY:
                    return date(start.year + distance, 1, 1)
        except (ValueError, OverflowError):
            return None

    def _days(self, first: date) -> Iterator[date]:
        """The days of a period that may be among its occurrences, in order."""
        match self.rule.frequency:
            case Frequency.DAILY:
                return iter((first,))
            case Frequency.WEEKLY:
                return _range(first, first + timedelta(days=7))
            case Frequency.MONTHLY:
                return _range(first, _next_month(first))
            case Frequency.YEARLY:
                return itertools.chain.from_iterable(
                    _range(month, _next_month(month))
                    for month in (first.replace(month=number) for number in self._months_of_year())
                )

    def _months_of_year(self) -> Sequence[int]:
        """The months in which a yearly rule has days."""
        rule = self.rule
        if rule.months:
            return sorted(rule.months)
        if rule.month_days or rule.weekdays:
            return range(1, 13)
        return (self.start.month,)

    def _keeps(self, day: date) -> bool:
        """Whether the rule names a day of its periods."""
        rule = self.rule
        if rule.months and day.month not in rule.months:
            return False
        if rule.month_days and not _is_month_day(day, rule.month_days):
            return False
        if rule.weekdays:
            return self._is_weekday(day)
        if rule.month_days or rule.frequency is Frequency.DAILY:
            return True
        if rule.frequency is Frequency.WEEKLY:
            return day.weekday() == self.start.weekday()
        return day.day == self.start.day

    def _is_weekday(self, day: date) -> bool:
        """Whether BYDAY names a day, perhaps as one of several in its month or year."""
        if self.rule.frequency is Frequency.MONTHLY or self.rule.months:
            first, after = day.replace(day=1), _next_month(day)
        else:
            first, after = date(day.year, 1, 1), date(day.year, 12, 31) + timedelta(days=1)
        return any(
            weekday == day.weekday()
            and (
                place == 0
                or place == (day - first).days // 7 + 1
                or place == -(((after - day).days - 1) // 7) - 1
            )
            for place, weekday in self.rule.weekdays
        )

    def _week_of(self, day: date) -> date:
        return day - timedelta(days=(day.weekday() - self.rule.week_start) % 7)


# What a change of the clocks leaves out at most: a day, where an island changes sides.
_GAP_MAX = timedelta(days=1)


def _month(day: date) -> int:
    return day.year * 12 + day.month - 1


def _first_of_month(number: int) -> date:
    return date(number // 12, number % 12 + 1, 1)


def _next_month(day: date) -> date:
    return _first_of_month(_month(day) + 1)


def _range(first: date, end: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((end - first).days))


def _is_month_day(day: date, month_days: Sequence[int]) -> bool:
    from_end = (day - _next_month(day)).days
    return day.day in month_days or from_end in month_days
