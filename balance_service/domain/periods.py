"""The periods that the journal is partitioned by, in UTC: years, halves of a year, or quarters."""

import enum
from datetime import UTC, datetime


class Period(enum.StrEnum):
    """How much time one partition holds."""

    YEAR = "year"
    HALF_YEAR = "half-year"
    QUARTER = "quarter"


_MONTHS = {Period.YEAR: 12, Period.HALF_YEAR: 6, Period.QUARTER: 3}


def start_after(moment: datetime, period: Period) -> datetime:
    """The first start of a period that comes after a moment."""
    months = _MONTHS[period]
    moment = moment.astimezone(UTC)
    years, month = divmod((moment.month - 1) // months * months + months, 12)
    return datetime(moment.year + years, month + 1, 1, tzinfo=UTC)


def nearest(start: datetime, end: datetime) -> Period:
    """The period that is as long as the time between two moments, or the next shorter one."""
    months = (end.year - start.year) * 12 + end.month - start.month
    return next((p for p in Period if _MONTHS[p] <= months), Period.QUARTER)
