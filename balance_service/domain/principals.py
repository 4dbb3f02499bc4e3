"""Who calls: a user or a sibling service, and what they may do."""

import enum
import re
from dataclasses import dataclass
from uuid import UUID

from balance_service.domain import errors
from balance_service.domain.users import Role


class Scope(enum.StrEnum):
    """What a sibling service may be allowed."""

    ACCOUNTS_READ = "accounts:read"
    ACCOUNTS_WRITE = "accounts:write"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    EVENTS_READ = "events:read"
    WEBHOOKS_WRITE = "webhooks:write"
    REPORTS_READ = "reports:read"
    DEPOSITS_WRITE = "deposits:write"
    WITHDRAWALS_WRITE = "withdrawals:write"
    PURCHASES_WRITE = "purchases:write"
    TRANSFERS_WRITE = "transfers:write"
    HOLDS_WRITE = "holds:write"
    DEPOSITS_REVERSE = "deposits:reverse"
    WITHDRAWALS_REVERSE = "withdrawals:reverse"
    PURCHASES_REFUND = "purchases:refund"
    TRANSFERS_REVERSE = "transfers:reverse"
    EXCHANGES_WRITE = "exchanges:write"
    EXCHANGES_REVERSE = "exchanges:reverse"


# What stands before the login of an operator at the command line.
OPERATOR = "operator"

_CLIENT_ID = re.compile(r"[a-z][a-z0-9-]{1,39}", re.ASCII)


def parse_client_id(value: str) -> str:
    """Reads the id of a sibling service that is to be added.

    Raises:
        InvalidFields: It is malformed.
    """
    if not _CLIENT_ID.fullmatch(value):
        rule = 'must be 2 to 40 characters of a-z, 0-9 and "-", and start with a letter'
        raise errors.invalid("client_id", rule)
    return value


def shown_name(name: str) -> str:
    """A principal's name as statements show it: an operator's login is nobody else's business."""
    return OPERATOR if name.startswith(f"{OPERATOR}:") else name


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose token was verified, or whom the machine vouches for.

    Args:
        name: `user:<id>`, `service:<client id>`, or `operator:<login>` at the command line; the
            scope of its request ids.
        user_id: The user's id; None for a service, and for an operator at the command line.
        role: The user's role; None for a service. Such an operator has that of an admin.
        scopes: What a service may do; empty for a user.
        session_id: The user's sign-in, or the secret or certificate that a service signed in by:
            the token ends with it. None for a token of an earlier version's service.
    """

    name: str
    user_id: UUID | None
    role: Role | None
    scopes: frozenset[str] = frozenset()
    session_id: UUID | None = None

    def require_user(self) -> UUID:
        """The caller's user id.

        Raises:
            PermissionMissing: The caller is a service.
        """
        if self.user_id is None:
            raise errors.PermissionMissing(required="a user's token")
        return self.user_id

    def require_admin(self) -> None:
        """Raises PermissionMissing unless the caller is an admin."""
        if self.role != Role.ADMIN:
            raise errors.PermissionMissing(required="role admin")

    @property
    def reads_all(self) -> bool:
        """Whether the caller may read every account."""
        return self.role in (Role.MODERATOR, Role.ADMIN) or Scope.ACCOUNTS_READ in self.scopes
