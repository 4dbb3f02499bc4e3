"""Exports the audit log in the order of its chain, a part at a time."""

import json
from collections.abc import Callable

from balance_service.config import Settings
from balance_service.operations.acts import connect
from balance_service.repositories import audit_seals


async def export(settings: Settings, after: int, write: Callable[[str], object]) -> None:
    """Writes sealed events, a line of JSON each.

    Args:
        settings: Name the database.
        after: The sequence of the last event that is left out; 0 to begin with the first.
        write: Takes a line with its end.

    Raises:
        DatabaseUnavailable: Postgres is away.
    """
    async with connect(settings) as connections, connections.connection() as conn:
        async for link in audit_seals.chain(conn, after):
            line = {
                "sequence": link.sequence,
                "hash": link.hash.hex(),
                "event": link.event.facts() if link.event else None,
            }
            write(f"{json.dumps(line, ensure_ascii=False)}\n")
