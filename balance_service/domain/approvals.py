"""Changes that one person asks for and another approves, and from where on that is needed."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain import errors
from balance_service.domain.accounts import Account
from balance_service.domain.limits import Limits


class ApprovalStatus(enum.IntEnum):
    """What became of a change; the numbers are stored and those of the contract."""

    PENDING = 1
    APPROVED = 2
    REJECTED = 3
    # Not stored: pending, and its time is over.
    EXPIRED = 4


class NewApproval(NamedTuple):
    """A change that waits for approval.

    Args:
        approval_id: Follows from the requester and the request id, where there is one.
        method: The call that asked for it, such as `/balance.v1.AccountService/SetAccountLimit`.
        request: Its message, without the request id.
        requester: The principal who asked.
        target: What would change, as in the audit log.
        before: As it was when it was asked for.
        after: As it would be.
        reason: The requester's words.
        created_at: By Postgres's clock.
        expires_at: From when it can no longer be approved.
    """

    approval_id: UUID
    method: str
    request: bytes
    request_id: UUID | None
    requester: str
    target: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    reason: str
    created_at: datetime
    expires_at: datetime


class Decision(NamedTuple):
    """What was decided, by whom, when, and in which words why.

    Args:
        decider: The principal; empty while nobody has decided.
    """

    status: ApprovalStatus
    decider: str
    decided_at: datetime | None
    reason: str


class Approval(NamedTuple):
    """A change and what was decided about it; nothing yet while it is pending."""

    asked: NewApproval
    decision: Decision

    def status(self, now: datetime) -> ApprovalStatus:
        """What has become of it at a moment."""
        pending = self.decision.status == ApprovalStatus.PENDING
        if pending and now >= self.asked.expires_at:
            return ApprovalStatus.EXPIRED
        return self.decision.status

    def check_decidable(self, principal: str, now: datetime) -> None:
        """Checks that somebody may approve or reject it.

        Raises:
            ApprovalByRequester: They asked for it themselves.
            ApprovalNotPending: It was decided before, or has expired.
        """
        if principal == self.asked.requester:
            raise errors.ApprovalByRequester(str(self.asked.approval_id))
        status = self.status(now)
        if status != ApprovalStatus.PENDING:
            raise errors.ApprovalNotPending(str(self.asked.approval_id), status.name)


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The largest limits that an operator sets alone, in minor units by currency.

    A currency that is not named has no ceiling.

    Args:
        overdraft_minor: How far below zero an account may go.
        debit_minor: What may be debited from it at once.
        daily_minor: What may be debited from it in a day.
    """

    overdraft_minor: Mapping[str, int] = field(default_factory=dict)
    debit_minor: Mapping[str, int] = field(default_factory=dict)
    daily_minor: Mapping[str, int] = field(default_factory=dict)

    def are_exceeded(self, before: Account, after: Account, limits: Limits) -> bool:
        """Whether a change raises a limit above its ceiling; one that lowers it never does.

        Args:
            before: The account as it is.
            after: As it would be.
            limits: The service's, which hold where an account has none of its own.
        """
        limits_set = (
            (self.overdraft_minor, before.limit_minor, after.limit_minor),
            (
                self.debit_minor,
                _in_force(before.debit_limit_minor, limits.debit_minor, before.currency),
                _in_force(after.debit_limit_minor, limits.debit_minor, after.currency),
            ),
            (
                self.daily_minor,
                _in_force(before.daily_limit_minor, limits.daily_minor, before.currency),
                _in_force(after.daily_limit_minor, limits.daily_minor, after.currency),
            ),
        )
        return any(
            _is_raised_above(ceilings.get(after.currency), old, new)
            for ceilings, old, new in limits_set
        )


def _in_force(own: int | None, service: Mapping[str, int], currency: str) -> int | None:
    return service.get(currency) if own is None else own


def _is_raised_above(ceiling: int | None, old: int | None, new: int | None) -> bool:
    """Whether a limit is above a ceiling and above what it was; None is without end."""
    if ceiling is None or old is None:
        return False
    return new is None or new > max(ceiling, old)
