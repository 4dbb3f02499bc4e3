"""Makes the checks of `verify` on a cluster, which has no snapshot across its servers.

A view differs from one moment by commits that came to light while it was taken. So what a check
finds is looked at again, in views that are taken later: a commit under way is over by then, and
what is wrong still is.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import LiteralString, NamedTuple, TypeAlias

from psycopg import AsyncConnection

from balance_service.repositories import (
    cluster_slices,
    event_checks,
    queries,
    totals_checks,
)
from balance_service.repositories.cluster_slices import SLICED, Sliced
from balance_service.repositories.cluster_view import Views
from balance_service.repositories.verification_steps import Found

_SQL = queries.load(__file__)

# Before each look at what the one before found.
PAUSES_SECONDS = (0.1, 0.3, 1.0)
# A commit of which a server that failed holds a part is found by Citus within a minute, and has no
# event until then.
_PATIENCE_SECONDS = 90
_HIDDEN_PAUSE_SECONDS = 1.0
# Kept of a look, so that commits under way do not hide what is wrong.
SUSPECTS_MAX = 10_000

Row: TypeAlias = tuple[str, object, object]


class _Place(NamedTuple):
    """A check of one slice, or of all."""

    check: str
    sliced: Sliced | None = None
    slice: str = ""


_FINDERS = {
    "events_follow_each_other": event_checks.find_out_of_order,
    "sales_are_of_movements": totals_checks.find_wrong_sales,
}


def together(check: str) -> Sequence[str]:
    """The checks that are made with one, and it."""
    checks, before = {check: None}, 0
    while len(checks) > before:
        before = len(checks)
        for sliced in SLICED:
            if not checks.keys().isdisjoint(sliced.checks):
                checks |= dict.fromkeys(sliced.checks)
    return list(checks)


async def find(
    conn: AsyncConnection,
    views: Views,
    checks: Sequence[str],
    statements: queries.Queries,
    parameters: Mapping[str, object],
) -> Found:
    """What some checks find, each time that they look.

    Args:
        conn: The connection.
        views: Its own.
        checks: Their names, all that are made together.
        statements: Of all checks, as a cluster takes them.
        parameters: Of the checks, with the limit of what each tells.

    Raises:
        Unavailable: A commit takes long.
    """
    looking = _Looking(conn, views, statements, parameters)
    began = time.monotonic()
    kept = await looking.first(checks)
    for pause in PAUSES_SECONDS:
        if kept:
            await asyncio.sleep(pause)
            kept = await looking.again(kept)
    while kept and await looking.is_hidden() and time.monotonic() - began < _PATIENCE_SECONDS:
        await asyncio.sleep(_HIDDEN_PAUSE_SECONDS)
        kept = await looking.again(kept)
    found: dict[str, list[Row]] = {check: [] for check in checks}
    for place, rows in kept.items():
        found[place.check] += [row for row in rows if row not in found[place.check]]
    return {check: rows[: looking.limit] for check, rows in found.items()}


class _Looking:
    """Looks at the same checks several times."""

    def __init__(
        self,
        conn: AsyncConnection,
        views: Views,
        statements: queries.Queries,
        parameters: Mapping[str, object],
    ) -> None:
        self.limit: int = parameters["limit"]  # type: ignore[assignment]
        self._conn = conn
        self._views = views
        self._statements = statements
        self._parameters = {**parameters, "limit": SUSPECTS_MAX}
        self._began: object = None

    async def first(self, checks: Sequence[str]) -> dict[_Place, Sequence[Row]]:
        """What is found at the first look."""
        self._began = await self._views.current()
        values = {**self._parameters, "horizon": self._began}
        places = [_Place(check) for check in checks if not _is_sliced(check)]
        for sliced in SLICED:
            if not set(sliced.checks).isdisjoint(checks):
                for part in await cluster_slices.slices(self._conn, sliced, values):
                    places += [_Place(check, sliced, part) for check in sliced.checks]
        return await self._look(places, values)

    async def again(self, kept: Mapping[_Place, Sequence[Row]]) -> dict[_Place, Sequence[Row]]:
        """What is found again, and as before."""
        values = {**self._parameters, "horizon": await self._views.renew()}
        found = await self._look(list(kept), values)
        return {
            place: still
            for place, rows in found.items()
            if (still := _persisting(place, kept[place], rows))
        }

    async def is_hidden(self) -> bool:
        """Whether something that was committed before the first look has no event yet."""
        cursor = await self._conn.execute(_SQL["is_hidden"], {"began": self._began})
        row = await cursor.fetchone()
        return row is not None

    async def _look(
        self, places: Sequence[_Place], values: Mapping[str, object]
    ) -> dict[_Place, Sequence[Row]]:
        found: dict[_Place, Sequence[Row]] = {}
        sizes: Counter[str] = Counter()
        for place in places:
            if sizes[place.check] < SUSPECTS_MAX and (rows := await self._find(place, values)):
                found[place] = rows
                sizes[place.check] += len(rows)
        return found

    async def _find(self, place: _Place, values: Mapping[str, object]) -> Sequence[Row]:
        if finder := _FINDERS.get(place.check):
            return await finder(self._conn, values)
        statement: LiteralString = self._statements[place.check]
        if place.sliced is None:
            return await (await self._conn.execute(statement, values)).fetchall()
        query = cluster_slices.query(place.sliced, statement)
        cursor = await self._conn.execute(query, {**values, "slice": place.slice})
        return await cursor.fetchall()


def _is_sliced(check: str) -> bool:
    return any(check in sliced.checks for sliced in SLICED)


def _persisting(place: _Place, before: Sequence[Row], now: Sequence[Row]) -> Sequence[Row]:
    """What was found as before, in a slice with the same values: others may be of a new commit.

    Sums are of one moment, and right for it; they change from one to the next.
    """
    if len(now) >= SUSPECTS_MAX:
        return now
    if place.sliced:
        same = set(before)
        return [row for row in now if row in same]
    subjects = {row[0] for row in before}
    return [row for row in now if row[0] in subjects]
