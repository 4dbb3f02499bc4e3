"""What waits for a commit, in fair turns between those who asked.

Whoever asks for much waits behind their own requests, and not others behind them. This is
start-time fair queuing (Goyal, Vin and Cheng, SIGCOMM 1996): it is a request's turn when all that
its principal asked for before would have been carried out, had each principal had an equal share.
Where there is no more room, the newest request of whoever has the most waiting gives way, by
longest queue drop (Suter et al., "Design Considerations for Supporting TCP with Per-flow Queueing",
INFOCOM 1998).
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from balance_service.domain.requests import Request
from balance_service.domain.state import Outcome

if TYPE_CHECKING:
    from balance_service.telemetry.opentelemetry import Span

Answer: TypeAlias = "asyncio.Future[Sequence[Outcome]]"

# Principals whose shares are remembered though nothing of theirs waits, before most are forgotten.
REMEMBERED = 1000


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """A request in the queue or in a commit.

    Args:
        request: What the caller asks of the ledger.
        answer: What the caller awaits.
        deadline: When its caller stops waiting, by the event loop's clock; None for never.
        outcomes: The answer, once a commit has given it.
        turn: When it is its turn, by the clock of `Turns`.
        came: When it came, by the event loop's clock.
        trace_id: The trace of its call, for the log; empty for none.
        span: The span of its call, where calls are traced.
    """

    request: Request
    answer: Answer
    deadline: float | None = None
    outcomes: Sequence[Outcome] = ()
    turn: int = 0
    came: float = 0.0
    trace_id: str = ""
    span: "Span | None" = None

    def late(self) -> bool:
        """Whether its caller has stopped waiting by the clock."""
        return self.deadline is not None and asyncio.get_running_loop().time() >= self.deadline

    def gone(self) -> bool:
        """Whether nobody waits for its answer."""
        return self.answer.done() or self.late()


@dataclass(slots=True, eq=False)
class _Line:
    """What one principal has waiting, oldest first, and how much that is."""

    requests: deque[QueuedRequest] = field(default_factory=deque)
    commands: int = 0


class Turns:
    """Requests that wait. Its clock counts commands that each principal might have had done."""

    def __init__(self) -> None:
        self.commands = 0
        self._requests = 0
        self._clock = 0
        self._lines: dict[str, _Line] = {}
        # The first of each line: its turn, the order in which it got there, and whose it is.
        self._firsts: list[tuple[int, int, str]] = []
        self._numbers = itertools.count()
        # When the share of what a principal has asked for so far ends.
        self._ends: dict[str, int] = {}

    def __len__(self) -> int:
        return self._requests

    def add(self, waiting: QueuedRequest) -> None:
        """Lets a request wait for its turn."""
        principal, size = waiting.request.principal, len(waiting.request.items)
        waiting.turn = max(self._clock, self._ends.get(principal, 0))
        self._ends[principal] = waiting.turn + size
        line = self._lines.get(principal)
        if line is None:
            line = self._lines[principal] = _Line()
            heapq.heappush(self._firsts, (waiting.turn, next(self._numbers), principal))
        line.requests.append(waiting)
        line.commands += size
        self.commands += size
        self._requests += 1

    def next(self) -> QueuedRequest | None:
        """The request whose turn it is, which goes on waiting; None if none waits."""
        if not self._firsts:
            return None
        return self._lines[self._firsts[0][2]].requests[0]

    def take(self) -> QueuedRequest:
        """Takes the request whose turn it is."""
        turn, _, principal = heapq.heappop(self._firsts)
        line = self._lines[principal]
        waiting = line.requests.popleft()
        self._clock = turn
        self._leave(principal, line, waiting)
        if line.requests:
            first = line.requests[0].turn, next(self._numbers), principal
            heapq.heappush(self._firsts, first)
        if len(self._ends) > len(self._lines) + REMEMBERED:
            self._ends = {name: end for name, end in self._ends.items() if end > turn}
        return waiting

    def has_room(self, principal: str, commands: int, commands_max: int) -> bool:
        """Whether there is room for a new request, or would be if others gave way.

        Args:
            principal: Who asks.
            commands: How much for.
            commands_max: How much may wait in all.
        """
        missing = self.commands + commands - commands_max
        return missing <= 0 or self._excess(self._share(principal, commands)) >= missing

    def make_room(self, principal: str, commands: int, commands_max: int) -> list[QueuedRequest]:
        """Takes what gives way to a new request for which `has_room`, newest first."""
        share, dropped = self._share(principal, commands), []
        while self.commands + commands > commands_max:
            name, longest = max(self._lines.items(), key=lambda found: found[1].commands)
            assert longest.commands > share, "has_room"
            waiting = longest.requests.pop()
            self._ends[name] = waiting.turn
            self._leave(name, longest, waiting)
            if not longest.requests:
                self._firsts = [first for first in self._firsts if first[2] != name]
                heapq.heapify(self._firsts)
            dropped.append(waiting)
        return dropped

    def _share(self, principal: str, commands: int) -> int:
        """How much a principal would have waiting with so much more."""
        line = self._lines.get(principal)
        return commands + (line.commands if line else 0)

    def _excess(self, share: int) -> int:
        """How much waits beyond a share of each principal."""
        return sum(max(line.commands - share, 0) for line in self._lines.values())

    def _leave(self, principal: str, line: _Line, waiting: QueuedRequest) -> None:
        size = len(waiting.request.items)
        line.commands -= size
        self.commands -= size
        self._requests -= 1
        if not line.requests:
            del self._lines[principal]
            if not self._lines:
                # Nobody waits, so nobody has had more than their share.
                self._ends.clear()
