"""What operators do with users, at the desk."""

from collections.abc import AsyncIterator

from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from balance_service._generated.balance.v1 import account_pb2, user_pb2
from balance_service.domain.paging import PAGE_SIZE_MAX
from balance_service.operations import accounts
from balance_service.operations.desk import Desk


async def find(desk: Desk, text: str, limit: int) -> list[user_pb2.User]:
    """The users whose address contains a text, if that has an @; or else their name or username."""
    by_name = user_pb2.ListUsersRequest(name=text), user_pb2.ListUsersRequest(search=text)
    found: dict[str, user_pb2.User] = {}
    for request in [user_pb2.ListUsersRequest(email=text)] if "@" in text else by_name:
        listed = await desk.list(request, user_pb2.ListUsersResponse, "users", limit)
        found |= {user.id: user for user in listed}
    return list(found.values())[:limit]


async def list_all(
    desk: Desk, role: str, limit: int, *, disabled: bool | None = None
) -> list[user_pb2.User]:
    """Users by username.

    Args:
        desk: Where they are asked for.
        role: Keeps those with it; empty for all.
        limit: How many at most.
        disabled: Keeps those who are disabled, or those who are not; None for all.
    """
    request = user_pb2.ListUsersRequest(disabled=disabled)
    if role:
        request.role = user_pb2.Role.Value(f"ROLE_{role.upper()}")
    return await desk.list(request, user_pb2.ListUsersResponse, "users", limit)


async def show(desk: Desk, name: str) -> tuple[user_pb2.User, list[account_pb2.Account]]:
    """A user and their accounts."""
    user = await desk.user(name)
    return user, await accounts.of_user(desk, user.id)


async def disable(
    desk: Desk, name: str, freeze_reason: str
) -> tuple[user_pb2.User, list[account_pb2.Account]]:
    """Keeps a user from signing in and ends their sign-ins; then freezes their accounts if asked.

    Args:
        desk: Where that is done, each step in a transaction of its own.
        name: The user.
        freeze_reason: Why their accounts are frozen; empty if they are not to be.

    Returns:
        The user, and the accounts as they are since.
    """
    user = await desk.user(name)
    disabled = await desk.ask(user_pb2.DisableUserRequest(user=user.id), user_pb2.User)
    owned = await accounts.of_user(desk, user.id)
    if freeze_reason:
        owned = [
            account
            if account.status == account_pb2.ACCOUNT_STATUS_CLOSED
            else await accounts.freeze(desk, account.id, freeze_reason)
            for account in owned
        ]
    return disabled, owned


async def enable(desk: Desk, name: str) -> user_pb2.User:
    """Lets a user sign in again."""
    user = await desk.user(name)
    return await desk.ask(user_pb2.EnableUserRequest(user=user.id), user_pb2.User)


async def end_sessions(desk: Desk, name: str) -> user_pb2.User:
    """Ends a user's sign-ins; they may sign in anew."""
    user = await desk.user(name)
    await desk.ask(user_pb2.EndUserSessionsRequest(user=user.id), Empty)
    return user


async def erase(desk: Desk, name: str, reason: str) -> user_pb2.User:
    """Erases a user, for good."""
    user = await desk.user(name)
    request = user_pb2.EraseUserRequest(user=user.id, reason=reason)
    return await desk.ask(request, user_pb2.User)


async def export(desk: Desk, name: str) -> AsyncIterator[tuple[str, Message]]:
    """All that is kept on a user, one after the other: what it is, and its message."""
    user = await desk.user(name)
    request = user_pb2.ExportUserRequest(user=user.id, page_size=PAGE_SIZE_MAX)
    while True:
        page = await desk.ask(request, user_pb2.ExportUserResponse)
        if not request.page_token:
            yield "profile", page.profile
        for session in page.sessions:
            yield "session", session
        for account in page.accounts:
            yield "account", account
        for entry in page.entries:
            yield "entry", entry
        if page.HasField("archived_before"):
            yield "archived", user_pb2.ExportUserResponse(archived_before=page.archived_before)
        request.page_token = page.next_page_token
        if not request.page_token:
            return


async def revoke_admin(desk: Desk, name: str) -> user_pb2.User:
    """Makes an admin a plain user, whose sign-ins end."""
    user = await desk.user(name)
    if user.role != user_pb2.ROLE_ADMIN:
        raise ValueError(f"{user.email or user.username} is no admin")
    changed = user_pb2.User(role=user_pb2.ROLE_USER, etag=user.etag)
    mask = FieldMask(paths=["role"])
    request = user_pb2.UpdateUserRequest(id=user.id, user=changed, update_mask=mask)
    return await desk.ask(request, user_pb2.User)
