"""Quotas: never more than was promised, and never less to who waits as told."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain.quotas import Quota

START = datetime(2026, 1, 1, tzinfo=UTC)
QUOTAS = st.builds(
    Quota, st.integers(1, 20), st.timedeltas(timedelta(seconds=1), timedelta(days=1))
)
PAUSES = st.lists(st.timedeltas(timedelta(0), timedelta(days=2)), max_size=60)


@given(QUOTAS, PAUSES)
def test_no_more_is_taken_in_any_time_than_was_promised(
    quota: Quota, pauses: list[timedelta]
) -> None:
    now = full_at = START
    taken: list[datetime] = []
    for pause in pauses:
        now += pause
        if quota.wait(full_at, now) <= timedelta(0):
            full_at = quota.take(full_at, now)
            taken.append(now)
    for first, since in enumerate(taken):
        for last, until in enumerate(taken[first:], first):
            assert last - first + 1 <= quota.burst + (until - since) / quota.interval


@given(QUOTAS, PAUSES)
def test_who_waits_as_told_is_served(quota: Quota, pauses: list[timedelta]) -> None:
    now = full_at = START
    for pause in pauses:
        now += pause
        left = quota.left(full_at, now)
        wait = quota.wait(full_at, now)
        assert 0 <= left <= quota.burst
        assert (left > 0) == (wait <= timedelta(0))
        assert wait <= quota.interval
        now += max(wait, timedelta(0))
        assert quota.wait(full_at, now) <= timedelta(0)
        full_at = quota.take(full_at, now)


@given(QUOTAS)
def test_full_quota_gives_its_burst_at_once(quota: Quota) -> None:
    full_at = START
    for left in range(quota.burst, 0, -1):
        assert quota.left(full_at, START) == left
        full_at = quota.take(full_at, START)
    assert quota.wait(full_at, START) == quota.interval
    assert quota.left(full_at, START + quota.whole) == quota.burst
