"""The chain of the audit log: events are sealed once nothing can come before them any more.

An act takes no lock for the chain. What it recorded waits with the id of its transaction until
every transaction that began earlier has ended, which Postgres's snapshots tell.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from psycopg import AsyncConnection

from balance_service.domain.audit import CHAIN_START, RecordedEvent, chain_hash
from balance_service.repositories import queries
from balance_service.repositories.audit import event_of

_SQL = queries.load(__file__)

CHECKS = {
    "audit_events_are_sealed": "every event of the audit log is sealed, or about to be",
    "audit_chain_holds": "every sealed event is as it was sealed, and none is missing",
}
SEALED_AT_ONCE_MAX = 1_000
# How long workers may take to seal what is ripe: they look every few seconds.
OVERDUE_AFTER = timedelta(minutes=5)
_LOCK = 0x61756469740A  # "audit"


class Head(NamedTuple):
    """The last link of the chain; 0 of an empty one.

    Args:
        sequence: Its number.
        hash: Its hash.
        sealed: The events that were sealed just now, up to this link.
    """

    sequence: int = 0
    hash: bytes = CHAIN_START
    sealed: Sequence[RecordedEvent] = ()


class Link(NamedTuple):
    """A link of the chain and what it seals; None where that is gone."""

    sequence: int
    hash: bytes
    event_id: object
    event: RecordedEvent | None


async def seal(conn: AsyncConnection) -> Head | None:
    """Seals what is ripe, at most SEALED_AT_ONCE_MAX events.

    Args:
        conn: Within a transaction at READ COMMITTED.

    Returns:
        The chain's new head; None if nothing was sealed, or another transaction is sealing.
    """
    locked = await (await conn.execute(_SQL["lock"], {"lock": _LOCK})).fetchone()
    if locked is None or not locked[0]:
        return None
    taken = await conn.execute(_SQL["take"], {"limit": SEALED_AT_ONCE_MAX})
    events = [event_of(row) for row in await taken.fetchall()]
    if not events:
        return None
    sequence, link, _ = await head(conn)
    links = []
    for event in events:
        link = chain_hash(link, event)
        links.append(link)
    numbers = list(range(sequence + 1, sequence + 1 + len(links)))
    values = {
        "numbers": numbers,
        "event_ids": [event.event_id for event in events],
        "links": links,
    }
    await conn.execute(_SQL["insert"], values)
    return Head(numbers[-1], link, events)


async def head(conn: AsyncConnection) -> Head:
    """The chain's last link."""
    row = await (await conn.execute(_SQL["head"])).fetchone()
    return Head(row[0], bytes(row[1])) if row else Head()


async def chain(conn: AsyncConnection, after: int = 0) -> AsyncIterator[Link]:
    """The chain from its beginning, or after a sequence; a part at a time."""
    rows: list[Any] = [None]
    while rows:
        values = {"after": after, "limit": SEALED_AT_ONCE_MAX}
        rows = await (await conn.execute(_SQL["chain"], values)).fetchall()
        for *event, sequence, link, event_id in rows:
            found = event_of([*event, sequence, link]) if event[0] else None
            yield Link(sequence, bytes(link), event_id, found)
            after = sequence


async def find_faults(
    conn: AsyncConnection, faults_max: int
) -> dict[str, list[tuple[str, object, object]]]:
    """What is wrong with the log, by check: what it is about, what is stored, what should be.

    Args:
        conn: Within a transaction.
        faults_max: How many at most, of each check; the first are named.
    """
    values = {"limit": faults_max, "overdue_after": OVERDUE_AFTER}
    cursor = await conn.execute(_SQL["audit_events_are_sealed"], values)
    unsealed = [(f"event {row[0]}", row[1], row[2]) for row in await cursor.fetchall()]
    return {
        "audit_events_are_sealed": unsealed,
        "audit_chain_holds": [fault async for fault in _broken_links(conn, faults_max)],
    }


async def _broken_links(
    conn: AsyncConnection, faults_max: int
) -> AsyncIterator[tuple[str, object, object]]:
    last = Head()
    found = 0
    async for link in chain(conn):
        subject = f"event {link.event_id}, number {link.sequence}"
        expected = chain_hash(last.hash, link.event) if link.event else b""
        fault: tuple[str, object, object] | None = None
        if link.sequence != last.sequence + 1:
            fault = (subject, link.sequence, last.sequence + 1)
        elif link.event is None:
            fault = (subject, "not there", "an event")
        elif link.hash != expected:
            fault = (subject, link.hash.hex(), expected.hex())
        if fault:
            yield fault
            found += 1
            if found == faults_max:
                return
        # The next is judged by this one as it is stored, so that one edit is one fault.
        last = Head(link.sequence, link.hash)
