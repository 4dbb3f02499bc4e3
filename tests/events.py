"""The log of events under test: numbered, read and compared with the journal."""

import asyncio
from collections import defaultdict
from uuid import UUID

from balance_service.database.pool import Pool, transaction
from balance_service.domain.events import Event, Place, Wanted
from balance_service.repositories import events, outbox

ALL = Wanted()


async def number_all(pool: Pool) -> None:
    """Numbers what is committed; a service may be about it, too."""
    async with asyncio.timeout(60):
        while True:
            async with transaction(pool) as conn:
                await outbox.number(conn)
                waiting = await (await conn.execute("SELECT FROM outbox")).fetchall()
            if not waiting:
                return
            await asyncio.sleep(0.01)


async def beginning(pool: Pool) -> Place:
    async with pool.connection() as conn:
        return await events.after(conn, 0)


async def read_on(
    pool: Pool, after: Place, wanted: Wanted = ALL, *, reach: int = 50, limit: int = 7
) -> tuple[list[Event], Place]:
    """Everything after a place, page by page, and the place after it."""
    found: list[Event] = []
    while True:
        async with pool.connection() as conn:
            page = await events.page(conn, after, wanted, reach, limit)
        found += page.events
        after = page.end
        if page.end.sequence == page.head:
            return found, after


async def assert_as_journal(pool: Pool, told: list[Event]) -> None:
    """Events are what the journal has: each movement once, each account's entries in order."""
    async with pool.connection() as conn:
        moved = await (await conn.execute("SELECT movement_id FROM movements")).fetchall()
        entered = await (
            await conn.execute(
                "SELECT account_id, sequence, movement_id, balance_after_minor FROM entries"
                " ORDER BY account_id, sequence"
            )
        ).fetchall()
    movement_ids = [event.subject_id for event in told if event.movement]
    assert len(movement_ids) == len(set(movement_ids))
    assert set(movement_ids) == {row[0] for row in moved}
    by_account: dict[UUID, list[tuple[int, UUID, int]]] = defaultdict(list)
    for event in told:
        for left in event.balances:
            row = left.sequence, event.subject_id, left.balance_minor
            by_account[left.account_id].append(row)
    wanted: dict[UUID, list[tuple[int, UUID, int]]] = defaultdict(list)
    for account_id, sequence, movement_id, minor in entered:
        wanted[account_id].append((sequence, movement_id, minor))
    assert by_account == wanted
    numbers = [event.place.sequence for event in told]
    assert numbers == list(range(1, len(numbers) + 1))
