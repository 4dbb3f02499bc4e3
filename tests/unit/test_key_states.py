"""The life of a signing key, by the clock."""

from datetime import UTC, datetime, timedelta

import pytest

from balance_service.auth.key_states import VERIFIES_FOR, Life, State, lives
from balance_service.config import Settings
from balance_service.repositories.signing_keys import SigningKey

NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)


def key(name: str, signs: timedelta, stops: timedelta | None = None) -> SigningKey:
    """A key that signs, and perhaps stops, so long after noon."""
    stops_at = None if stops is None else NOON + stops
    return SigningKey(name, b"", b"", NOON, NOON + signs, stops_at, NOON)


FIRST, SECOND = key("1", timedelta(0)), key("2", HOUR)
SIGNING, PUBLISHED = State.SIGNING, State.PUBLISHED
RETIRED, REMOVED = State.RETIRED, State.REMOVED


@pytest.mark.parametrize(
    ("now", "states"),
    [
        (-TICK, (PUBLISHED, PUBLISHED)),
        (timedelta(0), (SIGNING, PUBLISHED)),
        (HOUR - TICK, (SIGNING, PUBLISHED)),
        (HOUR, (RETIRED, SIGNING)),
        (HOUR + VERIFIES_FOR - TICK, (RETIRED, SIGNING)),
        (HOUR + VERIFIES_FOR, (REMOVED, SIGNING)),
        (1000 * VERIFIES_FOR, (REMOVED, SIGNING)),
    ],
)
def test_key_retires_when_the_next_one_signs(now: timedelta, states: tuple[State, ...]) -> None:
    assert tuple(life.state for life in lives([SECOND, FIRST], NOON + now)) == states[::-1]


def test_life_says_when_it_changes() -> None:
    at = NOON + HOUR / 2
    assert lives([FIRST, SECOND], at) == [Life(SIGNING, NOON + HOUR), Life(PUBLISHED, NOON + HOUR)]
    assert lives([FIRST], at) == [Life(SIGNING, None)]
    assert lives([FIRST, SECOND], NOON + HOUR)[0] == Life(RETIRED, NOON + HOUR + VERIFIES_FOR)


def test_key_that_is_stopped_before_it_signs_leaves_the_other_signing() -> None:
    stopped = key("2", HOUR, stops=HOUR / 2)
    at = NOON + 2 * HOUR
    assert lives([stopped, FIRST], at) == [Life(REMOVED, None), Life(SIGNING, None)]


def test_stopped_key_verifies_what_it_signed() -> None:
    stopped = key("1", timedelta(0), stops=HOUR)
    assert lives([stopped], NOON + HOUR)[0].state == RETIRED
    assert lives([stopped], NOON + HOUR + VERIFIES_FOR)[0].state == REMOVED


def test_of_two_keys_of_one_moment_the_later_one_signs() -> None:
    same = [key("b", timedelta(0)), key("a", timedelta(0))]
    assert [life.state for life in lives(same, NOON + TICK)] == [SIGNING, REMOVED]


def test_retired_key_outlives_the_longest_token_that_can_be_set() -> None:
    field = Settings.model_fields["access_token_seconds"]
    longest = next(rule.le for rule in field.metadata if hasattr(rule, "le"))
    assert timedelta(seconds=longest) < VERIFIES_FOR
