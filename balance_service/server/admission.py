"""How many calls begin in one turn of the event loop, in fair turns between networks.

A call that begins does most of its work at once, before it waits for Postgres. When thousands come
together and all of them begin, everything else that the loop does waits for all of them: commits
above all, each of whose steps takes a turn of the loop. So a few calls begin in a turn and the
others wait in a line for each network, and the lines take turns (round robin, Nagle, "On Packet
Switches with Infinite Storage", RFC 970). Who would find a line that is too long is refused before
anything of the call is read, for a refusal must cost less than what it saves.
"""

import asyncio
from collections import OrderedDict, deque
from typing import TypeAlias

import structlog

from balance_service.domain import errors, retry_after

# As many as take a few milliseconds, about what a step of a commit takes.
CALLS_A_TURN = 16
TELLING_SECONDS = 1.0

_log = structlog.get_logger()
_Line: TypeAlias = "deque[asyncio.Future[None]]"


class Admission:
    """Lets calls begin.

    Args:
        waiting_max: How many may wait where all come from one network. Where several networks have
            lines, each has its share of that.
    """

    def __init__(self, waiting_max: int) -> None:
        self._waiting_max = waiting_max
        self._lines: OrderedDict[str, _Line] = OrderedDict()
        self._begun = 0
        self._turning = False
        self._refused = 0

    def begin(self) -> bool:
        """Lets a call begin at once if there is room in this turn; otherwise it must `wait`."""
        if self._begun >= CALLS_A_TURN:
            return False
        self._begun += 1
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)
        return True

    async def wait(self, network: str) -> None:
        """Waits in the line of a network until the call may begin.

        Raises:
            Overloaded: The line is too long.
        """
        line = self._lines.get(network)
        if line is None:
            line = self._lines[network] = deque()
        if len(line) >= max(self._waiting_max // len(self._lines), CALLS_A_TURN):
            self._count_refused()
            raise errors.Overloaded(retry_after.CROWDED_SECONDS)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(place)
        await place

    def _turn(self) -> None:
        """Lets the next calls begin, one of each line in turn."""
        self._begun = 0
        while self._lines and self._begun < CALLS_A_TURN:
            network, line = self._lines.popitem(last=False)
            place = line.popleft()
            if not place.done():
                place.set_result(None)
                self._begun += 1
            if line:
                self._lines[network] = line
        self._turning = self._begun > 0
        if self._turning:
            asyncio.get_running_loop().call_soon(self._turn)

    def _count_refused(self) -> None:
        """Has the log told how many were refused; a line for each would cost more than the call."""
        if not self._refused:
            asyncio.get_running_loop().call_later(TELLING_SECONDS, self._tell_refused)
        self._refused += 1

    def _tell_refused(self) -> None:
        _log.warning("calls_refused", count=self._refused)
        self._refused = 0
