"""Ends tasks that use connections."""

import asyncio
from collections.abc import Collection
from typing import Any

# Long enough for a task to roll back and to give its connection back.
AGAIN_SECONDS = 2


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels tasks, until all of them have ended.

    To cancel once is not enough: before Python 3.12, `asyncio.wait_for` forgets a cancellation that
    comes as what it waits for is done (python/cpython#86296), and psycopg waits for sockets by it.

    Args:
        tasks: What they return or raise is left to who asks them.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
