"""Which standby shows what is fresh enough, and how a worker knows.

Clocks of two servers are not compared, and when a standby replayed its last change says nothing
while nothing changes. Instead, twice a second, the primary is asked for its time and where its log
is, and each standby for how far it has replayed. A standby that has replayed up to a position shows
everything that was acknowledged before the moment when the primary was there. How long ago that was
is told by this worker's own clock, which runs and is never set. Before that, the primary is asked
which moment is over, so that a standby that was there shows all that is ever dated before it.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

import structlog

from balance_service.database import cancelling
from balance_service.database.pool import Pool, PostgresError
from balance_service.database.standbys import (
    Mark,
    StandbyPool,
    State,
    read_mark,
    read_replayed,
    read_seen,
    read_state,
)
from balance_service.reading import final_moments
from balance_service.reading.final_moments import NEVER, FinalMoments
from balance_service.reading.gathering import Gathering
from balance_service.repositories import journal
from balance_service.telemetry import metrics

PRIMARY_INTERVAL_SECONDS = 0.5
STANDBY_INTERVAL_SECONDS = 0.25
# How long a server may take to say where it is.
ANSWER_SECONDS = 1.0
MOVEMENTS_PER_QUERY_MAX = 500

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reached:
    """What a standby shows: all that was acknowledged before a moment.

    Args:
        as_of: The moment, by the primary's clock.
        asked: Not after that moment, by the event loop's clock.
        generation: Of the standby's connections.
        final_until: Before when it shows all that is ever dated.
    """

    as_of: datetime
    asked: float
    generation: int
    final_until: datetime


class _Marked(NamedTuple):
    """Where the primary was, when it was asked, and before when nothing is dated after that."""

    mark: Mark
    asked: float
    final_until: datetime


class Standby:
    """A standby, as far as a worker knows it.

    Args:
        pool: Connections to it and to no other server.
    """

    def __init__(self, pool: StandbyPool) -> None:
        self.pool = pool
        self.name = pool.name
        self._movements = Gathering(pool, journal.movements, MOVEMENTS_PER_QUERY_MAX)
        self._replayed = Gathering(pool, read_replayed, 1)
        self._seen = Gathering(pool, read_seen, 1)
        self.under_way = 0
        self._reached: Reached | None = None
        # Why it is not read from; empty while it may be, and before it was looked at.
        self.fault = ""

    @property
    def reached(self) -> "Reached | None":
        """What it is known to show; None while it is not known to be fit."""
        reached = self._reached
        return reached if reached and reached.generation == self.pool.generation else None

    def age_seconds(self, *, over: bool = False) -> float:
        """How old what it shows is at most; infinite if it is not fit.

        Args:
            over: Whether it shows no more than is dated before the last moment that is over.
        """
        reached = self.reached
        if reached is None:
            return math.inf
        behind = reached.as_of - reached.final_until if over else timedelta()
        return asyncio.get_running_loop().time() - reached.asked + behind.total_seconds()

    @property
    def loaded(self) -> bool:
        """Whether as many wait for a connection as there are."""
        found = self.pool.get_stats()
        return found["requests_waiting"] >= found["pool_max"]

    async def shows(self, movement_ids: Collection[UUID], position: int) -> bool:
        """Whether it shows some movements, and everything before a position in the log."""
        if position and (await self._replayed.get(None) or 0) < position:
            return False
        found = await asyncio.gather(*map(self._movements.get, movement_ids))
        return None not in found

    async def seen(self) -> int | None:
        """The position before which everything lies that it has shown."""
        return await self._seen.get(None)

    def reach(self, reached: "Reached") -> None:
        """It was found to show so much; a standby that goes on never shows less."""
        if self.fault:
            _log.info("standby_fit", standby=self.name)
        self.fault = ""
        known = self.reached
        if known is None or known.asked < reached.asked:
            self._reached = reached
            self.pool.as_of, self.pool.final_until = reached.as_of, reached.final_until

    def suspend(self, fault: str) -> None:
        """It is not read from until it is found fit again."""
        if fault != self.fault:
            _log.warning("standby_unfit", standby=self.name, cause=fault)
        self._reached, self.fault = None, fault


class Standbys:
    """The standbys of a worker, and what they show.

    Args:
        primary: A connection of its own to the primary, so that a busy one makes none look old.
        standbys: What may be read from.
        staleness_max_seconds: How old an answer may be, whatever callers accept.
    """

    def __init__(
        self, primary: Pool | None, standbys: Sequence[Standby], staleness_max_seconds: float
    ) -> None:
        self.standbys = standbys
        self.staleness_max_seconds = staleness_max_seconds
        self._primary = primary
        # The newest is the last.
        length = math.ceil(staleness_max_seconds / PRIMARY_INTERVAL_SECONDS) + 2
        self._marks: deque[_Marked] = deque(maxlen=length)
        self._final = FinalMoments()
        self._looking: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Looks from then on. A standby that is away holds nobody up."""
        if self._primary is None:
            return
        for pool in (self._primary, *(standby.pool for standby in self.standbys)):
            await pool.open(wait=False)
        begin = asyncio.create_task
        self._looking = [
            begin(_repeat(PRIMARY_INTERVAL_SECONDS, self.look_at_primary)),
            *(
                begin(_repeat(STANDBY_INTERVAL_SECONDS, partial(self.look_at, standby)))
                for standby in self.standbys
            ),
        ]

    async def stop(self) -> None:
        """Looks no more, and disconnects."""
        if self._primary is None:
            return
        await cancelling.end(self._looking)
        for pool in (self._primary, *(standby.pool for standby in self.standbys)):
            await pool.close()

    def fresh(self, staleness_max_seconds: float, *, over: bool = False) -> list[Standby]:
        """Those that show everything up to so many seconds ago.

        Args:
            staleness_max_seconds: How many.
            over: Whether a moment that is over on them has to be so young, too.
        """
        allowed = min(staleness_max_seconds, self.staleness_max_seconds)
        return [each for each in self.standbys if each.age_seconds(over=over) <= allowed]

    async def look_at_primary(self) -> None:
        """Asks the primary where it is.

        Raises:
            PostgresError: It does not answer. What is known stays true, and grows old.
        """
        assert self._primary, "where there are standbys"
        async with self._primary.connection(ANSWER_SECONDS) as conn:
            with conn.bounded(ANSWER_SECONDS):
                seen = await final_moments.look(conn)
                asked = asyncio.get_running_loop().time()
                # Last: what has ended is flushed up to here.
                mark = await read_mark(conn)
        last = self._marks[-1].mark if self._marks else None
        if last and mark.history != last.history:
            if mark.history.precedes(last.history):
                return  # It lost its place to another, and does not know it yet.
            self._marks.clear()
            self._final = FinalMoments()
            for standby in self.standbys:
                standby.suspend("another primary")
        elif last and mark.position == last.position:
            self._marks.pop()
        self._marks.append(_Marked(mark, asked, self._final.after(seen) if seen else NEVER))

    async def look_at(self, standby: Standby) -> None:
        """Asks a standby what it has replayed."""
        generation, lost = standby.pool.generation, False
        try:
            async with standby.pool.connection(ANSWER_SECONDS) as conn:
                lost = True
                with conn.bounded(ANSWER_SECONDS):
                    state = await read_state(conn)
            self._judge(standby, state, generation)
        except PostgresError as error:
            standby.suspend(type(error).__name__)
            if lost:
                await standby.pool.forget()
        metrics.look_at_standby(standby.name, standby.age_seconds())

    def _judge(self, standby: Standby, state: State | None, generation: int) -> None:
        """Notes what a standby shows, by what it says of itself."""
        if state is None:
            standby.suspend("it is no standby")
            return
        if not self._marks:
            return
        if state.history != self._marks[-1].mark.history:
            standby.suspend("of another history than the primary")
            return
        for mark, asked, final_until in reversed(self._marks):
            if mark.position <= state.position:
                standby.reach(Reached(mark.moment, asked, generation, final_until))
                break


async def _repeat(seconds: float, look: Callable[[], Awaitable[None]]) -> None:
    """Looks for ever; a look that failed is passed."""
    while True:
        try:
            await look()
        except Exception as error:  # noqa: BLE001 - the next one tries again
            _log.debug("standby_look_failed", cause=type(error).__name__)
        await asyncio.sleep(seconds)
