"""What one principal may have of a worker."""

from contextlib import ExitStack
from uuid import uuid4

import pytest

from balance_service.calls import paces
from balance_service.calls.quotas import Quota, Quotas
from balance_service.domain import errors
from balance_service.domain.principals import Principal
from tests.unit.still_clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(paces, "time", made)
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
    for _ in range(50):
        call(kept, anna)
    with pytest.raises(errors.QuotaExceeded) as refused:
        call(kept, anna)
    assert (refused.value.quota, refused.value.limit) == ("calls_per_second", "10")
    clock.move(refused.value.retry_after_seconds)
    call(kept, anna)
    made = 0
    for _ in range(100):
        clock.move(0.05)
        try:
            call(kept, anna)
        except errors.QuotaExceeded:
            continue
        made += 1
    assert made == 50


def test_burst_is_there_again_after_a_pause(clock: Clock) -> None:
    kept, anna = Quotas(Quota(calls_per_second=10), Quota()), user()
    for _ in range(50):
        call(kept, anna)
    clock.move(60)
    for _ in range(50):
        call(kept, anna)
    with pytest.raises(errors.QuotaExceeded):
        call(kept, anna)


@pytest.mark.usefixtures("clock")
def test_one_users_calls_take_nothing_from_another_or_from_services() -> None:
    kept, anna = Quotas(Quota(1, 1, 1), Quota()), user()
    for _ in range(5):
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
