"""How long an access token is used, by this machine's monotonic clock: its wall clock may be wrong.

What is counted too long costs one refusal, for a refused token is renewed.
"""

import math
import time
from dataclasses import dataclass

from balance_client import v1

RENEW_BEFORE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token in use.

    Args:
        text: What is sent.
        renew_at: When to ask for the next, in seconds of the monotonic clock.
        expires_at: When it is of no use any more, on the same clock.
    """

    text: str
    renew_at: float
    expires_at: float


def received(token: v1.Token, asked_at: float) -> AccessToken:
    """The access token of an answer.

    Args:
        token: The answer. A service that does not say how long it lives has it used until refused.
        asked_at: When it was asked for, on the monotonic clock: its life began no sooner.
    """
    life = token.expires_in_seconds or math.inf
    return _living(token, asked_at, life, life)


def kept(token: v1.Token) -> AccessToken:
    """The access token of an answer that came at an unknown time, perhaps to another process.

    How much of its life is left, only the wall clock can tell; if it is wrong, the token is renewed
    too soon or after a refusal, once.
    """
    left = token.expire_time.ToSeconds() - time.time()
    return _living(token, time.monotonic(), left, token.expires_in_seconds or left)


def _living(token: v1.Token, start: float, left: float, life: float) -> AccessToken:
    before = min(RENEW_BEFORE_SECONDS, life / 4)
    return AccessToken(token.token, start + left - before, start + left)
