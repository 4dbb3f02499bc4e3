"""The audit log under test: listed, and sealed whatever other tests do on the server meanwhile."""

import asyncio
from typing import Any

from balance_client import v1
from balance_service.database.pool import Pool, transaction
from balance_service.repositories import audit_seals
from tests.service import Person


async def seal_all(pool: Pool) -> None:
    """Seals every event: transactions of all databases hold others up."""
    async with asyncio.timeout(60):
        while True:
            async with transaction(pool) as conn:
                await audit_seals.seal(conn)
            async with pool.connection() as conn:
                waiting = await (await conn.execute("SELECT FROM audit_unsealed")).fetchall()
            if not waiting:
                return
            await asyncio.sleep(0.01)


async def events(admin: Person, **kept: Any) -> list[v1.AuditEvent]:
    """The events that a filter keeps, oldest first."""
    request = v1.ListAuditEventsRequest(
        filter=v1.AuditFilter(**kept), order_by="date", page_size=1000
    )
    return list((await admin.client.audits.ListAuditEvents(request)).events)
