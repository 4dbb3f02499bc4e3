"""Records sign-ins that were refused in the audit log: the first of many alike."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import UUID

import structlog

from balance_service.auth.codes import ConfirmationCodes
from balance_service.calls.call import Call
from balance_service.calls.refusals import TABLE
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors
from balance_service.domain.audit import Action, AuditEvent
from balance_service.domain.rations import Ration
from balance_service.repositories import audit, users

# What a person who signs in meets on the way, such as that a second factor is needed, is no refusal
# of theirs, and nor is what is wrong with a request.
_RECORDED = (
    errors.ConfirmationCodeInvalid,
    errors.ConfirmationCodeLimit,
    errors.SecondFactorInvalid,
    errors.SecondFactorLimit,
    errors.UserDisabled,
    errors.ClientCredentialsInvalid,
)

_log = structlog.get_logger()


class Tried(NamedTuple):
    """As whom somebody tried to sign in, by one of these."""

    email: str = ""
    verification_id: str = ""
    client_id: str = ""
    user_id: UUID | None = None


class RefusedSignIns:
    """Records what is refused.

    Nobody needs to be known to be refused, so each worker records the first of a kind, a network
    and a target in ten minutes, and so many in all; the next one recorded says how many were not.

    Args:
        pool: Where the log is.
        codes: Know whose a verification is.
    """

    def __init__(self, pool: Pool, codes: ConfirmationCodes) -> None:
        self._pool = pool
        self._codes = codes
        self._ration = Ration()

    @asynccontextmanager
    async def recorded(self, call: Call, tried: Tried) -> AsyncIterator[None]:
        """Records a refusal that is raised within, and passes it on."""
        try:
            yield
        except _RECORDED as refusal:
            reason = TABLE[type(refusal)].reason
            left_out = self._ration.take(call.network, (reason, tried), time.monotonic())
            if left_out is not None:
                await self._record(call, tried, reason, left_out)
            raise

    async def _record(self, call: Call, tried: Tried, reason: str, left_out: int) -> None:
        after = {"left_out": str(left_out)} if left_out else {}
        try:
            async with self._pool.connection() as conn:
                target = await self._target(conn, tried)
                event = AuditEvent(
                    Action.SIGN_IN_REFUSED, call.actor, target, after=after, refusal=reason
                )
                await audit.record(conn, event)
        except Exception as error:  # noqa: BLE001 - the caller is refused for the first reason
            _log.warning("refusal_not_recorded", cause=type(error).__name__)

    async def _target(self, conn: Connection, tried: Tried) -> str:
        """Who was tried to be; empty where that is nobody yet, whose address is not kept."""
        if tried.client_id:
            return f"service:{tried.client_id}"
        if tried.user_id:
            return f"user:{tried.user_id}"
        email: str | None = tried.email
        if tried.verification_id:
            email = await self._codes.find_email(conn, tried.verification_id)
        user = await users.find_by_email(conn, email) if email else None
        return f"user:{user.user_id}" if user else ""
