"""The bounded queue in front of the ledger: requests gather while a commit is under way.

A request that finds nothing under way is committed at once, with whatever came in the same turn of
the event loop; all that comes meanwhile shares the next commit. So latency is lowest when there is
little to do, and a batch is largest when there is much. Another commit starts beside the first only
when enough waits to be worth it, or when the first takes long, as behind a lock. Group commit of
this kind is described in DeWitt et al., "Implementation Techniques for Main Memory Database
Systems" (SIGMOD 1984).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from balance_service.domain import errors
from balance_service.domain.commands import Batch
from balance_service.domain.ledger import Outcome

RETRY_AFTER_SECONDS = 0.1
# A commit costs as much as this many commands add to it: fewer do not pay for one beside another.
WORTH_A_COMMIT = 100
# A commit that takes longer waits for something that the others need not wait for.
LONG_SECONDS = 0.05

# Commits some batches; the second argument says whether a batch's caller is gone, by its place.
Commit = Callable[[Sequence[Batch], Callable[[int], bool]], Awaitable[list[list[Outcome]]]]


@dataclass(slots=True)
class _Waiting:
    batch: Batch
    answer: asyncio.Future[list[Outcome]]
    deadline: float | None

    def late(self) -> bool:
        """Whether its caller has stopped waiting by the clock."""
        return self.deadline is not None and asyncio.get_running_loop().time() >= self.deadline

    def gone(self) -> bool:
        """Whether nobody waits for its answer."""
        return self.answer.done() or self.late()


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
        self._commits: set[asyncio.Task[None]] = set()
        self._began = 0.0
        self._wakes = False
        self._accepting = False

    def start(self) -> None:
        """Accepts requests from then on."""
        self._accepting = True

    async def submit(self, batch: Batch, timeout_seconds: float | None = None) -> list[Outcome]:
        """Waits until a request is committed or refused.

        Args:
            batch: The request.
            timeout_seconds: When its caller stops waiting; past that it is not carried out any
                more, unless it was planned before and is being committed.

        Returns:
            An outcome for each command, in order.

        Raises:
            Overloaded: Too much is waiting. Nothing was changed.
            DeadlinePassed: It was not planned in time. Nothing was changed.
            Unavailable: The service is stopping, or Postgres is away. If it was lost during the
                commit, the outcome is unknown; the same request id finds out.
        """
        return await self.enqueue(batch, timeout_seconds)

    def enqueue(
        self, batch: Batch, timeout_seconds: float | None = None
    ) -> asyncio.Future[list[Outcome]]:
        """As `submit`, without waiting: the answer comes, and refusals of waiting ones, later.

        Cancelling the answer says that nobody waits for it.
        """
        self.check_room(len(batch.commands))
        loop = asyncio.get_running_loop()
        deadline = None if timeout_seconds is None else loop.time() + timeout_seconds
        waiting = _Waiting(batch, loop.create_future(), deadline)
        self._waiting.append(waiting)
        self._waiting_commands += len(batch.commands)
        if not self._wakes:
            # What else comes in this turn of the loop comes along.
            self._wakes = True
            loop.call_soon(self._wake)
        return waiting.answer

    def check_room(self, commands: int) -> None:
        """Refuses what `submit` would refuse, before anybody has taken the trouble to read it.

        Raises:
            Overloaded: So many commands more are too many.
            Unavailable: The service is stopping.
        """
        if not self._accepting:
            raise errors.Unavailable
        if self._waiting_commands + commands > self._queue_commands_max:
            raise errors.Overloaded(RETRY_AFTER_SECONDS)

    async def drain(self) -> None:
        """Accepts no more and finishes what waits."""
        self._accepting = False
        self._wake()
        while self._commits:
            await asyncio.wait(self._commits)

    def _wake(self) -> None:
        """Starts the commits that there is work and room for."""
        self._wakes = False
        while self._waiting and self._may_start():
            if taken := self._take():
                task = asyncio.create_task(self._run(taken))
                self._commits.add(task)
                loop = asyncio.get_running_loop()
                self._began = loop.time()
                loop.call_later(LONG_SECONDS, self._wake)
                task.add_done_callback(self._ended)

    def _may_start(self) -> bool:
        under_way = len(self._commits)
        return under_way == 0 or (
            under_way < self._lanes
            and (
                self._waiting_commands >= WORTH_A_COMMIT
                or asyncio.get_running_loop().time() - self._began >= LONG_SECONDS
            )
        )

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._commits.discard(task)
        self._wake()

    async def _run(self, taken: Sequence[_Waiting]) -> None:
        try:
            answers = await self._commit(
                [waiting.batch for waiting in taken], lambda place: taken[place].gone()
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, every caller must hear it
            for waiting in taken:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
        else:
            for waiting, answer in zip(taken, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)

    def _take(self) -> list[_Waiting]:
        """The next commit's requests, without those whose callers have gone."""
        taken: list[_Waiting] = []
        commands = 0
        while self._waiting:
            waiting = self._waiting[0]
            size = len(waiting.batch.commands)
            if taken and commands + size > self._batch_commands_max:
                break
            self._waiting.popleft()
            self._waiting_commands -= size
            if waiting.answer.done():
                continue
            if waiting.late():
                waiting.answer.set_exception(errors.DeadlinePassed())
                continue
            taken.append(waiting)
            commands += size
        return taken
