"""Standbys: a pool for each, and what it and the primary say of where in the log they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from psycopg import errors as pg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from balance_service.database.connection import CONNECT_TIMEOUT_SECONDS, PostgresConnection
from balance_service.database.pool import Connection, Pool, check_url
from balance_service.database.primary import Primary

# Servers that one setting may name.
STANDBYS_MAX: Final = 16

# `statement_timestamp` is taken before the rest is looked at. Whatever was acknowledged before it
# was flushed by then, and lies before the position.
_MARK = """
SELECT
    statement_timestamp(),
    (pg_current_wal_flush_lsn() - '0/0')::bigint,
    system_identifier::text,
    pg_walfile_name(pg_current_wal_flush_lsn())
FROM pg_control_system()
"""
# A standby tells its timeline late: its control file is written when it writes buffers, and its
# receiver is shown to those with pg_read_all_stats alone. The latest of them is never too late.
_STATE = """
SELECT
    pg_is_in_recovery(),
    (pg_last_wal_replay_lsn() - '0/0')::bigint,
    system_identifier::text,
    greatest(
        timeline_id, min_recovery_end_timeline, (SELECT received_tli FROM pg_stat_wal_receiver)
    )
FROM pg_control_system(), pg_control_checkpoint(), pg_control_recovery()
"""
_SERVER = "SELECT system_identifier::text, pg_postmaster_start_time() FROM pg_control_system()"
# What a standby has received may be seen on it a moment before it says that it was replayed.
_SEEN = """
SELECT (CASE
    WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
    ELSE pg_current_wal_insert_lsn()
END - '0/0')::bigint
"""
_REPLAYED = """
SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END - '0/0')::bigint
"""


class OtherServer(psycopg.OperationalError):
    """The name of a standby leads to several servers, or to none that tells who it is."""


@dataclass(frozen=True, slots=True)
class History:
    """What positions in the log are comparable within.

    Args:
        system: Identifies the database cluster; a copy has the same.
        timeline: Begun by a promotion.
    """

    system: str
    timeline: int

    def precedes(self, other: "History") -> bool:
        """Whether it is the same cluster's before a promotion."""
        return self.system == other.system and self.timeline < other.timeline


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of the primary, and how far its log was flushed then, in bytes."""

    moment: datetime
    position: int
    history: History


@dataclass(frozen=True, slots=True)
class State:
    """How far a standby has replayed the log, in bytes, and of which history."""

    position: int
    history: History


class StandbyPool(Pool):
    """Connections to one standby, and to no other server behind the same name.

    What one server has replayed says nothing of another, so a name that leads to several, such as
    that of a load balancer, is held to the server that was met first.

    Args:
        url: Of one server, as `split` makes it.
        size: Connections at most.
    """

    def __init__(self, url: str, size: int) -> None:
        super().__init__(url, size, Primary())
        parts = conninfo_to_dict(url)
        host = parts.get("host") or parts.get("hostaddr") or "localhost"
        self.name = f"{host}:{parts.get('port') or 5432}"
        # Grows when the server may be another, or may have started again and show less.
        self.generation = 0
        self._server: tuple[Any, ...] | None = None
        self.as_of = self.final_until = datetime.min.replace(tzinfo=UTC)

    async def forget(self) -> None:
        """Ends every connection; the server that is met next may be another."""
        self._server = None
        self.generation += 1
        await self.replace_all()

    async def _admit(self, conn: PostgresConnection) -> None:
        try:
            with conn.bounded(CONNECT_TIMEOUT_SECONDS):
                server = await _row(conn, _SERVER)
            connected = any(not known.closed for known in self._current)
            if server != self._server and connected:
                raise OtherServer(f"{self.name} leads to several servers")
        except BaseException:
            await conn.close()
            raise
        if server != self._server:
            self._server = server
            self.generation += 1
        await super()._admit(conn)


def split(url: str) -> list[str]:
    """The URLs of the servers that one libpq URL names, each to be connected to as a standby.

    Raises:
        ValueError: libpq cannot read it, its password is not percent-encoded, or it names too many
            servers, or another number of ports.
    """
    check_url(url)
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    parts |= {"target_session_attrs": "standby", "load_balance_hosts": "disable"}
    lists = {name: parts.pop(name, "").split(",") for name in ("host", "hostaddr", "port")}
    number = max(len(lists["host"]), len(lists["hostaddr"]))
    if number > STANDBYS_MAX:
        raise ValueError(f"must name at most {STANDBYS_MAX} servers")
    if any(len(values) not in (1, number) for values in lists.values()):
        raise ValueError("must have a port for each host, or one for all")
    return [
        make_conninfo(
            **parts, **{n: v for n, values in lists.items() if (v := (values * number)[index])}
        )
        for index in range(number)
    ]


async def read_mark(conn: Connection) -> Mark:
    """Where the primary is.

    Raises:
        PostgresError: It does not answer, does not tell, or is a standby.
    """
    moment, position, system, log_file = await _row(conn, _MARK)
    # The first eight digits of a log file's name (access/xlog_internal.h).
    return Mark(moment, position, History(system, int(log_file[:8], 16)))


async def read_state(conn: Connection) -> State | None:
    """Where a standby is; None for a server that is none.

    Raises:
        PostgresError: It does not answer, or does not tell.
    """
    is_standby, position, system, timeline = await _row(conn, _STATE)
    if not is_standby or position is None:
        return None
    return State(position, History(system, timeline))


async def read_seen(conn: Connection, keys: Sequence[None]) -> dict[None, int]:
    """The position before which everything lies that was seen on a server until now."""
    (position,) = await _row(conn, _SEEN)
    return dict.fromkeys(keys, position)


async def read_replayed(conn: Connection, keys: Sequence[None]) -> dict[None, int]:
    """The position before which a standby shows everything; nothing for a server that is none."""
    (position,) = await _row(conn, _REPLAYED)
    return {} if position is None else dict.fromkeys(keys, position)


async def _row(conn: Connection, query: str) -> tuple[Any, ...]:
    try:
        row = await (await conn.execute(query.encode())).fetchone()
    except pg.FeatureNotSupported as error:
        raise OtherServer(f"the server does not tell its place: {error.sqlstate}") from None
    assert row, "a query of one row"
    return row
