"""The page of what one admin asked for and another decides about."""

from starlette.responses import Response

from balance_service._generated.balance.v1 import approval_pb2
from balance_service.console import queries
from balance_service.console.visits import Visit

PATH = "/approvals"
PAGE_SIZE = 25
# How many are looked through for one by its id, newest first: the contract lists them alone.
SOUGHT_MAX = 1000


async def show(visit: Visit) -> Response:
    """The changes that wait, or what became of others."""
    asked = visit.query
    status = queries.enum_value("approval_status", asked.get("status", "pending"))
    request = approval_pb2.ListApprovalsRequest(
        status=approval_pb2.ApprovalStatus.ValueType(status),
        page_size=PAGE_SIZE,
        page_token=asked.get("page", ""),
    )
    listed = await visit.ask(visit.service.approvals.ListApprovals, request)
    return visit.page(
        "approvals.html",
        approvals=listed.approvals,
        asked={"status": "pending", **asked},
        own=f"user:{visit.operator.user}",
        next_page=listed.next_page_token,
    )


async def find(visit: Visit, approval: str) -> approval_pb2.Approval | None:
    """A change by its id, of the latest SOUGHT_MAX; None if it is none of them."""
    request = approval_pb2.ListApprovalsRequest(page_size=SOUGHT_MAX)
    listed = await visit.ask(visit.service.approvals.ListApprovals, request)
    return next((waiting for waiting in listed.approvals if waiting.id == approval), None)
