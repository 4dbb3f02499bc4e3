"""Doors of workers that let the second half of a commit through late, the last worker's latest.

What a commit wrote on one shard is then to be seen long before what it wrote on another, so that
whoever comes between the two, as seldom happens, comes there every time.
"""

import asyncio
import contextlib
import random
import re
import threading
from collections.abc import Iterator, Sequence

LATE = b"COMMIT PREPARED"
DELAY_SECONDS_MAX = 0.02
LAST_DELAY_SECONDS = 0.06
_CHUNK = 1 << 16
_WRITES = re.compile(rb"(COPY|INSERT INTO|UPDATE|DELETE FROM) public\.\w+")
_TAKES_BACK = b"ROLLBACK TO SAVEPOINT"
_PLAIN = re.compile(rb"Q\x00\x00\x00\x0bCOMMIT\x00")
_BEGINS = b"BEGIN TRANSACTION"

# What was written through the doors of this process and not prepared before it was committed.
committed_plainly: list[str] = []

Place = tuple[str, int]


@contextlib.contextmanager
def doors(workers: Sequence[Place]) -> Iterator[list[Place]]:
    """A door before each worker, as long as the context; where they are."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    opening = asyncio.run_coroutine_threadsafe(_open(workers), loop)
    servers = opening.result(timeout=30)
    try:
        yield [server.sockets[0].getsockname()[:2] for server in servers]
    finally:
        asyncio.run_coroutine_threadsafe(_close(servers), loop).result(timeout=30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=30)
        loop.close()


async def _open(workers: Sequence[Place]) -> list[asyncio.Server]:
    return [
        await asyncio.start_server(
            _Door(worker, LAST_DELAY_SECONDS if worker == workers[-1] else 0).pass_through,
            "127.0.0.1",
        )
        for worker in workers
    ]


async def _close(servers: Sequence[asyncio.Server]) -> None:
    for server in servers:
        server.close()
    own = asyncio.current_task()
    passing = [task for task in asyncio.all_tasks() if task is not own]
    for task in passing:
        task.cancel()
    await asyncio.gather(*passing, return_exceptions=True)


class _Door:
    def __init__(self, worker: Place, delay_seconds: float) -> None:
        self._worker = worker
        self._delay_seconds = delay_seconds

    async def pass_through(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Connects a coordinator that knocked to the worker."""
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection(*self._worker)
            try:
                await asyncio.gather(self._carry_to_worker(reader, back), _carry(there, writer))
            finally:
                back.close()
                writer.close()

    async def _carry_to_worker(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        written = ""
        while data := await reader.read(_CHUNK):
            written = _note(written, data)
            if LATE in data:
                await asyncio.sleep(self._delay_seconds + random.uniform(0, DELAY_SECONDS_MAX))
            writer.write(data)
            await writer.drain()
        writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()


def _note(written: str, data: bytes) -> str:
    """Which write a transaction began with, after some more of what it sent; none if empty."""
    if _PLAIN.search(data):
        if written:
            committed_plainly.append(written)
        return ""
    if _BEGINS in data or _TAKES_BACK in data:
        return ""
    found = _WRITES.search(data)
    return written or (found[0].decode() if found else "")
