"""Shows the audit log: lists events at the desk, and exports them in the order of their chain."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from balance_service._generated.balance.v1 import audit_pb2
from balance_service.config import Settings
from balance_service.operations.acts import connect
from balance_service.operations.desk import Desk
from balance_service.repositories import audit_seals


class Wanted(NamedTuple):
    """Which events are listed; empty or None does not limit."""

    actor: str = ""
    target: str = ""
    action: str = ""
    since: datetime | None = None
    until: datetime | None = None


async def list_events(desk: Desk, wanted: Wanted, limit: int) -> list[audit_pb2.AuditEvent]:
    """Events, the newest first."""
    kept = audit_pb2.AuditFilter(actor=wanted.actor, target=wanted.target, action=wanted.action)
    if wanted.since:
        kept.start_time.FromDatetime(wanted.since)
    if wanted.until:
        kept.end_time.FromDatetime(wanted.until)
    request = audit_pb2.ListAuditEventsRequest(filter=kept)
    return await desk.list(request, audit_pb2.ListAuditEventsResponse, "events", limit)


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
