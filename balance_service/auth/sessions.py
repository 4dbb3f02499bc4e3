"""Sign-ins that are over, and how users and admins end them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors
from balance_service.domain.audit import Action, Actor, AuditEvent
from balance_service.repositories import audit, credentials, users
from balance_service.repositories.credentials import Session

LISTED_MAX = 100


class Sessions:
    """Lists sign-ins, ends them, and remembers for a while which have ended.

    Args:
        pool: Where they are kept.
        remembered_for: How long the access tokens of one that ended could be used at most.
    """

    def __init__(self, pool: Pool, remembered_for: timedelta) -> None:
        self._pool = pool
        self._remembered_for = remembered_for
        self._ended: set[UUID] = set()

    def is_ended(self, session_id: UUID | None) -> bool:
        """Whether a sign-in ended lately, as far as this process knows."""
        return session_id in self._ended

    def remember_ended(self, *session_ids: UUID) -> None:
        """Has this process know at once what it ended."""
        self._ended.update(session_ids)

    async def load_ended(self) -> None:
        """Learns what other processes ended; to be called every few seconds."""
        async with self._pool.connection() as conn:
            since = datetime.now(UTC) - self._remembered_for
            self._ended = await credentials.revoked_sessions(conn, since)

    async def list(self, user_id: UUID) -> list[Session]:
        """A user's sign-ins that go on, newest first, at most LISTED_MAX."""
        async with self._pool.connection() as conn:
            return await credentials.list_sessions(conn, user_id, datetime.now(UTC), LISTED_MAX)

    async def end(self, user_id: UUID, session_id: UUID, actor: Actor) -> None:
        """Ends a sign-in of a user; one that is over already is no error.

        Raises:
            SessionNotFound: They have none such.
        """
        async with transaction(self._pool) as conn:
            if not await credentials.is_session_of(conn, session_id, user_id):
                raise errors.SessionNotFound(str(session_id))
            if await credentials.revoke_session(conn, session_id, datetime.now(UTC)):
                ended = {"session": str(session_id)}
                event = AuditEvent(Action.SESSION_ENDED, actor, f"user:{user_id}", after=ended)
                await audit.record(conn, event)
        self.remember_ended(session_id)

    async def end_all(self, user_id: UUID, actor: Actor, kept: UUID | None = None) -> None:
        """Ends all sign-ins of a user, but for one that is kept.

        Raises:
            UserNotFound: There is no such user.
        """
        async with transaction(self._pool) as conn:
            # Whoever signs in meanwhile holds the user, and is waited for.
            await users.lock(conn, user_id)
            now = datetime.now(UTC)
            ended = await credentials.revoke_sessions_of_user(conn, user_id, now, kept)
            if ended:
                target, after = f"user:{user_id}", {"sessions_ended": str(len(ended))}
                await audit.record(
                    conn, AuditEvent(Action.SESSIONS_ENDED, actor, target, after=after)
                )
        self.remember_ended(*ended)
