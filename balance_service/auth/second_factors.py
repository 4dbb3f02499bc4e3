"""Second factors: time-based one-time passwords (TOTP, RFC 6238), and codes to recover by.

A code of an authenticator is good for its step of 30 seconds and the steps beside it, and once: a
step that was used, and any before it, is refused (RFC 6238, 5.2). Secrets are kept sealed, recovery
codes as keyed hashes.
"""

import re
import secrets as random_source
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import pyotp
from pyotp.exceptions import OTPVerificationError

from balance_service.auth import askers
from balance_service.auth.askers import Asker, Askers
from balance_service.auth.sealing import Secrets
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors
from balance_service.domain.audit import Action, Actor, AuditEvent
from balance_service.domain.users import User
from balance_service.repositories import audit, credentials, second_factors, users
from balance_service.repositories.verifications import Limit

RECOVERY_CODES = 10
# Secrets that are read at once to be sealed again.
RESEALED_MAX = 1000
# Of Crockford's alphabet: 50 bits.
RECOVERY_CODE_LENGTH = 10
STEPS_BESIDE = 1

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# What people read for what (Crockford's base 32).
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_TOTP = re.compile(r"[0-9]{6}", re.ASCII)
_PURPOSE = "second factors"


class Enrolment(NamedTuple):
    """What an authenticator is set up with, shown once.

    Args:
        secret: In base 32.
        uri: The same for a QR code, as authenticators read it.
    """

    secret: str
    uri: str


class SecondFactors:
    """Enrols second factors and has them proved.

    Args:
        pool: Where they are kept.
        secrets: What they are sealed and hashed with.
        known: Names the limits of attempts.
        issuer: What authenticators call the service.
    """

    def __init__(self, pool: Pool, secrets: Secrets, known: Askers, issuer: str) -> None:
        self._pool = pool
        self._secrets = secrets
        self._askers = known
        self._issuer = issuer

    async def enrol(self, user_id: UUID) -> Enrolment:
        """Makes a secret, in place of one that was not confirmed.

        Raises:
            SecondFactorEnrolled: The user has a second factor.
        """
        secret = pyotp.random_base32()
        # Sealed with the user's id, so that a secret is of no use in another user's row.
        sealed = self._secrets.seal(user_id.bytes + secret.encode(), _PURPOSE)
        async with transaction(self._pool) as conn:
            user = await users.hold(conn, user_id)
            if not await second_factors.put(conn, user_id, sealed, datetime.now(UTC)):
                raise errors.SecondFactorEnrolled
        totp = pyotp.TOTP(secret, name=user.email, issuer=self._issuer)
        return Enrolment(secret, totp.provisioning_uri())

    async def confirm(self, user_id: UUID, code: str, actor: Actor) -> list[str]:
        """Confirms a secret by a code of it; the user needs it to sign in from then on.

        The session in which that is done goes on, and the user's others end.

        Returns:
            Recovery codes, which are not kept and cannot be shown again.

        Raises:
            SecondFactorEnrolled: The user has a second factor.
            SecondFactorInvalid: The code is wrong, or nothing was enrolled.
            SecondFactorLimit: Too many wrong ones were tried.
        """
        limits = self._askers.proving_within(user_id)
        now = await self._take(limits)
        codes = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
        async with transaction(self._pool) as conn:
            await users.lock(conn, user_id)
            factor = await second_factors.get(conn, user_id)
            if factor is None:
                raise errors.SecondFactorInvalid
            if factor.confirmed:
                raise errors.SecondFactorEnrolled
            step = _find_step(self._unseal(user_id, factor.sealed_secret), code, now)
            if step is None or not await second_factors.confirm(
                conn, user_id, factor.sealed_secret, step, now
            ):
                raise errors.SecondFactorInvalid
            hashes = [self._hashes(user_id, _plain(made))[0] for made in codes]
            await second_factors.insert_recovery_codes(conn, user_id, hashes, self._secrets.mark)
            await users.set_second_factor(conn, user_id, enrolled=True, now=now)
            if actor.session_id:
                await credentials.prove_session(conn, actor.session_id)
            await credentials.revoke_sessions_of_user(conn, user_id, now, actor.session_id)
            event = AuditEvent(Action.SECOND_FACTOR_ENROLLED, actor, f"user:{user_id}")
            await audit.record(conn, event)
            await askers.give_back(conn, limits)
        return codes

    async def prove(self, user: User, asker: Asker, code: str) -> None:
        """Has a user prove their second factor when they sign in.

        Args:
            user: Who has one.
            asker: Whose attempts are counted.
            code: Of the authenticator or for recovery; empty if none was sent.

        Raises:
            SecondFactorRequired: None was sent.
            SecondFactorInvalid: It is wrong, or was used.
            SecondFactorLimit: Too many wrong ones were tried.
        """
        if not code:
            raise errors.SecondFactorRequired
        await self._prove(user.user_id, self._askers.proving(asker, user.user_id), code)

    async def remove(self, user_id: UUID, code: str, actor: Actor) -> User:
        """Removes a user's own second factor, which they prove; raises as `prove` does."""
        await self._prove(user_id, self._askers.proving_within(user_id), code)
        async with transaction(self._pool) as conn:
            event = AuditEvent(Action.SECOND_FACTOR_REMOVED, actor, f"user:{user_id}")
            await audit.record(conn, event)
            return await _remove(conn, user_id)

    async def reset(self, user_id: UUID, actor: Actor) -> User:
        """Removes the second factor of a user who lost it, and ends their sessions.

        Raises:
            UserNotFound: There is no such user.
        """
        async with transaction(self._pool) as conn:
            user = await _remove(conn, user_id)
            await credentials.revoke_sessions_of_user(conn, user_id, datetime.now(UTC))
            event = AuditEvent(Action.SECOND_FACTOR_RESET, actor, f"user:{user_id}")
            await audit.record(conn, event)
        return user

    async def _prove(self, user_id: UUID, limits: Sequence[Limit], code: str) -> None:
        # Counted before it is compared, so that no crash gives the attempt back.
        now = await self._take(limits)
        async with transaction(self._pool) as conn:
            if not await self._use(conn, user_id, code, now):
                raise errors.SecondFactorInvalid
            await askers.give_back(conn, limits)

    async def _take(self, limits: Sequence[Limit]) -> datetime:
        async with transaction(self._pool) as conn:
            taken = await askers.take(conn, limits)
        if not taken.succeeded:
            raise errors.SecondFactorLimit(taken.wait_seconds)
        return taken.now

    async def _use(self, conn: Connection, user_id: UUID, code: str, now: datetime) -> bool:
        """Uses up a code; False if it is wrong, or was used."""
        factor = await second_factors.get(conn, user_id)
        if factor is None or not factor.confirmed:
            return False
        plain = _plain(code)
        if not _TOTP.fullmatch(plain):
            hashes = self._hashes(user_id, plain)
            return await second_factors.use_recovery_code(conn, user_id, hashes)
        step = _find_step(self._unseal(user_id, factor.sealed_secret), plain, now)
        return step is not None and await second_factors.use_step(conn, user_id, step)

    def _unseal(self, user_id: UUID, sealed: bytes) -> str:
        plain = self._secrets.unseal(sealed, _PURPOSE)
        assert plain.startswith(user_id.bytes), "a secret was sealed for its user"
        return plain.removeprefix(user_id.bytes).decode()

    def _hashes(self, user_id: UUID, code: str) -> list[bytes]:
        return self._secrets.keyed_hashes("recovery codes", f"{user_id} {code}")


