"""The audit log: who did what to whom, from where and why, in a chain that shows changes.

An event has ids and no personal data: it can never be erased. E-mail addresses are shortened, names
and texts of profiles are left out, and secrets, codes and tokens are in none.
"""

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

# The hash before the first event's.
CHAIN_START = bytes(hashlib.sha256().digest_size)


class Action(enum.StrEnum):
    """What was done; stored and in the contract as it is here, and never renamed."""

    SIGNED_IN = "session.started"
    SIGN_IN_REFUSED = "session.refused"
    REFRESH_TOKEN_REUSED = "session.refresh_token_reused"  # noqa: S105 - no password
    SESSION_ENDED = "session.ended"
    SESSIONS_ENDED = "session.all_ended"
    SECOND_FACTOR_ENROLLED = "second_factor.enrolled"
    SECOND_FACTOR_REMOVED = "second_factor.removed"
    SECOND_FACTOR_RESET = "second_factor.reset"
    EMAIL_CHANGED = "user.email_changed"
    USER_UPDATED = "user.updated"
    ROLE_CHANGED = "user.role_changed"
    USER_CREATED = "user.created"
    USER_EXPORTED = "user.exported"
    USER_ERASED = "user.erased"
    USER_EXTERNAL_ID_SET = "user.external_id_set"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    ACCOUNT_OPENED = "account.opened"
    ACCOUNT_EXTERNAL_ID_SET = "account.external_id_set"
    ACCOUNT_FROZEN = "account.frozen"
    ACCOUNT_UNFROZEN = "account.unfrozen"
    ACCOUNT_CLOSED = "account.closed"
    ACCOUNT_REOPENED = "account.reopened"
    ACCOUNT_LIMITS_SET = "account.limits_set"
    ACCOUNT_SUB_ACCOUNTS_SET = "account.sub_accounts_set"
    MOVEMENT_REVERSED = "movement.reversed"
    HOLD_VOIDED = "hold.voided"
    SERVICE_CREATED = "catalogue.service_created"
    SERVICE_UPDATED = "catalogue.service_updated"
    SERVICE_DELETED = "catalogue.service_deleted"
    WEBHOOK_ENDPOINT_CREATED = "webhook_endpoint.created"
    WEBHOOK_ENDPOINT_UPDATED = "webhook_endpoint.updated"
    WEBHOOK_ENDPOINT_DELETED = "webhook_endpoint.deleted"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint.disabled"
    WEBHOOK_SECRET_ROTATED = "webhook_endpoint.secret_rotated"  # noqa: S105 - no password
    WEBHOOK_TESTED = "webhook_endpoint.tested"
    WEBHOOK_REDELIVERED = "webhook_endpoint.event_redelivered"
    WEBHOOK_REPLAYED = "webhook_endpoint.events_replayed"
    SCHEDULE_PAUSED = "schedule.paused"
    SCHEDULE_RESUMED = "schedule.resumed"
    SCHEDULE_CANCELLED = "schedule.cancelled"
    APPROVAL_REQUESTED = "approval.requested"
    APPROVAL_GIVEN = "approval.given"
    APPROVAL_REJECTED = "approval.rejected"
    PRINCIPAL_CREATED = "principal.created"
    PRINCIPAL_REVOKED = "principal.revoked"
    PRINCIPAL_SECRET_ADDED = "principal.secret_added"  # noqa: S105 - no password
    PRINCIPAL_SECRET_REVOKED = "principal.secret_revoked"  # noqa: S105 - no password
    PRINCIPAL_CERTIFICATE_BOUND = "principal.certificate_bound"
    PRINCIPAL_CERTIFICATE_UNBOUND = "principal.certificate_unbound"
    KEY_ROTATED = "key.rotated"
    KEY_RETIRED = "key.retired"
    KEY_REVOKED = "key.revoked"
    SECRET_RESEALED = "secret.resealed"  # noqa: S105 - no password
    LEDGER_VERIFIED = "ledger.verified"
    ENTRIES_ARCHIVED = "entries.archived"
    ENTRIES_RESTORED = "entries.restored"


class Actor(NamedTuple):
    """Who acts, and by which call.

    Args:
        principal: `user:<id>`, `service:<client id>` or `operator:<login>`; empty for nobody known.
        session_id: The user's sign-in; None for others.
        network: Where the call came from, as `networks.caller_network` has it; empty at the command
            line.
        request_id: The call's name in logs and errors; empty at the command line.
    """

    principal: str = ""
    session_id: UUID | None = None
    network: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What is to be recorded.

    Args:
        action: What was done, or tried.
        actor: By whom.
        target: To what: a kind and an id, such as `user:<id>` or `account:<id>`; may be empty.
        before: What was changed, as it was: texts by name.
        after: As it is since.
        reason: The actor's words; may be empty.
        refusal: Why it was refused, a reason of the contract; empty if it was done.
    """

    action: Action
    actor: Actor
    target: str
    before: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    refusal: str = ""


class RecordedEvent(NamedTuple):
    """An event as it is stored.

    Args:
        event_id: Its id.
        created_at: When, by Postgres's clock.
        action: As text: a later version may know more.
        sequence: Its place in the chain; None until it is sealed.
        hash: Its link of the chain; None until it is sealed.
    """

    event_id: UUID
    created_at: datetime
    action: str
    refusal: str
    actor: Actor
    target: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    reason: str
    sequence: int | None = None
    hash: bytes | None = None

    @property
    def is_privileged(self) -> bool:
        """Whether somebody known acted on something else than themselves."""
        return self.actor.principal not in {"", self.target}

    def facts(self) -> dict[str, object]:
        """All that the hash covers, as it is exported."""
        return {
            "id": str(self.event_id),
            "time": self.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
            "action": self.action,
            "refusal": self.refusal,
            "actor": self.actor.principal,
            "session": str(self.actor.session_id or ""),
            "network": self.actor.network,
            "request_id": self.actor.request_id,
            "target": self.target,
            "before": self.before,
            "after": self.after,
            "reason": self.reason,
        }


def chain_hash(previous: bytes, event: RecordedEvent) -> bytes:
    """An event's link of the chain: SHA-256 of the link before it and the event's facts as JSON.

    The JSON is UTF-8 with sorted keys, without spaces, and with nothing escaped that need not be.
    """
    text = json.dumps(event.facts(), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(previous + text.encode()).digest()


def yes_or_no(*, value: bool) -> str:
    """A truth value as the log has it."""
    return "yes" if value else "no"


def shorten_email(email: str) -> str:
    """An address as the log may show it: its first character and its domain."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}***@{domain}"
