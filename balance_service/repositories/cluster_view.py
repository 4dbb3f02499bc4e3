"""Views of a ledger on a cluster that differ from one moment by commits under way alone.

Each server keeps one snapshot for a transaction, which its only connection to it takes with its
first statement. The coordinator takes its own first, and the others follow once all is to be seen
that is in it. So whatever the coordinator has is everywhere, and what was committed since may be
seen on some of the servers.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

from psycopg import AsyncConnection

from balance_service.domain import errors
from balance_service.repositories import queries, totals

_SQL = queries.load(__file__)

_LOOK_AGAIN_SECONDS = 0.01
# A commit that takes longer waits for a server that is away.
_PATIENCE_SECONDS = 30


@asynccontextmanager
async def opened(conn: AsyncConnection) -> AsyncGenerator[datetime, None]:
    """A transaction that reads one view, and whole tables if it has to.

    Args:
        conn: A connection to the coordinator, outside any transaction.

    Yields:
        A moment before which all that is dated is in the view.

    Raises:
        Unavailable: A commit takes long.
    """
    horizon = await _all_told(conn)
    async with conn.transaction():
        await conn.execute(_SQL["snapshot"])
        await conn.execute(_SQL["plan_for_whole_tables"])
        await _all_told(conn)
        await conn.execute(_SQL["reach_all_servers"])
        yield horizon


class Views:
    """Views of one run after the other, of which one is open at a time.

    Args:
        conn: As of `opened`.
    """

    def __init__(self, conn: AsyncConnection) -> None:
        self._conn = conn
        self._opening = AsyncExitStack()
        self._horizon: datetime | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._opening.__aexit__(kind, error, traceback)

    async def current(self) -> datetime:
        """The horizon of the view that is open; of a new one if none is."""
        if self._horizon is None:
            self._horizon = await self._opening.enter_async_context(opened(self._conn))
        return self._horizon

    async def renew(self) -> datetime:
        """The horizon of a new view."""
        await self._opening.aclose()
        self._horizon = None
        return await self.current()


async def _all_told(conn: AsyncConnection) -> datetime:
    """Waits until all that was under way is to be seen on all servers; from when on it waited."""
    horizon = await totals.read_horizon(conn)
    began = time.monotonic()
    while not await totals.is_over(conn, horizon):
        if time.monotonic() - began > _PATIENCE_SECONDS:
            raise errors.Unavailable
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    return horizon.now
