"""Reads that a standby may answer, if their callers say how old an answer they accept.

Money never moves by what a standby says, and nothing is refused by it: whoever calls is verified
as ever, and where a standby has no answer, or would refuse, the primary is asked. Of what a caller
may read, a standby knows whose accounts and movements are, which never changes.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

import structlog
from google.protobuf.message import Message

from balance_service.calls.call import Call
from balance_service.calls.freshness import AS_OF, POSITION, READ_FROM, Freshness, Positions, read
from balance_service.calls.methods import Method
from balance_service.calls.standby_offers import is_of_what_is_over, is_offered
from balance_service.domain import errors
from balance_service.reading.gathering import Gathering
from balance_service.reading.past import NotShown
from balance_service.reading.standbys import Reached, Standby, Standbys
from balance_service.telemetry import metrics

# How long a standby has; of a caller who waits for less than twice as long, half of that.
STANDBY_SECONDS_MAX = 2.0
# How long the primary's position is waited for: an answer is worth more than what is said of it.
POSITION_SECONDS = 0.5

# Of a servicer: awaited for a message, or gone through for the parts of a file.
Handler: TypeAlias = Callable[[Message, Call], Any]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shown:
    """What a standby answered.

    Args:
        message: The answer.
        as_of: Up to when it was known to be complete before it was asked for.
        age_seconds: How long ago that was then, at most.
        position: Before which everything lies that the answer shows; None if nobody asked.
    """

    message: Message
    as_of: datetime
    age_seconds: float
    position: int | None


class _Behind(Exception):  # noqa: N818 - no fault
    """The standby does not show yet what it must, or began to show less."""


_CAUSES: Mapping[type[Exception], str] = {
    _Behind: "behind",
    NotShown: "early",
    TimeoutError: "slow",
}


class StandbyReads:
    """Answers calls that say how fresh their answers are to be.

    Args:
        standbys: Know what each shows.
        handlers: Of the offered methods, by their full names, that read each of the standbys.
        positions: Seals what callers are told of the log.
        primary: Reads the position of the primary.
    """

    def __init__(
        self,
        standbys: Standbys,
        handlers: Mapping[Standby, Mapping[str, Handler]],
        positions: Positions,
        primary: Gathering[None, int],
    ) -> None:
        self._standbys = standbys
        self._handlers = handlers
        self._positions = positions
        self._primary = primary
        # Tasks that nobody waits for any more; the event loop itself holds them weakly.
        self._abandoned: set[asyncio.Task[Shown]] = set()

    async def answer(
        self, method: Method, request: Message, call: Call, primary: Handler
    ) -> Message:
        """Answers a call by a standby if one may and can, and else by the primary.

        Args:
            method: The method.
            request: What is asked.
            call: Who asks, verified and let in.
            primary: Answers by the primary.

        Raises:
            InvalidFields: What the call says of freshness cannot be understood.
            Refusal: The primary refuses.
        """
        asked = read(call, self._positions)
        shown = None
        if is_offered(method):
            asked = replace(asked, over=is_of_what_is_over(method, request))
            shown = await self._by_standby(method, request, call, asked)
        if shown is None:
            message: Message = await primary(request, call)
            await self._tell_primary(method, call)
            return message
        call.proven = True
        metrics.read_by("standby")
        metrics.stale_read(shown.age_seconds)
        call.trailers[READ_FROM] = "standby"
        call.trailers[AS_OF] = _text(shown.as_of)
        if shown.position is not None:
            call.trailers[POSITION] = self._positions.write(shown.position)
        return shown.message

    async def _tell_primary(self, method: Method, call: Call) -> None:
        if method.reads:
            metrics.read_by("primary")
            call.trailers[READ_FROM] = "primary"
        if call.at_least is None:
            return
        # Money may have moved: whatever happens here, the caller gets the answer.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(POSITION_SECONDS):
                position = await self._primary.get(None)
            if position is not None:
                call.trailers[POSITION] = self._positions.write(position)

    async def file(
        self, method: Method, request: Message, call: Call, primary: Handler
    ) -> AsyncGenerator[Message, None]:
        """Answers a call with a file, which is of the past and has the same parts from any server.

        The primary goes on with what a standby breaks off: it begins anew, and leaves out as many
        parts as were sent.

        Args:
            method: The method.
            request: What is asked.
            call: Who asks, verified and let in.
            primary: Answers by the primary.

        Raises:
            InvalidFields: What the call says of freshness cannot be understood.
            Refusal: The primary refuses.
        """
        asked, sent = read(call, self._positions), 0
        if standby := self._choose(asked):
            handler = self._handlers[standby][method.full_name]
            made = _parts(standby, handler, request, call, asked)
            try:
                async with contextlib.aclosing(made) as parts:
                    async for part in parts:
                        call.proven = True
                        yield part
                        sent += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, the primary is asked
                _fall_back(standby, call, error)
            else:
                metrics.read_by("standby")
                return
        async with contextlib.aclosing(primary(request, call)) as parts:
            async for part in parts:
                if sent:
                    sent -= 1
                else:
                    yield part
        metrics.read_by("primary")

    def _choose(self, asked: Freshness) -> Standby | None:
        """The standby to ask; None where the primary is to be asked."""
        if asked.max_staleness_seconds is None or not self._standbys.standbys:
            return None
        if asked.over and asked.names_seen:
            return None  # That may be later than what is over.
        fresh = self._standbys.fresh(asked.max_staleness_seconds, over=asked.over)
        free = [standby for standby in fresh if not standby.loaded]
        if not free:
            metrics.standby_fell_back("loaded" if fresh else "stale")
            return None
        return min(free, key=lambda each: each.under_way)

    async def _by_standby(
        self, method: Method, request: Message, call: Call, asked: Freshness
    ) -> Shown | None:
        """What a standby answers; None where the primary is to be asked."""
        standby = self._choose(asked)
        if standby is None:
            return None
        try:
            return await self._ask(standby, method, request, call, asked)
        except Exception as error:  # noqa: BLE001 - whatever it is, the primary is asked
            _fall_back(standby, call, error)
        return None

    async def _ask(
        self, standby: Standby, method: Method, request: Message, call: Call, asked: Freshness
    ) -> Shown:
        """Asks a standby, for as long as leaves time for the primary.

        Raises:
            TimeoutError: It did not answer by then.
            Exception: Whatever it failed with.
        """
        seconds = STANDBY_SECONDS_MAX
        if call.timeout_seconds is not None:
            seconds = min(seconds, call.timeout_seconds / 2)
        handler = self._handlers[standby][method.full_name]
        standby.under_way += 1
        # Not awaited once it is late: psycopg waits long for a server that is to end a query.
        reading = asyncio.create_task(_read(standby, handler, request, call, asked))
        try:
            done, _ = await asyncio.wait([reading], timeout=seconds)
            if not done:
                raise TimeoutError
            return reading.result()
        finally:
            standby.under_way -= 1
            if not reading.done():
                reading.cancel()
                self._abandoned.add(reading)
                reading.add_done_callback(self._forget)

    def _forget(self, reading: asyncio.Task[Shown]) -> None:
        self._abandoned.discard(reading)
        if not reading.cancelled():
            reading.exception()  # Asked for, or asyncio logs it when nobody waits.


async def _read(
    standby: Standby, handler: Handler, request: Message, call: Call, asked: Freshness
) -> Shown:
    reached, age_seconds = await _meet(standby, asked), standby.age_seconds(over=asked.over)
    # Of its own, so that nothing of it is left where the primary answers.
    own = replace(call, trailers={})
    message = await handler(request, own)
    own.check_proven()
    position = None if call.at_least is None else await standby.seen()
    if standby.pool.generation != reached.generation:
        raise _Behind
    as_of = reached.final_until if asked.over else reached.as_of
    return Shown(message, as_of, age_seconds, position)


async def _parts(
    standby: Standby, handler: Handler, request: Message, call: Call, asked: Freshness
) -> AsyncGenerator[Message, None]:
    """The parts of a file, as a standby makes it."""
    reached, own = await _meet(standby, asked), replace(call, trailers={})
    standby.under_way += 1
    try:
        async with contextlib.aclosing(handler(request, own)) as parts:
            async for part in parts:
                own.check_proven()
                if standby.pool.generation != reached.generation:
                    raise _Behind
                yield part
    finally:
        standby.under_way -= 1


async def _meet(standby: Standby, asked: Freshness) -> Reached:
    """What a standby shows, which is all that it has to show.

    Raises:
        _Behind: It is not.
    """
    reached = standby.reached
    if reached is None:
        raise _Behind
    if asked.names_seen and not await standby.shows(asked.movement_ids, asked.position):
        raise _Behind
    return reached


def _fall_back(standby: Standby, call: Call, error: Exception) -> None:
    """Counts why the primary is asked, and logs what failed."""
    refused = isinstance(error, errors.Refusal)
    cause = "refused" if refused else _CAUSES.get(type(error), "failed")
    if cause == "failed":
        _log.warning(
            "standby_read_failed",
            standby=standby.name,
            method=call.method,
            request_id=call.correlation_id,
            cause=type(error).__name__,
        )
    metrics.standby_fell_back(cause)


def _text(moment: datetime) -> str:
    """A moment as in JSON (RFC 3339), rounded down to the millisecond: it is a promise."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
