"""When sources publish: no sheet is old while its source rests; all are once it is late."""

import itertools
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain.pricing import Quotation, RateSheet
from balance_service.domain.publishing import PublishingDays, doubt
from balance_service.providers.rates import CBR_DAYS, ECB_DAYS

MOSCOW = timezone(timedelta(hours=3))
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def days(*spans: str) -> set[date]:
    """Days as in "2025-01-01..08"."""
    found = set()
    for span in spans:
        first, _, last = span.partition("..")
        start = date.fromisoformat(first)
        found |= {start + DAY * n for n in range(int(last or start.day) - start.day + 1)}
    return found


# The decreed calendars of 2024 to 2026: holidays, and days off moved from weekends.
RUSSIAN = days(
    *("2024-12-29..31", "2025-01-01..08", "2025-05-01..02", "2025-05-08..09", "2025-06-12..13"),
    *("2025-11-03..04", "2025-12-31", "2026-01-01..09", "2026-02-23", "2026-03-09", "2026-05-01"),
    *("2026-05-11", "2026-06-12", "2026-11-04", "2026-12-31", "2027-01-01..08"),
)
RUSSIAN_SATURDAYS_AT_WORK = days("2024-12-28", "2025-11-01")
TARGET = days(
    *("2024-12-25..26", "2025-01-01", "2025-04-18", "2025-04-21", "2025-05-01", "2025-12-25..26"),
    *("2026-01-01", "2026-04-03", "2026-04-06", "2026-05-01", "2026-12-25", "2027-01-01"),
)


def at_work(day: date, off: set[date]) -> bool:
    return day.weekday() < 5 and day not in off


def working_days(off: set[date], more: AbstractSet[date] = frozenset()) -> Iterator[date]:
    for n in range(2 * 365 + 25):
        day = date(2024, 12, 20) + DAY * n
        if at_work(day, off) or day in more:
            yield day


def midnight(day: date, zone: timezone) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def cbr_sheets(more: AbstractSet[date] = frozenset()) -> list[datetime]:
    """In force from the day after each working day."""
    return [midnight(day + DAY, MOSCOW) for day in working_days(RUSSIAN, more)]


def ecb_sheets() -> list[datetime]:
    return [midnight(day, UTC) + 15 * HOUR for day in working_days(TARGET)]


@pytest.mark.parametrize(
    ("source", "sheets"),
    [
        (CBR_DAYS, cbr_sheets()),
        (CBR_DAYS, cbr_sheets(RUSSIAN_SATURDAYS_AT_WORK)),
        (ECB_DAYS, ecb_sheets()),
    ],
    ids=["cbr", "cbr with working Saturdays", "ecb"],
)
def test_no_sheet_goes_stale_before_the_next_one(
    source: PublishingDays, sheets: list[datetime]
) -> None:
    assert len(sheets) > 480
    for sheet, following in itertools.pairwise(sheets):
        assert source.stale_at(sheet, HOUR) > following, sheet


@pytest.mark.parametrize(
    ("source", "sheets", "off"),
    [(CBR_DAYS, cbr_sheets(), RUSSIAN), (ECB_DAYS, ecb_sheets(), TARGET)],
    ids=["cbr", "ecb"],
)
@pytest.mark.parametrize("grace_hours", [1, 24, 96])
def test_source_that_stops_goes_stale_after_the_grace_in_its_own_days(
    source: PublishingDays, sheets: list[datetime], off: set[date], grace_hours: int
) -> None:
    for sheet, due in itertools.pairwise(sheets[:-20]):
        moment, worked = due.astimezone(source.zone), 0
        while worked < grace_hours:
            worked += at_work(moment.date(), off)
            moment += HOUR
        assert source.stale_at(sheet, HOUR * grace_hours) == moment, sheet


