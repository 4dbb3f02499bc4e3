"""When a source publishes its sheets, and which sheets are believed.

A sheet is old when its source should have published the next one, not when a number of hours has
passed: before Russian New Year holidays one sheet serves for twelve days.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

from balance_service.domain.pricing import RateSheet

# What no source does between two publications unless it is broken. After missed publications, or
# ones that were not believed, it may have moved as far once for each: a currency that did lose more
# of its worth is believed a few publications later.
CHANGE_MAX = 2
SATURDAY = 5
_DAY = timedelta(days=1)
_AHEAD_MAX = timedelta(days=7)
_AGE_MAX = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class PublishingDays:
    """A source's calendar: it publishes on weekdays, but for its days off.

    Args:
        days_off: Its holidays, weekends aside; loaded when they are first needed.
        zone: Where its days begin and end.
        in_force_after: From the midnight that begins a publishing day to when that day's sheet
            comes into force.
    """

    days_off: Callable[[], Container[date]]
    zone: timezone
    in_force_after: timedelta

    def next_due(self, as_of: datetime) -> datetime:
        """When the sheet that follows one should be in force."""
        day = self._published_on(as_of) + _DAY
        while not self._publishes_on(day):
            day += _DAY
        return self._midnight(day) + self.in_force_after

    def stale_at(self, as_of: datetime, grace: timedelta) -> datetime:
        """From when a sheet is too old to charge by.

        Args:
            as_of: Since when the sheet is in force.
            grace: How long after the next one was due, counted on publishing days alone: on
                other days the source cannot make good what it missed.
        """
        moment = self.next_due(as_of).astimezone(self.zone)
        while True:
            midnight = self._midnight(moment.date() + _DAY)
            if self._publishes_on(moment.date()):
                if moment + grace <= midnight:
                    return moment + grace
                grace -= midnight - moment
            moment = midnight

    def publications(self, since: datetime, until: datetime) -> int:
        """How many sheets follow the one of a moment, up to the one of another."""
        day, last = self._published_on(since), self._published_on(until)
        count = 0
        while day < last:
            day += _DAY
            count += self._publishes_on(day)
        return count

    def _published_on(self, as_of: datetime) -> date:
        return (as_of - self.in_force_after).astimezone(self.zone).date()

    def _publishes_on(self, day: date) -> bool:
        return day.weekday() < SATURDAY and day not in self.days_off()

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone)


def doubt(sheet: RateSheet, last: RateSheet | None, days: PublishingDays, now: datetime) -> str:
    """Why a sheet is not to be believed; empty if it is.

    Args:
        sheet: What the source answers.
        last: Its newest sheet that was believed.
        days: When it publishes.
        now: The present.
    """
    if not now - _AGE_MAX <= sheet.as_of <= now + _AHEAD_MAX:
        return f"dated {sheet.as_of.isoformat()}"
    if last is None:
        return ""
    common = sheet.quotations.keys() & last.quotations.keys()
    if 2 * len(common) < len(last.quotations):
        return f"quotes {len(common)} of the last sheet's {len(last.quotations)} currencies"
    factor = CHANGE_MAX ** max(days.publications(last.as_of, sheet.as_of), 1)
    for code in sorted(common):
        new, old = sheet.quotations[code], last.quotations[code]
        # Of fractions, the products across: nothing is divided, so nothing is rounded.
        ours, theirs = new.value * old.units, old.value * new.units
        if not theirs <= ours * factor <= theirs * factor * factor:
            return f"{code} changed by more than a factor of {factor}"
    return ""
