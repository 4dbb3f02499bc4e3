"""Which server takes writes, as far as a worker has seen it, told by the timelines of servers."""

from collections.abc import Awaitable, Callable

import psycopg
import structlog
from psycopg import errors as pg

from balance_service.database.connection import PostgresConnection

_TIMELINE = """
SELECT system_identifier::text, pg_walfile_name(pg_current_wal_lsn()) FROM pg_control_system()
"""

_log = structlog.get_logger()


class EarlierTimeline(psycopg.OperationalError):
    """A server calls itself primary, and another one was promoted since."""


class Primary:
    """What the pools of a worker know together of the server that takes writes.

    A promotion begins a timeline. So a server on an earlier one has lost its place, whatever it
    says itself; and once a server on a later one is met, all connections made before are to servers
    that have, be they alive, frozen or cut off.
    """

    def __init__(self) -> None:
        self._system, self._timeline = "", 0
        self._changed: list[Callable[[], Awaitable[None]]] = []

    def when_changed(self, replace: Callable[[], Awaitable[None]]) -> None:
        """Has a pool told that its connections are to servers that lost their place."""
        self._changed.append(replace)

    async def meet(self, conn: PostgresConnection) -> None:
        """Compares a new connection's server with the one met last.

        Raises:
            EarlierTimeline: Another server was promoted since.
            psycopg.Error: The connection is lost.
        """
        try:
            row = await (await conn.execute(_TIMELINE)).fetchone()
        except (pg.FeatureNotSupported, pg.InsufficientPrivilege):
            return  # Some who run Postgres for others keep it to themselves.
        assert row, "a function of one row"
        # The first eight digits of a log file's name (access/xlog_internal.h).
        system, timeline = row[0], int(row[1][:8], 16)
        if system == self._system and timeline < self._timeline:
            raise EarlierTimeline(
                f"{conn.info.host}:{conn.info.port} is on timeline {timeline}, and another server "
                f"was promoted to {self._timeline}"
            )
        changed = self._system and (system, timeline) != (self._system, self._timeline)
        self._system, self._timeline = system, timeline
        if changed:
            _log.warning("primary_changed", host=conn.info.host, timeline=timeline)
            for replace in self._changed:
                await replace()
