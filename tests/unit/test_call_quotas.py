"""What one principal may have of a worker."""

from contextlib import ExitStack
from uuid import uuid4

import pytest

from balance_service.calls import quotas
from balance_service.calls.quotas import Quota, Quotas
from balance_service.domain import errors
from balance_service.domain.principals import Principal


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(quotas, "time", made)
    return made


def user() -> Principal:
    user_id = uuid4()
    return Principal(f"user:{user_id}", user_id, None)


SERVICE = Principal("service:shop", None, None)


def call(kept: Quotas, principal: Principal) -> None:
    with kept.call(principal):
        pass


def test_rate_is_kept_after_a_burst(clock: Clock) -> None:
    kept, anna = Quotas(Quota(calls_per_second=10), Quota()), user()
    for _ in range(51):
        call(kept, anna)
    with pytest.raises(errors.QuotaExceeded) as refused:
        call(kept, anna)
    assert (refused.value.quota, refused.value.limit) == ("calls_per_second", "10")
    clock.now += refused.value.retry_after_seconds
    call(kept, anna)
    made = 0
    for _ in range(100):
        clock.now += 0.05
        try:
            call(kept, anna)
        except errors.QuotaExceeded:
            continue
        made += 1
    assert made == 50


def test_burst_is_there_again_after_a_pause(clock: Clock) -> None:
    kept, anna = Quotas(Quota(calls_per_second=10), Quota()), user()
    for _ in range(51):
        call(kept, anna)
    clock.now += 60
    for _ in range(51):
        call(kept, anna)
    with pytest.raises(errors.QuotaExceeded):
        call(kept, anna)


@pytest.mark.usefixtures("clock")
def test_one_users_calls_take_nothing_from_another_or_from_services() -> None:
    kept, anna = Quotas(Quota(1, 1, 1), Quota()), user()
    for _ in range(6):
        call(kept, anna)
    with pytest.raises(errors.QuotaExceeded):
        call(kept, anna)
    call(kept, user())
    for _ in range(100):
        call(kept, SERVICE)


@pytest.mark.parametrize("kind", ["call", "stream"])
def test_what_is_under_way_is_bounded_and_what_has_ended_is_not_counted(kind: str) -> None:
    kept, anna = Quotas(Quota(calls_max=2, streams_max=2), Quota()), user()
    with ExitStack() as under_way:
        for _ in range(2):
            under_way.enter_context(getattr(kept, kind)(anna))
        with pytest.raises(errors.QuotaExceeded) as refused, getattr(kept, kind)(anna):
            pass
        assert refused.value.limit == "2"
    with pytest.raises(RuntimeError), getattr(kept, kind)(anna):
        raise RuntimeError
    with ExitStack() as under_way:
        for _ in range(2):
            under_way.enter_context(getattr(kept, kind)(anna))


def test_who_has_been_silent_is_forgotten_and_who_was_refused_is_not(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "REMEMBERED", 10)
    kept, anna = Quotas(Quota(calls_per_second=1), Quota()), user()
    for _ in range(100):
        call(kept, user())
        clock.now += 5
    for _ in range(6):
        call(kept, anna)
    for _ in range(100):
        call(kept, user())
    with pytest.raises(errors.QuotaExceeded):
        call(kept, anna)
    clock.now += 5
    call(kept, user())
    assert len(kept._due) <= 11
