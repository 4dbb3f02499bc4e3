"""Confirmation codes: eight digits by e-mail, kept as a keyed hash, good once.

A code belongs to a verification, whose id only the one who asked for it knows: nobody else can
guess at it, use its guesses up or replace it, and any number of them may be open for an address.

A guess is right by chance with a probability of 1 to 10^8. Strangers have at most 100 wrong guesses
a day at a mailbox, and beyond them one for each code that is sent, of which there are 154 a day: in
all less than 3 to 10^6. NIST SP 800-63B ("Out-of-Band Verifiers", "Rate Limiting") asks for 10^6
codes, 10 minutes and 100 guesses.
"""

import asyncio
import secrets as random_source
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.auth import askers
from balance_service.auth.askers import CODE_LIFE, SEND_INTERVAL, SENDS, Asker, Askers, Taken
from balance_service.auth.sealing import Secrets
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors, retry_after
from balance_service.providers.mail import DeliveryUnknown, Mailer
from balance_service.repositories import users, verifications
from balance_service.repositories.verifications import Limit, NewVerification

DIGITS = 8
# What keyed hashes are for.
_IDS, _CODES = "verifications", "confirmation codes"
GUESSES_MAX = 5
# Mails that a worker hands over at once: a mail server that hangs must not use up all its calls.
SENDING_MAX = 200


@dataclass(frozen=True, slots=True)
class SentCode:
    """What whoever asked may know of a code that was sent.

    Args:
        verification_id: What the code is confirmed with.
        expires_at: When the code expires.
        remaining: How many more they may have sent there now.
        full_in_seconds: How long until they may have as many as at first.
    """

    verification_id: str
    expires_at: datetime
    remaining: int
    full_in_seconds: int


class _Counted(NamedTuple):
    """A code that was counted before it is sent."""

    asker: Asker
    limits: list[Limit]
    taken: Taken


class RightGuess(NamedTuple):
    """A code that was guessed right, and is not spent yet.

    Args:
        email: The address that it was sent to.
        asker: Whose guess it was.
        verification_hash: Of its verification.
        limits: What was taken for the guess, to be given back.
    """

    email: str
    asker: Asker
    verification_hash: bytes
    limits: list[Limit]


