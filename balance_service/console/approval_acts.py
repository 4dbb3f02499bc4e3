"""What a second admin does with a change that waits: approve or reject it."""

from collections.abc import Sequence

import grpc

from balance_service._generated.balance.v1 import approval_pb2
from balance_service.console import approvals
from balance_service.console.act_kinds import REASON, Act, Change, Order, Subject, asking
from balance_service.console.calls import Refused
from balance_service.console.rendering import moment, value_label
from balance_service.console.visits import Visit


async def _subject(visit: Visit, target: str) -> Subject:
    waiting = await approvals.find(visit, target)
    if waiting is None:
        text = visit.text("problem.no_approval")
        raise Refused(grpc.StatusCode.NOT_FOUND, "APPROVAL_NOT_FOUND", text)
    return Subject(
        [
            ("asked_for", waiting.method),
            ("target", waiting.target),
            ("requester", waiting.requester),
            ("why", waiting.reason),
            ("date", moment(waiting.date)),
            ("status", value_label("approval_status", waiting.status, visit.language)),
        ],
    )


async def _changes(_: Visit, __: Order, answer: approval_pb2.Approval) -> Sequence[Change]:
    approved = answer.status == approval_pb2.APPROVAL_STATUS_APPROVED
    names = sorted({*answer.before, *answer.after})
    return [
        Change(
            name,
            answer.before.get(name, ""),
            (answer.after if approved else answer.before).get(name, ""),
        )
        for name in names
    ]


ACTS = (
    Act(
        name="approve-change",
        fields=(REASON,),
        subject=_subject,
        method=lambda service: service.approvals.ApproveChange,
        request=asking(approval_pb2.ApproveChangeRequest, "approval"),
        changes=_changes,
        path=lambda _: approvals.PATH,
    ),
    Act(
        name="reject-change",
        fields=(REASON,),
        subject=_subject,
        method=lambda service: service.approvals.RejectChange,
        request=asking(approval_pb2.RejectChangeRequest, "approval"),
        changes=_changes,
        path=lambda _: approvals.PATH,
        is_danger=True,
    ),
)
