"""The hot path's set-wise statements: lock, look up, write."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import namedtuple_row, tuple_row

from balance_service.domain import ids
from balance_service.domain.accounts import Account
from balance_service.domain.commands import Command, Exchange, Purchase, Settle, Transfer
from balance_service.domain.ledger import Plan, State
from balance_service.domain.movements import Entry, Kind, Movement, SystemEntry
from balance_service.domain.pricing import Rate
from balance_service.repositories import arrays, queries
from balance_service.repositories.accounts import account_of, lock_for_commit

_SQL = queries.load(__file__)


class Journal:
    """The journal within one transaction.

    Args:
        conn: A connection in pipeline mode, within a transaction.
    """

    def __init__(self, conn: AsyncConnection) -> None:
        self._conn = conn

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
        # All are sent before the first answer is waited for. The clock is read after the locks are
        # granted; to send it with find_movements, as one statement, gains nothing measurable.
        account_ids = {account_id for command in commands for account_id in command.account_ids}
        locked = await lock_for_commit(self._conn, account_ids)
        clock = await self._send("read_clock")
        replayed = await self._find_movements(commands, tried)
        bought = await self._find_purchases(commands)
        referred = await self._find_references(commands)
        used = await self._find_quote_uses(commands)
        accounts = [account_of(row) for row in await locked.fetchall()]
        replays = [_movement(row) for row in await _rows(replayed)]
        purchases = [_movement(row) for row in await _rows(bought)]
        state = State(
            accounts={account.account_id: account for account in accounts},
            movements={movement.movement_id: movement for movement in replays},
            purchases={(m.from_account_id, m.service_id): m for m in purchases if m.service_id},
            references={(p, s, r): m for p, s, r, m in await _rows(referred)},
            tried=set(tried),
            quote_uses=dict(await _rows(used)),
        )
        clock_row = await clock.fetchone()
        assert clock_row is not None, "a clock always answers"
        return state, clock_row[0]

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
        purchases = [c for c in commands if isinstance(c, Purchase) and c.is_for_one]
        if not purchases:
            return None
        return await self._send(
            "find_purchases",
            {
                "account_ids": arrays.uuids(c.account_id for c in purchases),
                "service_ids": arrays.uuids(c.service_id for c in purchases),
            },
            named=True,
        )

    async def _find_references(self, commands: Sequence[Command]) -> AsyncCursor | None:
        settlements = [c for c in commands if isinstance(c, Settle) and c.reference]
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

    async def write(self, plan: Plan) -> None:
        """Writes a plan: journal, entries, accounts and what decides the next ones.

        Args:
            plan: With at least one movement; its state was loaded here.
        """
        # In the order of the key, so that commits which claim the same ids meet in one order.
        ordered = sorted(plan.movements, key=lambda movement: movement.movement_id)
        plain = [m for m in ordered if not _has_details(m)]
        if detailed := [m for m in ordered if _has_details(m)]:
            columns = _movement_columns(detailed) | _detail_columns(detailed)
            await self._send("insert_detailed_movements", columns)
            await self._claim(detailed)
        columns = _movement_columns(plain) | _entry_columns(plan.entries)
        await self._send("write", columns | _account_columns(plan.accounts.values()))
        if plan.system_entries:
            await self._send("write_system_entries", _system_columns(plan.system_entries))

    async def _claim(self, movements: Sequence[Movement]) -> None:
        """Takes the keys that may be used once: services bought, quotes and references used."""
        if bought := [m for m in movements if m.service_id is not None and m.quantity is None]:
            await self._send(
                "insert_purchases",
                {
                    "account_id": arrays.uuids(m.from_account_id for m in bought),
                    "service_id": arrays.uuids(m.service_id for m in bought),
                    "movement_id": arrays.uuids(m.movement_id for m in bought),
                },
            )
        if quoted := [m for m in movements if m.quote_id is not None]:
            await self._send(
                "insert_quote_uses",
                {
                    "account_id": arrays.uuids(m.from_account_id for m in quoted),
                    "quote_id": arrays.uuids(m.quote_id for m in quoted),
                    "movement_id": arrays.uuids(m.movement_id for m in quoted),
                },
            )
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
        self, query: str, columns: Mapping[str, object] | None = None, *, named: bool = False
    ) -> AsyncCursor:
        """Sends a prepared statement, whose rows are read later.

        Args:
            query: Its name in journal.sql.
            columns: Its parameters.
            named: Whether rows are read by their columns' names, which takes longer.
        """
        cursor = self._conn.cursor(row_factory=namedtuple_row if named else tuple_row)
        await cursor.execute(_SQL[query], columns, prepare=True)
        return cursor


async def _rows(cursor: AsyncCursor | None) -> Sequence[Any]:
    return await cursor.fetchall() if cursor else ()


async def movements(conn: AsyncConnection, movement_ids: Iterable[UUID]) -> dict[UUID, Movement]:
    """The movements with these ids that exist, by id."""
    cursor = conn.cursor(row_factory=namedtuple_row)
    await cursor.execute(_SQL["find_movements"], {"movement_ids": arrays.uuids(movement_ids)})
    rows = [_movement(row) for row in await cursor.fetchall()]
    return {movement.movement_id: movement for movement in rows}


def _movement(row: Any) -> Movement:  # noqa: ANN401 - a named tuple of the query's columns
    """The movement of a row of `find_movements` or `find_purchases`."""
    rate = None
    if row.rate is not None:
        pair = row.price_currency, row.currency
        currency, target = reversed(pair) if row.quote_id else pair
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
        quote_id=row.quote_id,
        quantity=row.quantity,
    )


def _has_details(movement: Movement) -> bool:
    """Whether a movement says more than a plain transfer does."""
    return (
        movement.reference is not None
        or movement.service_id is not None
        or movement.quote_id is not None
    )


def _movement_columns(movements: Sequence[Movement]) -> dict[str, object]:
    return {
        "movement_id": arrays.uuids(m.movement_id for m in movements),
        "kind": arrays.smallints(m.kind for m in movements),
        "from_account_id": arrays.uuids(m.from_account_id for m in movements),
        "to_account_id": arrays.uuids(m.to_account_id for m in movements),
        "amount_minor": arrays.bigints(m.amount_minor for m in movements),
        "currency": arrays.texts(m.currency for m in movements),
        "balance_after_minor": arrays.bigints(m.balance_after_minor for m in movements),
        "principal": arrays.texts(m.principal for m in movements),
        "request_id": arrays.uuids(m.request_id for m in movements),
        "description": arrays.texts(m.description for m in movements),
        "metadata": arrays.objects(m.metadata for m in movements),
        "created_at": arrays.times(m.created_at for m in movements),
    }


def _detail_columns(movements: Sequence[Movement]) -> dict[str, object]:
    rates = [m.rate for m in movements]
    return {
        "source": arrays.texts(m.source for m in movements),
        "reference": arrays.texts(m.reference for m in movements),
        "service_id": arrays.uuids(m.service_id for m in movements),
        "quantity": arrays.bigints(m.quantity for m in movements),
        "quote_id": arrays.uuids(m.quote_id for m in movements),
        "price_minor": arrays.bigints(m.price_minor for m in movements),
        "price_currency": arrays.texts(m.price_currency for m in movements),
        "rate": _decimals(rate and rate.value for rate in rates),
        "rate_source": arrays.texts(rate and rate.source for rate in rates),
        "rate_as_of": arrays.times(rate and rate.as_of for rate in rates),
    }


def _entry_columns(entries: Sequence[Entry]) -> dict[str, object]:
    return {
        "entry_account_id": arrays.uuids(e.account_id for e in entries),
        "entry_sequence": arrays.bigints(e.sequence for e in entries),
        "entry_movement_id": arrays.uuids(e.movement_id for e in entries),
        "entry_kind": arrays.smallints(e.kind for e in entries),
        "entry_amount_minor": arrays.bigints(e.amount_minor for e in entries),
        "entry_balance_after_minor": arrays.bigints(e.balance_after_minor for e in entries),
        "entry_counterparty_id": arrays.uuids(e.counterparty_id for e in entries),
        "entry_created_at": arrays.times(e.created_at for e in entries),
    }


def _account_columns(accounts: Collection[Account]) -> dict[str, object]:
    return {
        "account_id": arrays.uuids(a.account_id for a in accounts),
        "account_balance_minor": arrays.bigints(a.balance_minor for a in accounts),
        "account_sequence": arrays.bigints(a.sequence for a in accounts),
        "account_changed_at": arrays.times(a.changed_at for a in accounts),
    }


def _system_columns(entries: Sequence[SystemEntry]) -> dict[str, object]:
    sums: dict[UUID, int] = defaultdict(int)
    counts: dict[UUID, int] = defaultdict(int)
    for entry in entries:
        sums[entry.account_id] += entry.amount_minor
        counts[entry.account_id] += 1
    return {
        "movement_id": arrays.uuids(e.movement_id for e in entries),
        "account_id": arrays.uuids(e.account_id for e in entries),
        "amount_minor": arrays.bigints(e.amount_minor for e in entries),
        "created_at": arrays.times(e.created_at for e in entries),
        "delta_account_id": arrays.uuids(sums),
        "delta_id": arrays.uuids(ids.new_id() for _ in sums),
        "delta_amount_minor": _decimals(sums.values()),
        "delta_entries": arrays.bigints(counts.values()),
    }


def _decimals(values: Iterable[Decimal | int | None]) -> str:
    """A column of exact numbers, as text: few statements have one, and their form is intricate."""
    return "{" + ",".join(map(_exact, values)) + "}"


def _exact(value: Decimal | int | None) -> str:
    if value is None:
        return "NULL"
    # Formatted as a Decimal is, a whole number would become a float on the way.
    return str(value) if isinstance(value, int) else f"{value:f}"
