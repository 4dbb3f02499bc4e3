"""Signs a user in: a code of their address, their second factor if they have one, and tokens."""

import dataclasses
from datetime import UTC, datetime
from typing import NamedTuple

from balance_service.auth.codes import ConfirmationCodes, RightGuess
from balance_service.auth.second_factors import SecondFactors
from balance_service.auth.tokens import IssuedToken, Tokens
from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors
from balance_service.domain.audit import Action, Actor, AuditEvent, shorten_email
from balance_service.domain.principals import Principal
from balance_service.domain.users import User
from balance_service.repositories import audit, credentials, users


class CodeOfAddress(NamedTuple):
    """A code that was sent to an address, by its verification."""

    verification_id: str
    code: str


class SignIn:
    """Turns a code that was guessed right into tokens, or into another address of its user.

    Args:
        pool: Where users are kept.
        codes: Confirms the code.
        second_factors: Has the second factor proved.
        tokens: Issues the tokens.
    """

    def __init__(
        self, pool: Pool, codes: ConfirmationCodes, second_factors: SecondFactors, tokens: Tokens
    ) -> None:
        self._pool = pool
        self._codes = codes
        self._second_factors = second_factors
        self._tokens = tokens

    async def finish(self, right: RightGuess, second_factor_code: str, actor: Actor) -> IssuedToken:
        """Spends the code, and signs its user in.

        Raises:
            SecondFactorRequired, SecondFactorInvalid, SecondFactorLimit: The second factor is not
                proved; the code of the address stays as good as it was.
            UserDisabled: The user may not sign in.
            ConfirmationCodeInvalid: Somebody else spent the code.
        """
        async with self._pool.connection() as conn:
            user = await users.find_by_email(conn, right.email)
        proves = user is not None and user.second_factor
        if user is not None and (proves or user.disabled_at):
            right = await self._codes.give_back(right)
            if proves:
                await self._second_factors.prove(user, right.asker, second_factor_code)
            if user.disabled_at:
                raise errors.UserDisabled
        user_id = await self._codes.confirm(right)
        return await self._tokens.sign_in(user_id, actor, second_factor=proves)

    async def change_email(
        self,
        principal: Principal,
        old: CodeOfAddress,
        new: CodeOfAddress,
        second_factor_code: str,
        actor: Actor,
    ) -> User:
        """Gives a user another address, once both are confirmed, and ends their other sign-ins.

        Args:
            principal: The user, by the sign-in that goes on.
            old: Sent to the address until now.
            new: Sent to the new address.
            second_factor_code: Empty if none was sent.
            actor: The same user, by this call.

        Raises:
            ConfirmationCodeInvalid: A code is not good, or the old one is for another address.
            EmailTaken: Another user has the new address.
            SecondFactorRequired, SecondFactorInvalid, SecondFactorLimit: As of `finish`.
        """
        user_id, rights = principal.require_user(), []
        for sent in (old, new):
            right = await self._codes.guess(sent.verification_id, sent.code)
            rights.append(await self._codes.give_back(right))
        async with self._pool.connection() as conn:
            user = await users.get(conn, user_id)
        if user.second_factor:
            await self._second_factors.prove(user, rights[0].asker, second_factor_code)
        async with transaction(self._pool) as conn:
            user = await users.lock(conn, user_id)
            if user.email != rights[0].email:
                raise errors.ConfirmationCodeInvalid
            for right in rights:
                await self._codes.spend(conn, right)
            now, version = datetime.now(UTC), user.version + 1
            changed = dataclasses.replace(
                user, email=rights[1].email, version=version, updated_at=now
            )
            await users.update(conn, changed)
            await credentials.revoke_sessions_of_user(conn, user_id, now, principal.session_id)
            event = AuditEvent(
                Action.EMAIL_CHANGED,
                actor,
                f"user:{user_id}",
                before={"email": shorten_email(user.email)},
                after={"email": shorten_email(changed.email)},
            )
            await audit.record(conn, event)
        return changed
