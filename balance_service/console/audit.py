"""The page of the audit log: who did what to whom, from where and why."""

from starlette.responses import Response

from balance_service._generated.balance.v1 import audit_pb2
from balance_service.console import queries
from balance_service.console.visits import Visit
from balance_service.domain.audit import Action

PAGE_SIZE = 25


async def show(visit: Visit) -> Response:
    """The events, newest first, with filters."""
    asked = visit.query
    request = audit_pb2.ListAuditEventsRequest(
        page_size=PAGE_SIZE,
        page_token=asked.get("page", ""),
        filter=audit_pb2.AuditFilter(
            start_time=queries.start_of(asked.get("from", "")),
            end_time=queries.end_of(asked.get("to", "")),
            actor=asked.get("actor", ""),
            target=asked.get("target", ""),
            action=asked.get("action", ""),
        ),
    )
    listed = await visit.ask(visit.service.audits.ListAuditEvents, request)
    return visit.page(
        "audit.html",
        events=listed.events,
        actions=[action.value for action in Action],
        asked=asked,
        next_page=listed.next_page_token,
    )
