"""A worker process of the simulation: the real queue and committer, which may be killed."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from balance_service.domain.limits import Limits
from balance_service.domain.requests import Request
from balance_service.domain.state import Outcome
from balance_service.ledger.commit import Committer
from balance_service.ledger.queue import CommitQueue
from rehearsals.simulation.store import Database
from rehearsals.simulation.sub_accounts import WorkerStore


class WorkerKilled(Exception):  # noqa: N818 - it is what it says
    """The worker that a request was sent to is gone; nobody knows the outcome."""


@dataclass
class Worker:
    """A worker process: what it knows is lost when it is killed.

    Args:
        database: What it commits to.
        limits: What accounts are held to.
        rng: Decides its bounds, from the run's seed.
        jobs: What it does beside its calls.
    """

    database: Database
    limits: Limits
    rng: random.Random
    queue: CommitQueue = field(init=False)
    calls: set[asyncio.Task[Sequence[Outcome]]] = field(default_factory=set)
    jobs: list[Callable[["Worker"], Coroutine[Any, Any, None]]] = field(default_factory=list)
    _running: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.queue = CommitQueue(
            Committer(WorkerStore(self.database), self.limits).commit,
            commits_in_flight_max=2,
            commit_commands_max=self.rng.choice([1, 3, 100]),
            queue_commands_max=self.rng.choice([5, 100]),
        )
        self.queue.start()

    def kill(self) -> None:
        """Kill -9, and a new process at once."""
        # In the order in which they began, for a set has none that replays.
        began = sorted([*self.calls, *self.queue._commits, *self._running], key=_number)
        for task in began:
            task.cancel()
        self.start()
        self.start_jobs()

    def start_jobs(self) -> None:
        """Starts what a process does beside its calls."""
        self._running = [asyncio.create_task(job(self)) for job in self.jobs]

    async def stop_jobs(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def call(self, request: Request, timeout_seconds: float) -> Sequence[Outcome]:
        """A request as its client sees it.

        Raises:
            WorkerKilled: The worker was killed meanwhile.
        """
        task = asyncio.create_task(self.queue.submit(request, timeout_seconds))
        self.calls.add(task)
        task.add_done_callback(self.calls.discard)
        await asyncio.wait({task})
        if task.cancelled():
            raise WorkerKilled
        return task.result()


def _number(task: asyncio.Task[Any]) -> int:
    return int(task.get_name().removeprefix("Task-"))
