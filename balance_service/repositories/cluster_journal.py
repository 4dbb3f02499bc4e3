"""The journal on a cluster, where what was committed comes to light on one shard after another.

Whoever holds an account's lock sees all that was decided under it on the account's own shard. Of
other shards that is not so: the last holder's commit may be prepared there and not yet visible.
What is read there is therefore either decided by a key when it is written, or read under a lock of
its own, which a prepared commit keeps until it can be seen. Decision 0012.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor

from balance_service.domain.follow_up_commands import Capture, Reverse
from balance_service.domain.movements import Movement
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Done, Plan, State
from balance_service.domain.sub_accounts import KnownSubAccounts
from balance_service.repositories import arrays, columns, journal, queries
from balance_service.repositories.accounts import lock_each_for_commit
from balance_service.repositories.failures import Unsettled

# Statements of journal.sql that are put in other words.
INSTEAD = (
    "find_holds",
    "find_purchases",
    "find_quote_uses",
    "find_references",
    "insert_references",
)


class ClusterJournal(journal.Journal):
    """As Journal, by statements that Citus finds the shards of.

    Args:
        conn: A connection in pipeline mode, within a transaction.
        searchable: The keys of metadata that movements may be found by.
        known: What this worker knows of accounts with sub-accounts; there are none on a cluster.
        zone: The zone of the days on which debits count.
    """

    statements: ClassVar[Mapping[str, LiteralString]] = {
        **journal.Journal.statements,
        **queries.load(__file__),
    }

    def __init__(
        self,
        conn: AsyncConnection,
        searchable: frozenset[str] = frozenset(),
        known: KnownSubAccounts | None = None,
        zone: str = "UTC",
    ) -> None:
        super().__init__(conn, searchable, known, zone)
        self._found: set[UUID] = set()
        self._tried: Collection[UUID] = ()
        self._bought: AsyncCursor | None = None
        self._followed: list[AsyncCursor] = []

    async def load(
        self, commands: Sequence[Command], tried: Collection[UUID]
    ) -> tuple[State, datetime]:
        """As `Journal.load`.

        Raises:
            Unsettled: Another commit that these depend on cannot be seen yet.
        """
        state, now = await super().load(commands, tried)
        await _insist(self._followed)
        if self._bought:
            await self._add_purchases(state, await self._bought.fetchall(), commands)
        self._found, self._tried = set(state.movements), tried
        return state, now

    async def confirm(self, requests: Sequence[Request], plan: Plan) -> None:
        """Makes sure that no request is refused which another commit has carried out.

        A movement is inserted for each refused command and taken back at once: that waits for a
        prepared commit of the same id, and shows whether there was one.

        Args:
            requests: As planned.
            plan: What is to be told of them.

        Raises:
            Unsettled: There was one; the next attempt sees it.
        """
        refused = {
            command.origin.movement_id
            for request, outcomes in zip(requests, plan.outcomes, strict=True)
            if not request.validate_only
            for command, outcome in zip(request.items, outcomes, strict=True)
            if isinstance(command, Command) and not isinstance(outcome, Done)
            if command.origin.request_id or command.origin.movement_id in self._tried
        }
        if doubtful := sorted(refused - self._found):
            await self._conn.execute("SAVEPOINT claims")
            claims = [await self._send("claim_movement", {"movement_id": m}) for m in doubtful]
            await self._conn.execute("ROLLBACK TO SAVEPOINT claims")
            await _insist(claims)
            await self._forget_statements()

    async def write(self, plan: Plan) -> None:
        """As `Journal.write`, by a statement a table."""
        ordered = sorted(plan.movements, key=lambda movement: movement.movement_id)
        await self._begin_writing(ordered)
        values = columns.movements(ordered) | columns.details(ordered)
        await self._send("insert_detailed_movements", values)
        if detailed := [m for m in ordered if journal.has_details(m)]:
            await self._write_details(plan, detailed)
        if plan.entries:
            await self._send("insert_dated_entries", columns.dated_entries(plan.entries))
        await self._send("insert_event", columns.events(plan))
        if plan.accounts:
            await self._send("update_accounts", columns.accounts(plan.accounts.values()))
        await self._write_rest(plan, ordered)

    async def _forget_statements(self) -> None:
        """Has psycopg drop its prepared statements, as it does after a ROLLBACK, now.

        In a pipeline it would do so after the next statement, and drop that one, too, which it
        takes for prepared from then on.
        """
        # By this answer psycopg knows of the ROLLBACK, and with the next statement it drops them.
        await (await self._conn.execute("SELECT 1", prepare=False)).fetchone()
        await self._conn.execute("SELECT 1", prepare=False)

    async def _begin_writing(self, movements: Sequence[Movement]) -> None:
        """Has Citus prepare the commit wherever it read before; accounts are updated later."""
        written = {m.movement_id for m in movements} | {
            m.original_id for m in movements if m.original_id
        }
        await self._send("write_to_movements", {"movement_ids": arrays.uuids(written)})
        if references := {m.reference for m in movements if m.reference}:
            await self._send("write_to_references", {"references": arrays.texts(references)})

    async def _lock(self, account_ids: Collection[UUID]) -> Sequence[AsyncCursor]:
        return await lock_each_for_commit(self._conn, account_ids)

    async def _find_follows(self, commands: Sequence[Command]) -> AsyncCursor | None:
        originals = {c.original.movement_id for c in commands if isinstance(c, Reverse)}
        originals |= {c.hold.movement_id for c in commands if isinstance(c, Capture)}
        self._followed = await self._lock_followed(originals)
        return await super()._find_follows(commands)

    async def _find_purchases(self, commands: Sequence[Command]) -> None:
        """Asks which movement bought; what became of it is asked only where there is one."""
        if purchases := journal.purchase_keys(commands):
            self._bought = await self._send("find_purchases", purchases)

    async def _add_purchases(
        self, state: State, bought: Sequence[tuple[UUID]], commands: Sequence[Command]
    ) -> None:
        """Adds purchases that were not refunded whole: those found, and other parts of their holds.

        Args:
            state: What is loaded so far.
            bought: The movements that `purchases` names.
            commands: What is to be carried out.
        """
        found = await self._read({movement_id for (movement_id,) in bought})
        placed = {m.original_id for m in found.values() if m.original_id}
        if placed:
            parts = await self._list_follows(placed)
            found |= await self._read({part for _, ids in parts.values() for part in ids})
        refunded = await self._list_follows(found)
        left = [m for m in found.values() if refunded.get(m.movement_id, (0,))[0] < m.amount_minor]
        left.sort(key=lambda movement: (movement.created_at, movement.movement_id))
        state.purchases.update(journal.by_purchase(left))
        # One that came to light since they were looked up.
        asked = {command.origin.movement_id for command in commands}
        state.movements.update({m: found[m] for m in asked & found.keys()})

    async def _read(self, movement_ids: Collection[UUID]) -> dict[UUID, Movement]:
        """Movements that another row names, all of them."""
        found = await journal.movements(self._conn, movement_ids) if movement_ids else {}
        if len(found) < len(set(movement_ids)):
            raise Unsettled
        return found

    async def _list_follows(
        self, original_ids: Collection[UUID]
    ) -> dict[UUID, tuple[int, Sequence[UUID]]]:
        """How much followed movements, and the movements that did, which stays so."""
        if not original_ids:
            return {}
        await _insist(await self._lock_followed(original_ids))
        cursor = await self._send("list_follows", {"original_ids": arrays.uuids(original_ids)})
        return {original: (minor, ids) for original, minor, ids in await cursor.fetchall()}

    async def _lock_followed(self, original_ids: Collection[UUID]) -> list[AsyncCursor]:
        """Locks what follows movements, in one order for all; each answers with a row."""
        return [
            await self._send("lock_followed", {"movement_id": m, "key": _key(m)})
            for m in sorted(original_ids)
        ]

    async def _write_system_entries(self, values: Mapping[str, object]) -> None:
        await self._send("insert_system_entries", values)
        await self._send("insert_system_deltas", values)


async def is_posted(conn: AsyncConnection, movement_id: UUID) -> bool:
    """Whether a movement was posted, by whoever had its account locked before.

    On a cluster, it is claimed as in `ClusterJournal.confirm`: it may not be seen yet.

    Args:
        conn: Within a transaction that has the account locked.
        movement_id: The movement.
    """
    if not queries.is_of_cluster(conn):
        return movement_id in await journal.movements(conn, [movement_id])
    async with conn.transaction(force_rollback=True):
        claim = ClusterJournal.statements["claim_movement"]
        return not (await conn.execute(claim, {"movement_id": movement_id})).rowcount


def _key(movement_id: UUID) -> int:
    """The number of a lock, from the random end of an id."""
    return int.from_bytes(movement_id.bytes[8:], signed=True)


async def _insist(cursors: Sequence[AsyncCursor]) -> None:
    """Raises Unsettled unless each statement answers with a row."""
    for cursor in cursors:
        if await cursor.fetchone() is None:
            raise Unsettled