class ConfirmationCodes:
    """Sends codes and checks them.

    A code is counted before its mail is handed to the mail server. If the hand-over failed for
    certain, the count is taken back. If its outcome is unknown, the code counts and is good, for
    the mail may arrive.
    """

    def __init__(self, pool: Pool, mailer: Mailer, secrets: Secrets, known: Askers) -> None:
        self._pool = pool
        self._mailer = mailer
        self._secrets = secrets
        self._askers = known
        self._sending: set[asyncio.Task[SentCode]] = set()

    async def send(self, email: str, network: str) -> SentCode:
        """Sends a new code to an address, whether it is a user's or not.

        Args:
            email: As `parse_email` reads it.
            network: From where it is asked for.

        Raises:
            ConfirmationCodeLimit: Too many were sent lately.
            InvalidFields: The mail server refuses the address.
            Unavailable: The mail could not be handed over, or may not have been.
            Overloaded: Too many mails are being handed over.
        """
        if len(self._sending) >= SENDING_MAX:
            raise errors.Overloaded(retry_after.MAILS_FULL_SECONDS)
        # A caller who hangs up must not stop this half-way, between the mail and its code.
        sending = asyncio.create_task(self._send(email, network))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        return await asyncio.shield(sending)

    async def _send(self, email: str, network: str) -> SentCode:
        counted = await self._count(email, network)
        code = f"{random_source.randbelow(10**DIGITS):0{DIGITS}d}"
        try:
            await self._mailer.send(email, "Your confirmation code", _text(code))
        except DeliveryUnknown:
            await self._put(email, code, counted)
            raise errors.Unavailable(SEND_INTERVAL.interval.total_seconds()) from None
        except Exception:
            async with transaction(self._pool) as conn:
                await askers.give_back(conn, counted.limits)
            raise
        return await self._put(email, code, counted)

    async def _count(self, email: str, network: str) -> _Counted:
        async with transaction(self._pool) as conn:
            asker = await self._askers.recognise(conn, email, network)
            limits = self._askers.sending(asker)
            taken = await askers.take(conn, limits)
            if not taken.succeeded:
                # Rolled back, so that what is refused leaves no rows behind.
                raise errors.ConfirmationCodeLimit(taken.wait_seconds)
        return _Counted(asker, limits, taken)

    async def _put(self, email: str, code: str, counted: _Counted) -> SentCode:
        verification_id = random_source.token_urlsafe(24)
        asker, now = counted.asker, counted.taken.now
        verification = NewVerification(
            verification_hash=self._secrets.keyed_hash(_IDS, verification_id),
            email=email,
            code_hash=self._secrets.keyed_hash(_CODES, f"{email} {code}"),
            asker=asker.key,
            asker_known=asker.known,
            created_at=now,
            expires_at=now + CODE_LIFE,
        )
        async with self._pool.connection() as conn:
            await verifications.insert(conn, verification)
        # The asker's own share is the second of the limits.
        full_at = counted.taken.full_at[1]
        left, full_in = SENDS.left(full_at, now), int((full_at - now).total_seconds())
        return SentCode(verification_id, verification.expires_at, left, full_in)

    async def guess(self, verification_id: str, code: str) -> RightGuess:
        """Tries a code.

        Args:
            verification_id: Which code.
            code: What the caller says it is.

        Returns:
            That it is right, to be confirmed; until then the code is not spent.

        Raises:
            ConfirmationCodeInvalid: It is wrong, used, expired or was tried too often, or there is
                none; which of these is not said.
        """
        hashes = self._secrets.keyed_hashes(_IDS, verification_id)
        # The guess is counted before it is compared, so that no crash gives it back.
        async with transaction(self._pool) as conn:
            guess = await verifications.count_guess(conn, hashes, GUESSES_MAX)
            if guess is None:
                raise errors.ConfirmationCodeInvalid
            asker = self._askers.of_guess(guess)
            limits = self._askers.guessing(asker)
            taken = await askers.take(conn, limits)
        right = self._secrets.is_hash(guess.code_hash, _CODES, f"{guess.email} {code}")
        # Without a quota left the first guess counts still: whoever reads the mail is not kept out
        # by those who do not.
        if not right or not (taken.succeeded or guess.guesses == 1):
            raise errors.ConfirmationCodeInvalid
        returned = limits if taken.succeeded else []
        return RightGuess(guess.email, asker, guess.verification_hash, returned)

    async def guess_plainly(self, email: str, code: str, network: str) -> RightGuess:
        """Tries a code of an address, whoever asked for it.

        It is for callers who know no verification. Their guesses use up none of a verification's,
        so they are limited more strictly instead.

        Args:
            email: As `parse_email` reads it.
            code: What the caller says it is.
            network: From where.

        Returns:
            As `guess` does.

        Raises:
            ConfirmationCodeInvalid: No code of the address is this one.
            ConfirmationCodeLimit: Too many wrong ones were tried.
        """
        async with transaction(self._pool) as conn:
            asker = await self._askers.recognise(conn, email, network)
            limits = self._askers.plain_guessing(asker)
            taken = await askers.take(conn, limits)
            if not taken.succeeded:
                raise errors.ConfirmationCodeLimit(taken.wait_seconds)
        async with self._pool.connection() as conn:
            hashes = self._secrets.keyed_hashes(_CODES, f"{email} {code}")
            found = await verifications.find_by_code(conn, email, hashes)
        if found is None:
            raise errors.ConfirmationCodeInvalid
        return RightGuess(email, asker, found, limits)

    async def find_email(self, conn: Connection, verification_id: str) -> str | None:
        """The address that a code was sent to, if there is such a verification still."""
        hashes = self._secrets.keyed_hashes(_IDS, verification_id)
        return await verifications.find_email(conn, hashes)

    async def give_back(self, right: RightGuess) -> RightGuess:
        """Takes back that a right guess was counted, where it is not confirmed yet."""
        async with transaction(self._pool) as conn:
            await verifications.uncount_guess(conn, right.verification_hash)
            await askers.give_back(conn, right.limits)
        return right._replace(limits=[])

    async def confirm(self, right: RightGuess) -> UUID:
        """Spends a code that was guessed right.

        Returns:
            The id of the address's user, who is created if need be.

        Raises:
            ConfirmationCodeInvalid: Somebody else was first.
        """
        async with transaction(self._pool) as conn:
            await self.spend(conn, right)
            await users.ensure(conn, right.email, datetime.now(UTC))
            user = await users.find_by_email(conn, right.email)
        assert user is not None, "just ensured"
        return user.user_id

    async def spend(self, conn: Connection, right: RightGuess) -> None:
        """Spends a code; raises ConfirmationCodeInvalid if somebody else was first."""
        if not await verifications.spend(conn, right.verification_hash):
            raise errors.ConfirmationCodeInvalid
        await askers.give_back(conn, right.limits)
        (mailbox, *_) = self._askers.hash_mailbox(right.email)
        await verifications.remember(conn, right.asker.key, mailbox)


def _text(code: str) -> str:
    return (
        f"Your confirmation code is {code}\n\n"
        f"It works once, within {CODE_LIFE.seconds // 60} minutes. "
        "If you did not ask for it, ignore this mail.\n"
    )
