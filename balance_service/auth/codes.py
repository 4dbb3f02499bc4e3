"""Confirmation codes: six digits by e-mail, kept as a keyed hash, good once."""

import asyncio
import hmac
import math
import secrets as random_source
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from balance_service.auth.sealing import Secrets
from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors, retry_after
from balance_service.providers.mail import DeliveryUnknown, Mailer
from balance_service.repositories import credentials, users
from balance_service.repositories.credentials import CodeHistory

LIFE = timedelta(minutes=10)
ATTEMPTS_MAX = 5
SEND_INTERVAL = timedelta(seconds=30)
SENDS_AN_HOUR_MAX = 5
HOUR = timedelta(hours=1)
# Mails that a worker hands over at once: a mail server that hangs must not use up all its calls.
SENDING_MAX = 200


@dataclass(frozen=True, slots=True)
class SentCode:
    """What the caller may know of a code that was sent.

    Args:
        expires_at: When the code expires.
        remaining: How many more may be sent to the address this hour.
        resets_in_seconds: How long until the hour that limits them is over.
    """

    expires_at: datetime
    remaining: int
    resets_in_seconds: int


class ConfirmationCodes:
    """Sends codes and checks them.

    A code is counted before its mail is handed over, and put in place of the last one after. A mail
    that surely was not handed over is not counted, and the last code stays good. One that may have
    been is counted, and its code is good: it would be odd if it came and did not work.
    """

    def __init__(self, pool: Pool, mailer: Mailer, secrets: Secrets) -> None:
        self._pool = pool
        self._mailer = mailer
        self._secrets = secrets
        self._sending: set[asyncio.Task[CodeHistory]] = set()

    async def send(self, email: str) -> SentCode:
        """Sends a new code to an address, whose user is created if it is the first.

        Args:
            email: As `parse_email` reads it.

        Raises:
            ConfirmationCodeLimit: Too many were sent there lately.
            InvalidFields: The mail server refuses the address.
            Unavailable: The mail could not be handed over, or may not have been.
            Overloaded: Too many mails are being handed over.
        """
        if len(self._sending) >= SENDING_MAX:
            raise errors.Overloaded(retry_after.MAILS_FULL_SECONDS)
        # A caller who hangs up must not stop this half-way, between the mail and its code.
        sending = asyncio.create_task(self._send(email))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        counted = await asyncio.shield(sending)
        resets_in = counted.counted_since + HOUR - counted.sent_at
        remaining = SENDS_AN_HOUR_MAX - counted.sent_count
        return SentCode(counted.sent_at + LIFE, remaining, int(resets_in.total_seconds()))

    async def _send(self, email: str) -> CodeHistory:
        async with transaction(self._pool) as conn:
            before = await credentials.lock_code(conn, email, datetime.now(UTC))
            # Read anew: the lock may have waited for another request, which sent a code meanwhile.
            now = datetime.now(UTC)
            counted = _count_one_more(before, now)
            await credentials.count_code(conn, email, counted)
        code = f"{random_source.randbelow(1_000_000):06d}"
        try:
            await self._mailer.send(email, "Your confirmation code", _text(code))
        except DeliveryUnknown:
            await self._put(email, code, now)
            raise errors.Unavailable(SEND_INTERVAL.total_seconds()) from None
        except Exception:
            async with self._pool.connection() as conn:
                await credentials.uncount_code(conn, email, counted, before)
            raise
        await self._put(email, code, now)
        return counted

    async def _put(self, email: str, code: str, now: datetime) -> None:
        async with transaction(self._pool) as conn:
            await users.ensure(conn, email, now)
            code_hash = self._hash(email, code)
            if not await credentials.put_code(
                conn, email, code_hash, sent_at=now, expires_at=now + LIFE
            ):
                raise errors.Unavailable(SEND_INTERVAL.total_seconds())

    async def check(self, email: str, code: str) -> UUID:
        """Spends a code.

        Args:
            email: As `parse_email` reads it.
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


def _count_one_more(before: CodeHistory, now: datetime) -> CodeHistory:
    """The history with one more code; raises ConfirmationCodeLimit if it may not be sent."""
    new_hour = now - before.counted_since >= HOUR
    wait = SEND_INTERVAL - (now - before.sent_at)
    if not new_hour and before.sent_count >= SENDS_AN_HOUR_MAX:
        wait = max(wait, HOUR - (now - before.counted_since))
    if wait > timedelta(0):
        raise errors.ConfirmationCodeLimit(math.ceil(wait.total_seconds()))
    if new_hour:
        return CodeHistory(now, 1, now)
    return CodeHistory(now, before.sent_count + 1, before.counted_since)


def _text(code: str) -> str:
    return (
        f"Your confirmation code is {code}\n\n"
        f"It works once, within {LIFE.seconds // 60} minutes. "
        "If you did not ask for it, ignore this mail.\n"
    )
