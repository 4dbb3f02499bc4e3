"""Confirmation codes: six digits by e-mail, kept as a keyed hash, good once."""

import hmac
import secrets as random_source
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from balance_service.auth.secrets import Secrets
from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors
from balance_service.providers.mail import Mailer
from balance_service.repositories import credentials, users

LIFE = timedelta(minutes=10)
ATTEMPTS_MAX = 5
SEND_INTERVAL = timedelta(seconds=30)
SENDS_AN_HOUR_MAX = 5


@dataclass(frozen=True, slots=True)
class SentCode:
    """What may be told of a code that was sent.

    Args:
        expires_at: When it expires.
        remaining: How many more may be sent to the address this hour.
        resets_in_seconds: When the hour is over.
    """

    expires_at: datetime
    remaining: int
    resets_in_seconds: int


class ConfirmationCodes:
    """Sends codes and checks them."""

    def __init__(self, pool: Pool, mailer: Mailer, secrets: Secrets) -> None:
        self._pool = pool
        self._mailer = mailer
        self._secrets = secrets

    async def send(self, email: str) -> SentCode:
        """Sends a new code to an address, whose user is created if it is the first.

        Args:
            email: In lower case.

        Raises:
            ConfirmationCodeLimit: Too many were sent there lately.
            Unavailable: The mail could not be handed over.
        """
        code = f"{random_source.randbelow(1_000_000):06d}"
        now = datetime.now(UTC)
        async with transaction(self._pool) as conn:
            history = await credentials.lock_code(conn, email)
            if history is None or now - history.counted_since >= timedelta(hours=1):
                sent_count, counted_since = 1, now
            else:
                _check_limit(history, now)
                sent_count, counted_since = history.sent_count + 1, history.counted_since
            await users.ensure(conn, email, now)
            await credentials.put_code(
                conn,
                email,
                self._hash(email, code),
                now=now,
                expires_at=now + LIFE,
                sent_count=sent_count,
                counted_since=counted_since,
            )
        await self._mailer.send(
            email,
            "Your confirmation code",
            f"Your confirmation code is {code}\n\n"
            f"It works once, within {LIFE.seconds // 60} minutes. "
            "If you did not ask for it, ignore this mail.\n",
        )
        resets_in = counted_since + timedelta(hours=1) - now
        remaining = SENDS_AN_HOUR_MAX - sent_count
        return SentCode(now + LIFE, remaining, int(resets_in.total_seconds()))

    async def check(self, email: str, code: str) -> UUID:
        """Spends a code.

        Args:
            email: In lower case.
            code: What the caller says it is.

        Returns:
            The id of the user whom it signs in.

        Raises:
            ConfirmationCodeInvalid: It is wrong, used, expired or was tried too often, or there is
                none; which of these is not said.
        """
        now = datetime.now(UTC)
        # The attempt is committed before the comparison, so that no crash gives it back.
        async with self._pool.connection() as conn:
            stored = await credentials.count_attempt(conn, email, ATTEMPTS_MAX, now)
            right = hmac.compare_digest(stored or b"", self._hash(email, code))
            if not right or not await credentials.spend_code(conn, email, stored or b""):
                raise errors.ConfirmationCodeInvalid
            user = await users.find_by_email(conn, email)
        assert user is not None, "a code's user was created with it"
        return user.user_id

    def _hash(self, email: str, code: str) -> bytes:
        return self._secrets.keyed_hash("confirmation codes", f"{email} {code}")


def _check_limit(history: credentials.CodeHistory, now: datetime) -> None:
    wait = SEND_INTERVAL - (now - history.sent_at)
    if history.sent_count >= SENDS_AN_HOUR_MAX:
        wait = max(wait, timedelta(hours=1) - (now - history.counted_since))
    if wait > timedelta(0):
        raise errors.ConfirmationCodeLimit(retry_after_seconds=int(wait.total_seconds()) + 1)