async def reseal(conn: Connection, secrets: Secrets) -> int:
    """Seals again what the previous secret sealed; how many users' that was."""
    resealed = 0
    after: UUID | None = None
    while page := await second_factors.list_sealed(conn, after, RESEALED_MAX):
        for user_id, sealed in page:
            if (again := secrets.reseal(sealed, _PURPOSE)) is not None:
                resealed += await second_factors.replace_seal(conn, user_id, sealed, again)
        after = page[-1].user_id
    return resealed


async def _remove(conn: Connection, user_id: UUID) -> User:
    user = await users.lock(conn, user_id)
    await second_factors.delete(conn, user_id)
    if not user.second_factor:
        return user
    await users.set_second_factor(conn, user_id, enrolled=False, now=datetime.now(UTC))
    return await users.get(conn, user_id)


def _find_step(secret: str, code: str, now: datetime) -> int | None:
    """The step whose code it is, near a time; None if it is that of none."""
    try:
        return pyotp.TOTP(secret).verify_and_get_timecode(
            code, for_time=now, valid_window=STEPS_BESIDE
        )
    except OTPVerificationError:
        return None


def _new_recovery_code() -> str:
    letters = "".join(random_source.choice(_ALPHABET) for _ in range(RECOVERY_CODE_LENGTH))
    half = RECOVERY_CODE_LENGTH // 2
    return f"{letters[:half]}-{letters[half:]}"


def _plain(code: str) -> str:
    """A code without what people add or mistake in reading it."""
    return code.upper().translate(_MISREAD)
