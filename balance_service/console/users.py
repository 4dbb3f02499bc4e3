"""The page of a user: who they are, what others call them, and their accounts."""

import asyncio

from starlette.responses import Response

from balance_service._generated.balance.v1 import account_pb2, user_pb2
from balance_service.console.visits import Visit

ACCOUNTS_MAX = 200


async def read(visit: Visit, user: str) -> user_pb2.User:
    """A user.

    Raises:
        Refused: There is none, or the operator may not read users.
    """
    return await visit.ask(visit.service.users.GetUser, user_pb2.GetUserRequest(user=user))


async def show(visit: Visit) -> Response:
    """A user with their accounts, one in each currency."""
    user = visit.part("user")
    request = account_pb2.ListAccountsRequest(user=user, page_size=ACCOUNTS_MAX)
    shown, listed = await asyncio.gather(
        read(visit, user), visit.ask(visit.service.accounts.ListAccounts, request)
    )
    return visit.page("user.html", user=shown, accounts=listed.accounts)
