"""The bounded queue in front of the ledger: requests gather while a commit is under way.

A request that finds the ledger idle is committed at once, with whatever came in the same turn of
the event loop; all that comes while a commit is under way shares the next one. That one begins when
as many requests wait as the last one carried out, for most callers come again once they are
answered, or when as much time has passed as the last one took. So latency is lowest when there is
little to do, and the size of commits follows the number of callers, each of whom would otherwise
pay for more commits. Another commit starts beside the first only when as much waits as it carries
out, or when it takes long, as behind a lock. Group commit of this kind is described in DeWitt et
al., "Implementation Techniques for Main Memory Database Systems" (SIGMOD 1984); waiting for those
who will come again, in PostgreSQL's `commit_siblings` and `commit_delay`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from balance_service.domain import errors, retry_after
from balance_service.domain.requests import Request
from balance_service.domain.state import Outcome
from balance_service.ledger.turns import Answer, QueuedRequest, Turns
from balance_service.telemetry import metrics, traces

if TYPE_CHECKING:
    from balance_service.telemetry.opentelemetry import Span

# The fixed cost of a commit is about that of this many commands. When fewer wait, a second commit
# beside the first would cost more than it gains.
WORTH_A_COMMIT = 100
# A commit that takes longer waits for something that the others need not wait for.
LONG_COMMIT_SECONDS = 0.05

# A commit that takes longer is logged, with the traces of some calls that waited for it.
SLOW_SECONDS = 1.0
TOLD_MAX = 10

_log = structlog.get_logger()

Commit = Callable[[Sequence[QueuedRequest]], Awaitable[None]]


class CommitQueue:
    """Gathers requests into commits and hands back their answers.

    Args:
        commit: Commits some requests at once and gives each its outcomes; what it raises is every
            one's answer.
        commits_in_flight_max: How many commits may be under way at once.
        commit_commands_max: How many commands may share a commit; one larger request still goes
            alone.
        queue_commands_max: How many commands may wait before more are refused, or take the place
            of those of a principal who has more of them.
    """

    def __init__(
        self,
        commit: Commit,
        *,
        commits_in_flight_max: int,
        commit_commands_max: int,
        queue_commands_max: int,
    ) -> None:
        self._commit = commit
        self._commits_in_flight_max = commits_in_flight_max
        self._commit_commands_max = commit_commands_max
        self._queue_commands_max = queue_commands_max
        self._waiting = Turns()
        self._commits: set[asyncio.Task[None]] = set()
        self._last_commit_began = 0.0
        self._last_commit_requests = 0
        # Until it runs, what comes is gathered for the next commit.
        self._gathering: asyncio.TimerHandle | None = None
        self._wake_scheduled = False
        self._accepting = False

    @property
    def commands_waiting(self) -> int:
        """How many commands wait for a commit."""
        return self._waiting.commands

    @property
    def commits_under_way(self) -> int:
        """How many commits are under way."""
        return len(self._commits)

    def start(self) -> None:
        """Accepts requests from then on."""
        self._accepting = True

    async def submit(
        self,
        request: Request,
        timeout_seconds: float | None = None,
        *,
        trace_id: str = "",
        span: "Span | None" = None,
    ) -> Sequence[Outcome]:
        """Waits until a request is committed or refused.

        Args:
            request: What the caller asks of the ledger.
            timeout_seconds: When its caller stops waiting; past that it is not carried out any
                more, unless it was planned before and is being committed.
            trace_id: The trace of the call, for the log.
            span: The span of the call, where calls are traced.

        Returns:
            An outcome for each item, in order.

        Raises:
            Overloaded: Too much is waiting, at once or once others ask who have less waiting.
                Nothing was changed.
            DeadlinePassed: It was not planned in time. Nothing was changed.
            Unavailable: The service is stopping, or Postgres is away. If it was lost during the
                commit, the outcome is unknown; the same request id finds out.
        """
        return await self.enqueue(request, timeout_seconds, trace_id=trace_id, span=span)

    def enqueue(
        self,
        request: Request,
        timeout_seconds: float | None = None,
        *,
        trace_id: str = "",
        span: "Span | None" = None,
    ) -> Answer:
        """As `submit`, without waiting; Overloaded is still raised at once.

        Returns:
            A future of the outcomes. To cancel it says that nobody waits for them.
        """
        principal, commands = request.principal, len(request.items)
        self.check_room(principal, commands)
        for dropped in self._waiting.make_room(principal, commands, self._queue_commands_max):
            if not dropped.answer.done():
                dropped.answer.set_exception(errors.Overloaded(retry_after.OVERLOADED_SECONDS))
        loop = asyncio.get_running_loop()
        came = loop.time()
        deadline = None if timeout_seconds is None else came + timeout_seconds
        answer: Answer = loop.create_future()
        waiting = QueuedRequest(request, answer, deadline, came=came, trace_id=trace_id, span=span)
        self._waiting.add(waiting)
        if not self._wake_scheduled:
            # After this turn of the event loop, so that requests of the same turn share a commit.
            self._wake_scheduled = True
            loop.call_soon(self._wake)
        return waiting.answer

    def check_room(self, principal: str, commands: int) -> None:
        """Refuses what `submit` would refuse, before the caller's message is read for nothing.

        Args:
            principal: Who asks.
            commands: How many more there are to be.

        Raises:
            Overloaded: Too much is waiting for so many more, and nobody has more waiting.
            Unavailable: The service is stopping.
        """
        if not self._accepting:
            raise errors.Unavailable
        if not self._waiting.has_room(principal, commands, self._queue_commands_max):
            raise errors.Overloaded(retry_after.OVERLOADED_SECONDS)

    async def drain(self) -> None:
        """Accepts no more and finishes what waits."""
        self._accepting = False
        self._wake()
        while self._commits:
            await asyncio.wait(self._commits)

    def _wake(self) -> None:
        """Starts the commits that there is work and room for."""
        self._wake_scheduled = False
        while self._waiting and self._may_start():
            if waiting := self._take():
                task = asyncio.create_task(self._run(waiting))
                self._commits.add(task)
                loop = asyncio.get_running_loop()
                self._last_commit_began = loop.time()
                self._last_commit_requests = len(waiting)
                # A little later, for timers may run before their time.
                loop.call_later(LONG_COMMIT_SECONDS * 1.1, self._wake)
                task.add_done_callback(self._ended)

    def _may_start(self) -> bool:
        now = asyncio.get_running_loop().time()
        as_many_wait = len(self._waiting) >= self._last_commit_requests
        if not self._commits:
            return as_many_wait or self._gathering is None or not self._accepting
        if len(self._commits) >= self._commits_in_flight_max:
            return False
        worth_it = as_many_wait and self._waiting.commands >= WORTH_A_COMMIT
        return worth_it or now - self._last_commit_began >= LONG_COMMIT_SECONDS

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._commits.discard(task)
        loop = asyncio.get_running_loop()
        took = loop.time() - self._last_commit_began
        if self._gathering:
            self._gathering.cancel()
        self._gathering = loop.call_later(min(took, LONG_COMMIT_SECONDS), self._gathered)
        self._wake()

    def _gathered(self) -> None:
        """Lets the next commit begin; not by the clock, for timers may run before their time."""
        self._gathering = None
        self._wake()

    async def _run(self, requests: Sequence[QueuedRequest]) -> None:
        loop = asyncio.get_running_loop()
        began, failed = loop.time(), False
        for waiting in requests:
            metrics.request_waited(began - waiting.came)
        try:
            with traces.commit(waiting.span for waiting in requests):
                await self._commit(requests)
        except Exception as error:  # noqa: BLE001 - whatever it is, every caller must hear it
            failed = True
            for waiting in requests:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
        else:
            for waiting in requests:
                if not waiting.answer.done():
                    waiting.answer.set_result(waiting.outcomes)
        commands = sum(len(waiting.request.items) for waiting in requests)
        seconds = loop.time() - began
        metrics.commit_ended(commands, seconds, failed=failed)
        if seconds > SLOW_SECONDS:
            trace_ids = [waiting.trace_id for waiting in requests if waiting.trace_id]
            facts = {"commands": commands, "trace_ids": trace_ids[:TOLD_MAX]}
            _log.warning("commit_slow", milliseconds=round(seconds * 1000), **facts)

    def _take(self) -> list[QueuedRequest]:
        """The next commit's requests, without those whose callers have gone."""
        requests: list[QueuedRequest] = []
        commands = 0
        while waiting := self._waiting.next():
            size = len(waiting.request.items)
            # A request larger than a commit may be still goes, alone.
            if requests and commands + size > self._commit_commands_max:
                break
            self._waiting.take()
            if waiting.answer.done():
                continue
            if waiting.late():
                waiting.answer.set_exception(errors.DeadlinePassed())
                continue
            requests.append(waiting)
            commands += size
        return requests
