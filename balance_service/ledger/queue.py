"""The bounded queue in front of the ledger: requests gather while commits are under way.

There is no timer. A request that finds a free lane is committed at once, alone; while all lanes are
busy the next batch grows. So latency is lowest when there is little to do, and a batch is largest
when there is much. Group commit of this kind is described in DeWitt et al., "Implementation
Techniques for Main Memory Database Systems" (SIGMOD 1984).
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from balance_service.domain import errors
from balance_service.domain.commands import Batch
from balance_service.domain.ledger import Outcome

RETRY_AFTER_SECONDS = 0.1
# Longer than the way of one more request through the event loop, shorter than a commit.
GATHER_SECONDS = 0.001

Commit = Callable[[Sequence[Batch]], Awaitable[list[list[Outcome]]]]


@dataclass(slots=True)
class _Waiting:
    batch: Batch
    answer: asyncio.Future[list[Outcome]]
    deadline: float | None


class CommitQueue:
    """Gathers requests into commits and hands back their answers.

    Args:
        commit: Commits some requests at once and answers each; what it raises is every one's
            answer.
        lanes: How many commits may be under way at once.
        batch_commands_max: How many commands may share a commit; one larger request still goes
            alone.
        queue_commands_max: How many commands may wait before more are refused.
    """

    def __init__(
        self, commit: Commit, *, lanes: int, batch_commands_max: int, queue_commands_max: int
    ) -> None:
        self._commit = commit
        self._lanes = lanes
        self._batch_commands_max = batch_commands_max
        self._queue_commands_max = queue_commands_max
        self._waiting: deque[_Waiting] = deque()
        self._waiting_commands = 0
        self._arrived = asyncio.Event()
        self._committing = 0
        self._accepting = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Opens the lanes."""
        self._accepting = True
        self._tasks = [asyncio.create_task(self._lane()) for _ in range(self._lanes)]

    async def submit(self, batch: Batch, timeout_seconds: float | None = None) -> list[Outcome]:
        """Waits until a request is committed or refused.

        Args:
            batch: The request.
            timeout_seconds: When its caller stops waiting; past that it is dropped, if it was not
                planned yet.

        Returns:
            An outcome for each command, in order.

        Raises:
            Overloaded: Too much is waiting. Nothing was changed.
            DeadlinePassed: It was not planned in time. Nothing was changed.
            Unavailable: The service is stopping, or Postgres is away. If it was lost during the
                commit, the outcome is unknown; the same request id finds out.
        """
        if not self._accepting:
            raise errors.Unavailable
        if self._waiting_commands + len(batch.commands) > self._queue_commands_max:
            raise errors.Overloaded(RETRY_AFTER_SECONDS)
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        waiting = _Waiting(batch, asyncio.get_running_loop().create_future(), deadline)
        self._waiting.append(waiting)
        self._waiting_commands += len(batch.commands)
        self._arrived.set()
        return await waiting.answer

    async def drain(self) -> None:
        """Accepts no more, finishes what waits, and closes the lanes."""
        self._accepting = False
        self._arrived.set()
        await asyncio.gather(*self._tasks)

    async def _lane(self) -> None:
        while self._waiting or self._accepting:
            await self._gather()
            taken = self._take()
            if not taken:
                if self._accepting:
                    self._arrived.clear()
                    await self._arrived.wait()
                continue
            self._committing += 1
            try:
                answers = await self._commit([waiting.batch for waiting in taken])
            except Exception as error:  # noqa: BLE001 - whatever it is, every caller must hear it
                for waiting in taken:
                    if not waiting.answer.done():
                        waiting.answer.set_exception(error)
            else:
                for waiting, answer in zip(taken, answers, strict=True):
                    if not waiting.answer.done():
                        waiting.answer.set_result(answer)
            finally:
                self._committing -= 1

    async def _gather(self) -> None:
        """While another commit is under way, waits for as long as requests keep arriving.

        A commit costs many times what a request adds to it, and requests arrive one by one through
        the event loop: a lane that took the first would leave the others a commit each. With no
        commit under way a request goes at once.
        """
        before = -1
        while self._committing and before < self._waiting_commands < self._batch_commands_max:
            before = self._waiting_commands
            await asyncio.sleep(GATHER_SECONDS)

    def _take(self) -> list[_Waiting]:
        """The next commit's requests, without those whose callers have gone."""
        taken: list[_Waiting] = []
        commands = 0
        now = time.monotonic()
        while self._waiting:
            waiting = self._waiting[0]
            size = len(waiting.batch.commands)
            if taken and commands + size > self._batch_commands_max:
                break
            self._waiting.popleft()
            self._waiting_commands -= size
            if waiting.answer.done():
                continue
            if waiting.deadline is not None and now >= waiting.deadline:
                waiting.answer.set_exception(errors.DeadlinePassed())
                continue
            taken.append(waiting)
            commands += size
        return taken
