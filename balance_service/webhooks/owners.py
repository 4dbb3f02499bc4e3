"""What the owner of an endpoint may do now, whatever they might when it was made."""

from uuid import UUID

from balance_service.calls.access import TABLE, Condition
from balance_service.database.pool import Connection
from balance_service.domain import errors
from balance_service.domain.principals import OPERATOR, Principal
from balance_service.domain.users import Role
from balance_service.repositories import users, webhook_endpoints


def hears_all(principal: Principal) -> bool:
    """Whether somebody may list all events."""
    try:
        return TABLE["ListEvents"].admit(principal) is Condition.ALWAYS
    except errors.PermissionMissing:
        return False


async def may_listen(conn: Connection, owner: str, *, second_factor_required: bool) -> bool:
    """Whether the owner of an endpoint may still list all events.

    Args:
        conn: Any connection.
        owner: A principal's name.
        second_factor_required: Whether moderators and admins without a second factor are users.
    """
    kind, _, name = owner.partition(":")
    if kind == OPERATOR:
        return True
    if kind == "service":
        scopes = await webhook_endpoints.scopes(conn, name)
        return hears_all(Principal(owner, None, None, scopes))
    try:
        user = await users.get(conn, UUID(name))
    except errors.UserNotFound:
        return False
    role = user.role if user.second_factor or not second_factor_required else Role.USER
    return user.disabled_at is None and hears_all(Principal(owner, user.user_id, role))
