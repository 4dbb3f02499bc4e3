"""The hot path's set-wise statements: lock, look up, write."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import namedtuple_row, tuple_row

from balance_service.domain import operated, searches
from balance_service.domain.commands import Exchange, Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Capture, Place, Release, Reverse
from balance_service.domain.movements import BETWEEN_USERS, Followed, Kind, Movement
from balance_service.domain.pricing import Rate
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Follow, Plan, State
from balance_service.domain.sub_accounts import KnownSubAccounts, Sharing
from balance_service.repositories import arrays, audit, columns, queries
from balance_service.repositories.accounts import account_of, lock_for_commit
from balance_service.repositories.holds import hold_of
from balance_service.repositories.sub_accounts import SharedAccounts, check_shared
from balance_service.telemetry import metrics, traces

_SQL = queries.load(__file__)


class Journal:
    """The journal within one transaction.

    Args:
        conn: A connection in pipeline mode, within a transaction.
        searchable: The keys of metadata that movements may be found by.
        known: What this worker knows of accounts with sub-accounts.
        zone: The zone of the days on which debits count.
    """

    # A cluster is asked some of them in other words.
    statements: ClassVar[Mapping[str, LiteralString]] = _SQL

    def __init__(
        self,
        conn: AsyncConnection,
        searchable: frozenset[str] = frozenset(),
        known: KnownSubAccounts | None = None,
        zone: str = "UTC",
    ) -> None:
        self._conn = conn
        self._searchable = searchable
        self._known = known or KnownSubAccounts()
        self._zone = zone
        self._shared: SharedAccounts | None = None
        self._operated: list[Command] = []

    async def load(
        self, commands: Sequence[Command], tried: Collection[UUID]
    ) -> tuple[State, datetime]:
        """Locks the accounts of some commands and loads all that these depend on.

        The accounts are locked first: what another commit decided about the same request is visible
        to the look-ups after it, each of which sees what was committed before it began.

        Args:
            commands: In any order.
            tried: Ids of movements that an attempt of ours may have committed before; these are
                looked up though their commands have no request id.

        Returns:
            The state, and Postgres's time once the accounts are locked.
        """
        self._operated = operated.select(commands)
        # All are sent before the first answer is waited for. The clock is read after the locks are
        # granted; to send it with find_movements, as one statement, gains nothing measurable.
        began = time.perf_counter()
        account_ids = {account_id for command in commands for account_id in command.account_ids}
        sharing = self._known.sharing(commands)
        traces.statement_sent("lock_for_commit")
        locked = await self._lock(account_ids - sharing.receiving.keys())
        clock = await self._lock_shared(sharing, account_ids)
        replayed = await self._find_movements(commands, tried)
        bought = await self._find_purchases(commands)
        referred = await self._find_references(commands)
        followed = await self._find_follows(commands)
        held = await self._find_holds(commands)
        used = await self._find_quote_uses(commands)
        accounts = {r[0]: account_of(r) for cursor in locked for r in await cursor.fetchall()}
        accounts |= await check_shared(self._known, self._shared, accounts)
        metrics.accounts_locked(time.perf_counter() - began)
        replays = [_movement(row) for row in await _rows(replayed)]
        purchases = [_movement(row) for row in await _rows(bought)]
        state = State(
            accounts=accounts,
            movements={movement.movement_id: movement for movement in replays},
            purchases=by_purchase(purchases),
            references={(p, s, r): m for p, s, r, m in await _rows(referred)},
            followed={o: Follow(amount, price) for o, amount, price in await _rows(followed)},
            holds={hold.hold_id: hold for hold in map(hold_of, await _rows(held))},
            tried=set(tried),
            quote_uses=dict(await _rows(used)),
            receiving=frozenset(sharing.receiving),
        )
        if self._shared:
            return state, self._shared.now
        clock_row = await clock.fetchone() if clock else None
        assert clock_row is not None, "a clock always answers"
        return state, clock_row[0]

    async def _lock_shared(
        self, sharing: Sharing, account_ids: Collection[UUID]
    ) -> AsyncCursor | None:
        """Sends what locks sub-accounts and tells the time; without any, the clock that does."""
        if not sharing.whole and not sharing.receiving:
            return await self._send("read_clock")
        self._shared = SharedAccounts(self._conn, sharing, self._zone)
        await self._shared.lock(account_ids)
        return None

    async def _lock(self, account_ids: Collection[UUID]) -> Sequence[AsyncCursor]:
        return (await lock_for_commit(self._conn, account_ids),)

    async def _find_movements(
        self, commands: Sequence[Command], tried: Collection[UUID]
    ) -> AsyncCursor | None:
        origins = [command.origin for command in commands]
        movement_ids = [o.movement_id for o in origins if o.request_id or o.movement_id in tried]
        if not movement_ids:
            return None
        return await self._send(
            "find_movements", {"movement_ids": arrays.uuids(movement_ids)}, named=True
        )

    async def _find_purchases(self, commands: Sequence[Command]) -> AsyncCursor | None:
        if not (purchases := purchase_keys(commands)):
            return None
        return await self._send("find_purchases", purchases, named=True)

    async def _find_follows(self, commands: Sequence[Command]) -> AsyncCursor | None:
        originals = [c.original for c in commands if isinstance(c, Reverse)]
        originals += [c.hold for c in commands if isinstance(c, Capture)]
        if not originals:
            return None
        ids_sent = arrays.uuids(movement.movement_id for movement in originals)
        return await self._send("find_follows", {"original_ids": ids_sent})

    async def _find_holds(self, commands: Sequence[Command]) -> AsyncCursor | None:
        placed = [c.hold for c in commands if isinstance(c, Capture | Release)]
        if not placed:
            return None
        return await self._send(
            "find_holds",
            {
                "account_ids": arrays.uuids(movement.from_account_id for movement in placed),
                "hold_ids": arrays.uuids(movement.movement_id for movement in placed),
            },
        )

    async def _find_references(self, commands: Sequence[Command]) -> AsyncCursor | None:
        settlements = [c for c in map(_intended, commands) if isinstance(c, Settle) and c.reference]
        if not settlements:
            return None
        return await self._send(
            "find_references",
            {
                "principals": arrays.texts(c.origin.principal for c in settlements),
                "sources": arrays.texts(c.source for c in settlements),
                "references": arrays.texts(c.reference for c in settlements),
            },
        )

    async def _find_quote_uses(self, commands: Sequence[Command]) -> AsyncCursor | None:
        quotes = [c.quote for c in commands if isinstance(c, Transfer | Exchange) and c.quote]
        if not quotes:
            return None
        return await self._send(
            "find_quote_uses",
            {
                "account_ids": arrays.uuids(quote.account_id for quote in quotes),
                "quote_ids": arrays.uuids(quote.quote_id for quote in quotes),
            },
        )

    async def confirm(self, requests: Sequence[Request], plan: Plan) -> None:
        """Nothing: what was looked up under the locks is all that there was."""

    async def write(self, plan: Plan) -> None:
        """Writes a plan: journal, entries, accounts and what decides the next ones.

        Args:
            plan: With at least one movement; its state was loaded here.
        """
        # In the order of the key, so that commits which claim the same ids meet in one order.
        ordered = sorted(plan.movements, key=lambda movement: movement.movement_id)
        plain = [m for m in ordered if not has_details(m)]
        if detailed := [m for m in ordered if has_details(m)]:
            values = columns.movements(detailed) | columns.details(detailed)
            await self._send("insert_detailed_movements", values)
            await self._write_details(plan, detailed)
            if dated := [e for e in plan.entries if e.effective_at is not None]:
                await self._send("insert_dated_entries", columns.dated_entries(dated))
        entries = [e for e in plan.entries if e.effective_at is None]
        values = columns.movements(plain) | columns.entries(entries)
        values |= columns.events(plan)
        values |= {"place": self._shared and self._shared.place}
        await self._send("write", values | columns.accounts(plan.accounts.values()))
        if self._shared and plan.receipts:
            await self._shared.receive(plan.movements, plan.receipts)
        await self._write_rest(plan, ordered)

    async def _write_rest(self, plan: Plan, ordered: Sequence[Movement]) -> None:
        """Writes what does not change the accounts of users."""
        if self._searchable and (labels := searches.labels(ordered, self._searchable)):
            await self._send("insert_labels", columns.labels(labels))
        if plan.system_entries:
            await self._write_system_entries(columns.system_entries(plan.system_entries))
        if self._operated:
            await audit.record(self._conn, *operated.events(self._operated, plan.movements))

    async def _write_system_entries(self, values: Mapping[str, object]) -> None:
        await self._send("write_system_entries", values)

    async def _write_details(self, plan: Plan, detailed: Sequence[Movement]) -> None:
        """Writes what only movements with details bring along."""
        await self._claim(detailed)
        if plan.purchases:
            await self._send("insert_purchases", columns.purchases(plan.purchases.values()))
        if follows := plan.follows:
            await self._send("insert_follows", columns.follows(follows))
        if plan.holds:
            await self._send("write_holds", columns.holds(plan.holds.values()))

    async def _claim(self, movements: Sequence[Movement]) -> None:
        """Takes the quotes and external references that movements use."""
        if quoted := [m for m in movements if m.quote_id is not None]:
            await self._send("insert_quote_uses", columns.quote_uses(quoted))
        if referred := sorted(
            (m.reference, m.source, m.principal, m.movement_id)
            for m in movements
            if m.reference is not None and m.source is not None
        ):
            await self._send(
                "insert_references",
                {
                    "reference": arrays.texts(reference for reference, _, _, _ in referred),
                    "source": arrays.texts(source for _, source, _, _ in referred),
                    "principal": arrays.texts(principal for _, _, principal, _ in referred),
                    "movement_id": arrays.uuids(movement_id for _, _, _, movement_id in referred),
                },
            )

    async def _send(
        self, query: str, values: Mapping[str, object] | None = None, *, named: bool = False
    ) -> AsyncCursor:
        """Sends a prepared statement, whose rows are read later.

        Args:
            query: Its name in journal.sql.
            values: Its parameters.
            named: Whether rows are read by their columns' names, which takes longer.
        """
        traces.statement_sent(query)
        cursor = self._conn.cursor(row_factory=namedtuple_row if named else tuple_row)
        await cursor.execute(self.statements[query], values, prepare=True)
        return cursor


async def _rows(cursor: AsyncCursor | None) -> Sequence[Any]:
    return await cursor.fetchall() if cursor else ()


def _intended(command: Command) -> Command:
    """The command itself, or what it holds money for."""
    return command.purpose if isinstance(command, Place) else command


def purchase_keys(commands: Sequence[Command]) -> columns.Columns:
    """What `find_purchases` takes for some commands; nothing if none needs it."""
    purchases = list(filter(None, map(_purchase_key, commands)))
    if not purchases:
        return {}
    return {
        "account_ids": arrays.uuids(account_id for account_id, _ in purchases),
        "service_ids": arrays.uuids(service_id for _, service_id in purchases),
    }


def _purchase_key(command: Command) -> tuple[UUID, UUID] | None:
    """The account and the service of a command that may only be carried out if it has none yet."""
    intended = _intended(command)
    if isinstance(intended, Purchase) and intended.is_for_one:
        return intended.account_id, intended.service_id
    if isinstance(command, Capture) and command.hold.service_id and not command.hold.quantity:
        return command.hold.from_account_id, command.hold.service_id
    return None


def by_purchase(movements: Iterable[Movement]) -> dict[tuple[UUID, UUID], Sequence[Movement]]:
    """Movements by the account and the service that they bought."""
    found: dict[tuple[UUID, UUID], Sequence[Movement]] = {}
    for m in movements:
        if m.service_id:
            bought = m.from_account_id, m.service_id
            found[bought] = (*found.get(bought, ()), m)
    return found


def has_details(movement: Movement) -> bool:
    """Whether a movement has more to say than every one does."""
    return (
        movement.reference is not None
        or movement.service_id is not None
        or movement.original_id is not None
        or movement.expires_at is not None
        or movement.quote_id is not None
        or movement.effective_at is not None
    )


async def movements(conn: AsyncConnection, movement_ids: Iterable[UUID]) -> dict[UUID, Movement]:
    """The movements with these ids that exist, by id."""
    cursor = conn.cursor(row_factory=namedtuple_row)
    await cursor.execute(_SQL["find_movements"], {"movement_ids": arrays.uuids(movement_ids)})
    rows = [_movement(row) for row in await cursor.fetchall()]
    return {movement.movement_id: movement for movement in rows}


async def followed(conn: AsyncConnection, movement: Movement) -> Followed:
    """A movement with what followed it."""
    (found,) = await all_followed(conn, [movement])
    return found


async def all_followed(conn: AsyncConnection, movements: Sequence[Movement]) -> list[Followed]:
    """Movements with what followed each, in the same order."""
    ids_sent = arrays.uuids(movement.movement_id for movement in movements)
    cursor = await conn.execute(_SQL["list_follows"], {"original_ids": ids_sent})
    found = {original_id: (minor, ids) for original_id, minor, ids in await cursor.fetchall()}
    return [Followed(m, *found.get(m.movement_id, (0, ()))) for m in movements]


def _movement(row: Any) -> Movement:  # noqa: ANN401 - a named tuple of the query's columns
    """The movement of a row of `find_movements` or `find_purchases`."""
    rate = None
    if row.rate is not None:
        pair = row.price_currency, row.currency
        currency, target = reversed(pair) if row.kind in BETWEEN_USERS else pair
        rate = Rate(currency, target, Decimal(row.rate), row.rate_source, row.rate_as_of)
    return Movement(
        movement_id=row.movement_id,
        kind=Kind(row.kind),
        from_account_id=row.from_account_id,
        to_account_id=row.to_account_id,
        amount_minor=row.amount_minor,
        currency=row.currency,
        balance_after_minor=row.balance_after_minor,
        principal=row.principal,
        request_id=row.request_id,
        description=row.description,
        metadata=row.metadata or {},
        created_at=row.created_at,
        source=row.source,
        reference=row.reference,
        service_id=row.service_id,
        price_minor=row.price_minor,
        rate=rate,
        original_id=row.original_id,
        whole=bool(row.whole),
        final=bool(row.final),
        expires_at=row.expires_at,
        effective_at=row.effective_at,
        quote_id=row.quote_id,
        quantity=row.quantity,
    )
