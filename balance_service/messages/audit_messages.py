"""The audit log and approvals as messages of the contract."""

from datetime import datetime

from balance_service._generated.balance.v1 import approval_pb2, audit_pb2
from balance_service.domain.approvals import Approval
from balance_service.domain.audit import RecordedEvent
from balance_service.messages.convert import timestamp


def event(recorded: RecordedEvent) -> audit_pb2.AuditEvent:
    actor, refused = recorded.actor, bool(recorded.refusal)
    return audit_pb2.AuditEvent(
        id=str(recorded.event_id),
        date=timestamp(recorded.created_at),
        action=recorded.action,
        outcome=audit_pb2.AUDIT_OUTCOME_REFUSED if refused else audit_pb2.AUDIT_OUTCOME_DONE,
        refusal=recorded.refusal,
        actor=actor.principal,
        session=str(actor.session_id or ""),
        network=actor.network,
        request_id=actor.request_id,
        target=recorded.target,
        before=recorded.before,
        after=recorded.after,
        reason=recorded.reason,
        sequence=recorded.sequence or 0,
        hash=recorded.hash.hex() if recorded.hash else "",
    )


def approval(found: Approval, now: datetime) -> approval_pb2.Approval:
    """A change and what has become of it.

    Args:
        found: The change.
        now: Decides whether it has expired.
    """
    asked, decision = found
    return approval_pb2.Approval(
        id=str(asked.approval_id),
        status=approval_pb2.ApprovalStatus.ValueType(found.status(now)),
        method=asked.method.rpartition("/")[2],
        target=asked.target,
        before=asked.before,
        after=asked.after,
        requester=asked.requester,
        reason=asked.reason,
        date=timestamp(asked.created_at),
        expire_time=timestamp(asked.expires_at),
        decider=decision.decider,
        decision_reason=decision.reason,
        decide_time=timestamp(decision.decided_at) if decision.decided_at else None,
    )
