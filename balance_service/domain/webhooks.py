"""Webhooks: endpoints that events are sent to, how what is sent is signed, and when it is retried.

By Standard Webhooks, https://www.standardwebhooks.com.
"""

import base64
import enum
import hashlib
import hmac
import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from balance_service.domain.events import EventType, Place, Wanted

ENDPOINTS_MAX = 20
SECRET_PREFIX = "whsec_"  # noqa: S105 - no secret
SECRET_BYTES = 32
OLD_SECRET_LIFE = timedelta(hours=24)
OLD_SECRET_LIFE_MAX = timedelta(days=30)
# An endpoint of which every attempt failed for so long is disabled.
FAILING_MAX = timedelta(days=5)
# Of a test event, which is not of the log.
TEST_TYPE = "balance.v1.webhook.test"

# What is waited for after each failed attempt: the specification's schedule, three days in all.
_DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
ATTEMPTS_MAX = len(_DELAYS) + 1
# Of a delay, by chance: so that what failed together does not come back together.
_JITTER = 0.1
RETRY_AFTER_MAX = timedelta(hours=1)
# An endpoint rests after so many failures in a row, and then for twice as long after each.
_FAILURES_BEFORE_REST = 5
_REST_FIRST = timedelta(seconds=5)
_REST_MAX = timedelta(minutes=5)
_OK = range(200, 300)
GONE = 410


class DisabledReason(enum.IntEnum):
    """Why the service disabled an endpoint. The numbers are stored, and those of the contract."""

    NONE = 0
    GONE = 1
    FAILING = 2
    OWNER_NOT_PERMITTED = 3
    EVENTS_MISSED = 4


class DeliveryState(enum.IntEnum):
    """What became of an event that was to be sent. The numbers are those of the contract."""

    PENDING = 1
    DELIVERED = 2
    DEAD = 3


class Endpoint(NamedTuple):
    """Where events are sent to.

    Args:
        owner: The principal whose it is.
        types: Which events it hears; empty for all.
        account_ids: About which accounts; empty for all.
        secret: What is sent is signed with; sealed.
        old_secret: Signs beside it until `old_secret_until`; sealed.
        version: Counts what somebody changed.
        place: How far it has come in the log of events.
        failures: Attempts that failed since the last that succeeded.
        failing_since: When the first of them was.
    """

    endpoint_id: UUID
    owner: str
    url: str
    description: str
    types: Sequence[EventType]
    account_ids: Sequence[UUID]
    disabled: bool
    disabled_reason: DisabledReason
    secret: bytes
    secret_at: datetime
    old_secret: bytes | None
    old_secret_until: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
    place: Place
    failures: int
    failing_since: datetime | None

    @property
    def wanted(self) -> Wanted:
        """Which events it hears."""
        return Wanted(frozenset(self.types), frozenset(self.account_ids) or None)


class Delivery(NamedTuple):
    """An event that is to be sent to an endpoint, or was.

    Args:
        sequence: The event's number; None for a test event.
        attempts: How often it was tried since it last became pending.
        http_status: Of the last attempt's answer; 0 if there was none.
        error: Why the last attempt failed.
    """

    endpoint_id: UUID
    event_id: UUID
    sequence: int | None
    type: EventType | None
    state: DeliveryState
    attempts: int
    http_status: int
    error: str
    created_at: datetime
    attempted_at: datetime | None
    next_attempt_at: datetime | None


class Answer(NamedTuple):
    """What came of an attempt.

    Args:
        http_status: 0 if there was no answer.
        error: Why it failed, in a few words and without any of the URL's; empty if it did not.
        retry_after: How long the endpoint asks to be left alone.
    """

    http_status: int = 0
    error: str = ""
    retry_after: timedelta | None = None


class Outcome(NamedTuple):
    """What an attempt makes of a delivery.

    Args:
        due_at: Of the delivery as it was tried: another one is of whoever has it be sent again.
        delay: After how long it is tried again; None if it is not.
    """

    event_id: UUID
    due_at: datetime | None
    state: DeliveryState
    attempts: int
    http_status: int
    error: str
    delay: timedelta | None = None


def conclude(delivery: Delivery, answer: Answer) -> Outcome:
    """What an answer makes of a delivery: it was delivered, is retried, or is dead."""
    attempts = delivery.attempts + 1
    tried = delivery, attempts, answer
    if answer.http_status in _OK and not answer.error:
        return _outcome(DeliveryState.DELIVERED, *tried)
    if attempts >= ATTEMPTS_MAX or answer.http_status == GONE:
        return _outcome(DeliveryState.DEAD, *tried)
    delay = _DELAYS[attempts - 1]
    delay += delay * random.uniform(0, _JITTER)  # noqa: S311 - no secret
    asked = min(answer.retry_after or timedelta(), RETRY_AFTER_MAX)
    return _outcome(DeliveryState.PENDING, *tried)._replace(delay=max(delay, asked))


def _outcome(state: DeliveryState, tried: Delivery, attempts: int, answer: Answer) -> Outcome:
    event_id, due_at = tried.event_id, tried.next_attempt_at
    return Outcome(event_id, due_at, state, attempts, answer.http_status, answer.error)


def rest(failures: int, asked: timedelta | None) -> timedelta:
    """For how long an endpoint is left alone after failures in a row.

    Args:
        failures: How many.
        asked: How long it asks for itself.
    """
    wait = timedelta()
    if failures >= _FAILURES_BEFORE_REST:
        wait = min(_REST_FIRST * 2 ** min(failures - _FAILURES_BEFORE_REST, 16), _REST_MAX)
    return max(wait, min(asked or timedelta(), RETRY_AFTER_MAX))


def write_secret(key: bytes) -> str:
    """A signing key as receivers are told it."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def sign(keys: Iterable[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a message: its id, its time, and a signature by each key.

    Args:
        keys: At least one.
        message_id: Without a full stop.
        timestamp: When this attempt is made, in seconds of the Unix epoch.
        body: What is sent.
    """
    covered = f"{message_id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key, covered, hashlib.sha256)) for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature.decode()}" for signature in signatures),
    }
