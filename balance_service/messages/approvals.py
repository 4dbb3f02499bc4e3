"""The two-person rule: what one operator may not do alone waits until another approves it.

An act that finds it may not be done alone raises NeedsApproval, which rolls it back; what was asked
is then kept, and the caller is refused with the id of the approval. On approval the act is carried
out again, in the transaction of the approval, by whoever registered its method.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from google.protobuf.message import Message

from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors, ids
from balance_service.domain.approvals import Approval, ApprovalStatus, Decision, NewApproval
from balance_service.domain.audit import Action, Actor, AuditEvent
from balance_service.messages import fields
from balance_service.messages.once import differing_fields, without_id
from balance_service.repositories import approvals, audit, idempotency

# How long a change may be approved.
LIFE = timedelta(days=3)

# Carries out what was asked, and answers it as the call would have been.
CarryOut: TypeAlias = Callable[[Connection, NewApproval, Actor], Awaitable[Message]]


class NeedsApproval(Exception):  # noqa: N818 - it is what it says
    """What is asked may not be done alone; nothing was changed.

    Args:
        target: What would change, as in the audit log.
        before: As it is.
        after: As it would be.
        reason: The caller's words.
    """

    def __init__(
        self, target: str, before: Mapping[str, str], after: Mapping[str, str], reason: str
    ) -> None:
        super().__init__(target)
        self.target = target
        self.before = before
        self.after = after
        self.reason = reason


class Approvals:
    """Keeps what waits for approval, and carries it out.

    Args:
        pool: Where it is kept.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._acts: dict[str, CarryOut] = {}

    def register(self, method: str, carry_out: CarryOut) -> None:
        """Says how what a method asks for is carried out once it is approved."""
        self._acts[method] = carry_out

    @asynccontextmanager
    async def kept(
        self, request: Message, call: Call, read: Callable[[Any], Any]
    ) -> AsyncIterator[None]:
        """Keeps a request whose act raises NeedsApproval within.

        Args:
            request: With a request id or without.
            call: Who asks.
            read: As of `once`.

        Raises:
            ApprovalRequired: It is kept, or was before; with `validate_only`, it would be.
            IdempotencyKeyReused: Another request of this id is kept.
        """
        try:
            yield
        except NeedsApproval as needed:
            raise await self._keep(request, call, needed, read) from None

    async def _keep(
        self,
        request: Message,
        call: Call,
        needed: NeedsApproval,
        read: Callable[[Any], Any],
    ) -> errors.Refusal:
        if getattr(request, "validate_only"):  # noqa: B009 - any such message has one, and an id
            expires_at = datetime.now(UTC) + LIFE
            return errors.ApprovalRequired("", ApprovalStatus.PENDING.name, expires_at)
        sent_id: str = getattr(request, "request_id")  # noqa: B009
        principal, request_id = call.principal.name, fields.request_id(sent_id)
        derived = request_id and ids.derived_id(f"approvals {principal}", request_id)
        async with transaction(self._pool) as conn:
            now = await approvals.read_clock(conn)
            asked = NewApproval(
                approval_id=derived or ids.dated_id(now),
                method=call.method,
                request=without_id(request),
                request_id=request_id,
                requester=principal,
                target=needed.target,
                before=needed.before,
                after=needed.after,
                reason=needed.reason,
                created_at=now,
                expires_at=now + LIFE,
            )
            if await approvals.insert(conn, asked):
                await audit.record(
                    conn, _event(Action.APPROVAL_REQUESTED, asked, call.actor, asked.reason)
                )
            found = await approvals.lock(conn, asked.approval_id)
            assert found is not None, "just inserted, if it was not there before"
        earlier = found.asked
        if earlier.method != call.method:
            return errors.IdempotencyKeyReused(sent_id, ("method",))
        earlier_request = type(request).FromString(earlier.request)
        if names := differing_fields(request, read(request), earlier_request, read):
            return errors.IdempotencyKeyReused(sent_id, tuple(names))
        status = found.status(now).name
        return errors.ApprovalRequired(str(earlier.approval_id), status, earlier.expires_at)

    async def approve(
        self, conn: Connection, approval_id: UUID, reason: str, call: Call
    ) -> Approval:
        """Approves a change and carries it out.

        Its requester's request id is then used up: whoever repeats the call hears its answer.

        Raises:
            ApprovalNotFound, ApprovalByRequester, ApprovalNotPending: It cannot be approved.
            Refusal: The change cannot be made any more, and stays pending.
        """
        asked, now = await self._decidable(conn, approval_id, call)
        answer = await self._acts[asked.method](conn, asked, call.actor)
        if asked.request_id:
            key = conn, asked.requester, asked.request_id
            asked_as = asked.method, asked.request, datetime.now(UTC)
            # Unless its requester has used it for something else meanwhile.
            if await idempotency.claim(*key, *asked_as) is None:
                await idempotency.answer(*key, answer.SerializeToString())
        decision = Decision(ApprovalStatus.APPROVED, call.principal.name, now, reason)
        return await self._decide(conn, asked, decision, Action.APPROVAL_GIVEN, call)

    async def reject(
        self, conn: Connection, approval_id: UUID, reason: str, call: Call
    ) -> Approval:
        """Rejects a change; raises as `approve` does, but for what the change itself raises."""
        asked, now = await self._decidable(conn, approval_id, call)
        decision = Decision(ApprovalStatus.REJECTED, call.principal.name, now, reason)
        return await self._decide(conn, asked, decision, Action.APPROVAL_REJECTED, call)

    async def _decidable(
        self, conn: Connection, approval_id: UUID, call: Call
    ) -> tuple[NewApproval, datetime]:
        found = await approvals.lock(conn, approval_id)
        if found is None:
            raise errors.ApprovalNotFound(str(approval_id))
        now = await approvals.read_clock(conn)
        found.check_decidable(call.principal.name, now)
        return found.asked, now

    async def _decide(
        self, conn: Connection, asked: NewApproval, decision: Decision, action: Action, call: Call
    ) -> Approval:
        await approvals.decide(conn, asked.approval_id, decision)
        await audit.record(conn, _event(action, asked, call.actor, decision.reason))
        return Approval(asked, decision)


def _event(action: Action, asked: NewApproval, actor: Actor, reason: str) -> AuditEvent:
    """What is told of an approval; its change has an event of its own once it is made."""
    target = f"approval:{asked.approval_id}"
    about = {"method": asked.method.rpartition("/")[2], "target": asked.target}
    if action != Action.APPROVAL_REQUESTED:
        about["requester"] = asked.requester
    return AuditEvent(action, actor, target, asked.before, {**asked.after, **about}, reason)
