"""When commits begin: by the clock of a simulated event loop."""

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any

import pytest

from balance_service.domain import errors, ids
from balance_service.domain.commands import Origin, Settle
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Request
from balance_service.ledger.queue import LONG_COMMIT_SECONDS, CommitQueue
from balance_service.ledger.turns import QueuedRequest
from rehearsals.simulation.loop import SimulatedLoop

REQUEST = Request(())
ACCOUNT = ids.new_id()


def asked_by(principal: str, size: int = 1) -> Request:
    command = Settle(Origin(principal=principal), Kind.DEPOSIT, ACCOUNT, Money(1, "RUB"))
    return Request((command,) * size)


class Commits:
    """Commits that take some time, and how many requests each carried out."""

    def __init__(self, seconds: float, room: int = 1000) -> None:
        self.seconds = seconds
        self.sizes: list[int] = []
        self.queue = CommitQueue(
            self._commit, commits_in_flight_max=1, commit_commands_max=1000, queue_commands_max=room
        )
        self.queue.start()

    async def _commit(self, waiting: Sequence[QueuedRequest]) -> None:
        self.sizes.append(len(waiting))
        await asyncio.sleep(self.seconds)

    async def submit(self, count: int) -> float:
        """How long some requests take that come at once."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*[self.queue.submit(REQUEST) for _ in range(count)])
        return loop.time() - began


def simulate(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        runner.run(main)


class EarlyLoop(asyncio.SelectorEventLoop):
    """Runs timers before their time, as loops do that count in milliseconds."""

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *arguments: Any
    ) -> asyncio.TimerHandle:
        return super().call_later(max(delay - 0.003, 0), callback, *arguments)


def test_few_who_come_while_others_are_gathered_do_not_wait_for_more() -> None:
    async def main() -> None:
        for _ in range(5):
            commits = Commits(0.04)
            first = asyncio.create_task(commits.submit(10))
            await asyncio.sleep(0.01)
            # Fewer than the last commit carried out, and nobody comes after them.
            async with asyncio.timeout(30):
                await commits.submit(3)
            await first

    with asyncio.Runner(loop_factory=EarlyLoop) as runner:
        runner.run(main())


def test_all_callers_who_come_again_share_each_commit() -> None:
    async def main() -> None:
        commits = Commits(0.003)

        async def caller(number: int) -> None:
            await asyncio.sleep(number * 0.0005)
            for _ in range(30):
                await commits.submit(1)
                await asyncio.sleep(0.001)

        await asyncio.gather(*map(caller, range(8)))
        assert commits.sizes[5:25] == [8] * 20

    simulate(main())


def test_who_comes_alone_after_many_waits_no_longer_than_their_commit_took() -> None:
    async def main() -> None:
        commits = Commits(0.003)
        await commits.submit(20)
        assert round(await commits.submit(1), 4) == 0.006
        assert round(await commits.submit(1), 4) == 0.003

    simulate(main())


def test_nobody_waits_longer_for_others_after_a_commit_that_waited_for_a_lock() -> None:
    async def main() -> None:
        commits = Commits(4)
        await commits.submit(20)
        commits.seconds = 0
        assert round(await commits.submit(1), 4) == LONG_COMMIT_SECONDS

    simulate(main())


def test_a_request_that_finds_the_ledger_idle_is_committed_at_once() -> None:
    async def main() -> None:
        commits = Commits(0.003)
        await commits.submit(20)
        await asyncio.sleep(1)
        assert round(await commits.submit(1), 4) == 0.003

    simulate(main())


def test_what_waits_is_committed_at_once_when_the_queue_is_drained() -> None:
    async def main() -> None:
        commits = Commits(0.003)
        await commits.submit(20)
        waiting: Awaitable[Any] = commits.queue.enqueue(REQUEST)
        began = asyncio.get_running_loop().time()
        await commits.queue.drain()
        assert round(asyncio.get_running_loop().time() - began, 4) == 0.003
        await waiting

    simulate(main())


def test_one_request_does_not_wait_for_all_that_another_principal_asked_for() -> None:
    async def main() -> None:
        commits = Commits(0.1, room=20_000)
        batches = [commits.queue.enqueue(asked_by("service:payroll", 700)) for _ in range(26)]
        await asyncio.sleep(0.05)
        began = asyncio.get_running_loop().time()
        await commits.queue.submit(asked_by("user:a"))
        assert round(asyncio.get_running_loop().time() - began, 4) <= 0.15
        await asyncio.gather(*batches)

    simulate(main())


def test_who_has_the_most_waiting_gives_way_to_others() -> None:
    async def main() -> None:
        commits = Commits(0.1)
        under_way = commits.queue.enqueue(asked_by("service:payroll", 700))
        await asyncio.sleep(0.05)
        batches = [commits.queue.enqueue(asked_by("service:payroll", 300)) for _ in range(3)]
        other = commits.queue.enqueue(asked_by("service:shop", 200))
        with pytest.raises(errors.Overloaded):
            commits.queue.enqueue(asked_by("service:payroll", 300))
        outcomes = await asyncio.gather(under_way, *batches, other, return_exceptions=True)
        refused = [isinstance(outcome, errors.Overloaded) for outcome in outcomes]
        assert refused == [False, False, False, True, False]

    simulate(main())
