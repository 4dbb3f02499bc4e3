"""Gathers reads: those that come while a query runs share the next one.

A query costs the event loop several times what a row in its answer adds. A read joins only a query
that was not sent yet, so it sees all that was committed before it came.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

from balance_service.database.pool import Connection, Pool

Key = TypeVar("Key")
Value = TypeVar("Value")

Read: TypeAlias = Callable[[Connection, Sequence[Key]], Awaitable[Mapping[Key, Value]]]


class Gathering(Generic[Key, Value]):
    """Reads what has a key.

    Args:
        pool: One connection of it is used at a time.
        read: Reads the values of some keys, each given once; a key without a value is left out.
        rows_max: How many rows one query may read; a key that asks for more still goes, alone.
        rows_of: How many rows a key asks for at most.
    """

    def __init__(
        self,
        pool: Pool,
        read: Read[Key, Value],
        rows_max: int,
        rows_of: Callable[[Key], int] = lambda _: 1,
    ) -> None:
        self._pool = pool
        self._read = read
        self._rows_max = rows_max
        self._rows_of = rows_of
        self._waiting: dict[Key, list[asyncio.Future[Value | None]]] = {}
        self._under_way: asyncio.Task[None] | None = None

    async def get(self, key: Key) -> Value | None:
        """The value of a key, if it has one; callers who ask for the same share it."""
        # Each caller waits for a future of its own: one who goes takes no other's answer along.
        answer: asyncio.Future[Value | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(answer)
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            taken = self._take()
            try:
                async with self._pool.connection() as conn:
                    values = await self._read(conn, list(taken))
            except Exception as error:  # noqa: BLE001 - whatever it is, every caller must hear it
                for answers in taken.values():
                    for answer in answers:
                        if not answer.done():
                            answer.set_exception(error)
            else:
                for key, answers in taken.items():
                    for answer in answers:
                        if not answer.done():
                            answer.set_result(values.get(key))
        self._under_way = None

    def _take(self) -> dict[Key, list[asyncio.Future[Value | None]]]:
        """The next query's keys, in the order they came, with who waits for each."""
        taken: dict[Key, list[asyncio.Future[Value | None]]] = {}
        rows = 0
        for key in self._waiting:
            rows += self._rows_of(key)
            if taken and rows > self._rows_max:
                break
            taken[key] = self._waiting[key]
        for key in taken:
            del self._waiting[key]
        return taken
