"""A connection to whichever server of a URL takes it, which can be ended without its server."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_attempts_async, conninfo_to_dict

from balance_service.database import cancelling

CONNECT_TIMEOUT_SECONDS: Final = 5
# How long a server has to answer before the next one is asked beside it.
HEAD_START_SECONDS: Final = 0.25
# How soon a server that refused is asked again while another one is silent.
ASK_AGAIN_SECONDS: Final = 0.25
# Of Citus, where its background worker found no slot; it tells nothing of a commit. Its SQLSTATE is
# that of any warning, it is translated nowhere, and repeated with the hint that a worker gave.
_NOT_OF_A_COMMIT: Final = "could not start maintenance background worker"


class PostgresConnection(AsyncConnection):
    """A connection that remembers whether Postgres warned of a commit.

    A commit that was not replicated ends in nothing but a warning: see `pool.check_replicated`.
    """

    warning_received = False
    # Whether the tables lie on several servers: a pool finds out.
    of_cluster = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - psycopg's own
        super().__init__(*args, **kwargs)
        self.add_notice_handler(self._remember_warning)

    def _remember_warning(self, notice: psycopg.errors.Diagnostic) -> None:
        of_a_commit = _NOT_OF_A_COMMIT not in (notice.message_primary or "")
        if notice.severity_nonlocalized == "WARNING" and of_a_commit:
            self.warning_received = True

    @classmethod
    async def connect(
        cls,
        conninfo: str = "",
        **options: Any,  # noqa: ANN401 - psycopg's own
    ) -> "PostgresConnection":
        """Connects to the first of a URL's servers that takes it.

        psycopg and libpq ask one server after another, and wait for one that is cut off or stands
        still for as long as a connection may take. As in RFC 8305, the next one is asked beside it
        after a head start. One that refused, such as a standby, may be promoted while another is
        silent, so it is asked again.

        Args:
            conninfo: A libpq URL or connection string, with one server or several.
            options: As psycopg's own.

        Raises:
            psycopg.OperationalError: None of them took it.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                servers = await conninfo_attempts_async(conninfo_to_dict(conninfo))
                return await _first(super().connect, [{**each, **options} for each in servers])
        except TimeoutError:
            raise psycopg.errors.ConnectionTimeout("connection timeout expired") from None

    @contextmanager
    def bounded(self, seconds: float) -> Iterator[None]:
        """Severs the connection if what is asked on it takes longer."""
        ending = asyncio.get_running_loop().call_later(seconds, self.sever)
        try:
            yield
        finally:
            ending.cancel()

    def sever(self) -> None:
        """Ends the connection from below: whoever waits for its answer gets an error at once.

        Cancelling them would wait for a server that may be cut off or stand still: psycopg asks it
        to stop what it does, and gives it ten seconds.
        """
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)


async def _first(
    connect: Callable[..., Awaitable[PostgresConnection]], servers: Sequence[Mapping[str, Any]]
) -> PostgresConnection:
    """The first connection that one of some servers takes; all others are given up.

    Raises:
        psycopg.OperationalError: All of them refused, or were silent for too long.
    """
    failures: dict[int, str] = {}
    refused = [asyncio.Event() for _ in servers]

    async def ask(number: int) -> PostgresConnection:
        for earlier in refused[:number]:
            with suppress(TimeoutError):
                await asyncio.wait_for(earlier.wait(), HEAD_START_SECONDS)
        while True:
            try:
                return await connect(**servers[number])
            except psycopg.OperationalError as error:
                failures[number] = str(error)
                refused[number].set()
                if len(servers) == 1:
                    raise
                if len(failures) == len(servers):
                    raise type(error)("; ".join(failures.values())) from None
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    asking = [asyncio.create_task(ask(number)) for number in range(len(servers))]
    taken = None
    try:
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        ended = [task for task in asking if task.done()]
        taken = next((task for task in ended if not task.exception()), ended[0]).result()
    finally:
        await cancelling.end(asking)
        for surplus in await asyncio.gather(*asking, return_exceptions=True):
            if isinstance(surplus, PostgresConnection) and surplus is not taken:
                await surplus.close()
    return taken
