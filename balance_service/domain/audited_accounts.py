"""What operators change on accounts, for the audit log: it stands beside `account_changes`.

The list of an account's changes is shown to its owner in part, and is no part of the chain; so the
event repeats what was changed, which the chain then protects, and names the change.
"""

from uuid import UUID

from balance_service.domain import money
from balance_service.domain.account_changes import AccountChange, ChangeKind, Rules
from balance_service.domain.audit import Action, Actor, AuditEvent

_ACTIONS = {
    ChangeKind.FREEZE: Action.ACCOUNT_FROZEN,
    ChangeKind.UNFREEZE: Action.ACCOUNT_UNFROZEN,
    ChangeKind.CLOSE: Action.ACCOUNT_CLOSED,
    ChangeKind.REOPEN: Action.ACCOUNT_REOPENED,
    ChangeKind.SET_LIMITS: Action.ACCOUNT_LIMITS_SET,
}


def rules(decided: Rules, currency: str) -> dict[str, str]:
    """What operators decided about an account, as the log has it."""
    minors = {
        "overdraft": decided.limit_minor,
        "debit_limit": decided.debit_limit_minor,
        "daily_limit": decided.daily_limit_minor,
    }
    amounts = {
        name: "" if minor is None else money.format_minor(minor, currency)
        for name, minor in minors.items()
    }
    return {"status": decided.status.name, "currency": currency, **amounts}


def event(
    change: AccountChange, currency: str, actor: Actor, approval: UUID | None = None
) -> AuditEvent:
    """The event of a change.

    Args:
        change: As it was made.
        currency: The account's.
        actor: Who made it: whoever approved it, if that was needed.
        approval: What it was approved by; None for a change that was made alone.
    """
    about = {"change": str(change.change_id)}
    if approval:
        about |= {"approval": str(approval), "requester": change.principal}
    return AuditEvent(
        _ACTIONS[change.kind],
        actor,
        f"account:{change.account_id}",
        rules(change.before, currency),
        rules(change.after, currency) | about,
        change.reason,
    )
