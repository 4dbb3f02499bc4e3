"""Which moment is over, from one look at the primary to the next."""

from datetime import UTC, datetime, timedelta

from balance_service.reading.final_moments import NEVER, FinalMoments, Look
from balance_service.reading.past import SKEW_MAX

BEGAN = datetime(2026, 11, 29, tzinfo=UTC)


def look(seconds: float, *under_way: str, waiting_since: float | None = None) -> Look:
    since = None if waiting_since is None else at(waiting_since)
    return Look(at(seconds), frozenset(under_way), since)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def test_moment_is_over_once_those_have_ended_that_were_under_way_after_it() -> None:
    final = FinalMoments()
    assert final.after(look(10, "1", "2")) == NEVER
    assert final.after(look(11, "2", "3")) == NEVER
    assert final.after(look(12, "3", "4")) == at(10) - SKEW_MAX
    # Those that were under way at twelve, of which one began after eleven.
    assert final.after(look(13, "4", "5")) == at(10) - SKEW_MAX
    assert final.after(look(14, "5")) == at(12) - SKEW_MAX


def test_moment_without_any_transaction_is_over_but_for_the_margin() -> None:
    final = FinalMoments()
    assert final.after(look(10)) == at(10) - SKEW_MAX
    assert final.after(look(11)) == at(10) - SKEW_MAX
    assert final.after(look(12)) == at(11) - SKEW_MAX


def test_receipt_without_a_number_holds_up_the_moments_after_it() -> None:
    final = FinalMoments()
    date = 10 - SKEW_MAX.total_seconds() - 0.5
    assert final.after(look(10, waiting_since=date)) == NEVER
    assert final.after(look(11, waiting_since=date)) == NEVER
    # Dated as the moment is, one does not belong before it.
    assert final.after(look(12, waiting_since=date + 0.5)) == at(10) - SKEW_MAX
