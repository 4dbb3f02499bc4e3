"""ApprovalService: what one operator asked for and another decides."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias
from uuid import UUID

from balance_service._generated.balance.v1 import approval_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors
from balance_service.domain.approvals import Approval, ApprovalStatus
from balance_service.messages import audit_messages, fields, page_bytes, time_places
from balance_service.messages.approvals import Approvals
from balance_service.messages.once import once
from balance_service.messages.page_tokens import PageTokens
from balance_service.repositories import approvals as repository

_Request: TypeAlias = approval_pb2.ApproveChangeRequest | approval_pb2.RejectChangeRequest
_Decide: TypeAlias = Callable[[Connection, UUID, str, Call], Awaitable[Approval]]


class _Decision(NamedTuple):
    approval: UUID
    reason: str


class ApprovalServicer:
    """Lists changes that need a second person, and decides about them.

    Args:
        pool: Where they are kept.
        approvals: Carries out what is approved.
        page_tokens: Signs where a list goes on.
    """

    service = approval_pb2.DESCRIPTOR.services_by_name["ApprovalService"]

    def __init__(self, pool: Pool, approvals: Approvals, page_tokens: PageTokens) -> None:
        self._pool = pool
        self._approvals = approvals
        self._page_tokens = page_tokens

    async def ListApprovals(
        self, request: approval_pb2.ListApprovalsRequest, call: Call
    ) -> approval_pb2.ListApprovalsResponse:
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        skip = checks(fields.skip, request.skip)
        status = checks(_read_status, request.status)
        checks.finish()

        query = (status,)
        place = self._page_tokens.read(query, call, request.page_token)
        after = repository.Place(*time_places.read(place)) if place else None
        async with transaction(self._pool) as conn:
            now = await repository.read_clock(conn)
            listed = await repository.page(conn, status, now, after, size + 1, skip)
            total = await repository.count(conn, status, now) if request.count_total else 0

        shown = page_bytes.fit(listed[:size], _texts)
        answer = approval_pb2.ListApprovalsResponse(
            approvals=[audit_messages.approval(found, now) for found in shown], total_size=total
        )
        if len(listed) > len(shown):
            last = shown[-1].asked
            place = time_places.write(last.created_at, last.approval_id)
            answer.next_page_token = self._page_tokens.write(query, call, place)
        return answer

    async def ApproveChange(
        self, request: approval_pb2.ApproveChangeRequest, call: Call
    ) -> approval_pb2.Approval:
        return await self._decide(self._approvals.approve, request, call)

    async def RejectChange(
        self, request: approval_pb2.RejectChangeRequest, call: Call
    ) -> approval_pb2.Approval:
        return await self._decide(self._approvals.reject, request, call)

    async def _decide(
        self, decide: _Decide, request: _Request, call: Call
    ) -> approval_pb2.Approval:
        async def act(conn: Connection, values: _Decision) -> approval_pb2.Approval:
            decided = await decide(conn, *values, call)
            return audit_messages.approval(decided, decided.asked.created_at)

        return await once(
            self._pool,
            request,
            call,
            read=_read_decision,
            act=act,
            answer_type=approval_pb2.Approval,
        )


def _read_decision(request: _Request) -> _Decision:
    checks = fields.Checks()
    approval_id = checks(fields.identifier, request.approval, "approval")
    reason = checks(fields.text, request, "reason")
    checks.finish()
    return _Decision(approval_id, reason)


def _read_status(value: int) -> ApprovalStatus | None:
    try:
        return ApprovalStatus(value) if value else None
    except ValueError:
        raise errors.invalid("status", "must be a known status of an approval") from None


def _texts(found: Approval) -> list[str]:
    """What people wrote."""
    return [found.asked.reason, found.decision.reason]