@pytest.mark.parametrize(
    ("source", "last", "following"),
    [
        (CBR_DAYS, "2025-12-31T00:00+03:00", "2026-01-13T00:00+03:00"),
        (CBR_DAYS, "2026-05-09T00:00+03:00", "2026-05-13T00:00+03:00"),
        (CBR_DAYS, "2026-11-21T00:00+03:00", "2026-11-24T00:00+03:00"),
        (ECB_DAYS, "2026-04-02T15:00Z", "2026-04-07T15:00Z"),
        (ECB_DAYS, "2025-12-24T15:00Z", "2025-12-29T15:00Z"),
    ],
)
def test_next_sheet_is_due_when_the_source_publishes_again(
    source: PublishingDays, last: str, following: str
) -> None:
    assert source.next_due(datetime.fromisoformat(last)) == datetime.fromisoformat(following)
    assert source.publications(datetime.fromisoformat(last), datetime.fromisoformat(following)) == 1


def test_nothing_is_published_between_a_sheet_and_an_older_one() -> None:
    new, old = cbr_sheets()[10], cbr_sheets()[4]
    assert CBR_DAYS.publications(old, new) == 6
    assert CBR_DAYS.publications(new, old) == 0
    assert CBR_DAYS.publications(new, new) == 0


NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TODAY = datetime(2026, 11, 24, 21, tzinfo=UTC)


def sheet(as_of: datetime = TODAY, **worth: str) -> RateSheet:
    figures = {code: Quotation(Decimal(1), Decimal(text)) for code, text in worth.items()}
    return RateSheet("cbr", "RUB", as_of, figures)


LAST = sheet(TODAY - DAY, USD="80", EUR="90", CNY="11", GBP="100")


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (sheet(USD="80", EUR="90", CNY="11", GBP="100"), ""),
        (sheet(USD="160", EUR="45", CNY="11", GBP="100"), ""),
        (sheet(USD="80", EUR="90"), ""),
        (sheet(USD="80", EUR="90", CNY="11", GBP="100", JPY="0.5"), ""),
        (sheet(USD="80", JPY="0.5", INR="1"), "quotes 1 of the last sheet's 4"),
        (sheet(USD="160.0001", EUR="90", CNY="11", GBP="100"), "USD changed"),
        (sheet(USD="80", EUR="90", CNY="5.4999", GBP="100"), "CNY changed"),
        (sheet(NOW + 8 * DAY, USD="80", EUR="90", CNY="11"), "dated"),
        (sheet(NOW - 32 * DAY, USD="80", EUR="90", CNY="11"), "dated"),
    ],
)
def test_sheet_that_no_source_would_publish_is_doubted(found: RateSheet, why: str) -> None:
    said = doubt(found, LAST, CBR_DAYS, NOW)
    assert said.startswith(why)
    assert bool(said) == bool(why)


def test_first_sheet_is_doubted_for_its_date_alone() -> None:
    assert not doubt(sheet(USD="80"), None, CBR_DAYS, NOW)
    assert doubt(sheet(NOW + 8 * DAY, USD="80"), None, CBR_DAYS, NOW)


def test_worth_may_change_as_often_as_the_source_published_since() -> None:
    before = sheet(TODAY - 2 * DAY, USD="80")
    assert not doubt(sheet(USD="320"), before, CBR_DAYS, NOW)
    assert doubt(sheet(USD="320"), sheet(TODAY - DAY, USD="80"), CBR_DAYS, NOW)


@given(st.decimals("0.000001", "1000000", places=6), st.sampled_from(["1", "10", "100", "10000"]))
def test_change_is_of_worth_and_not_of_figures(worth: Decimal, units: str) -> None:
    before = RateSheet("cbr", "RUB", TODAY - DAY, {"JPY": Quotation(Decimal(1), worth)})
    tenfold = Quotation(Decimal(units), worth * Decimal(units))
    assert not doubt(RateSheet("cbr", "RUB", TODAY, {"JPY": tenfold}), before, CBR_DAYS, NOW)
