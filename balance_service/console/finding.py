"""One search box for what an operator has at hand: an address, a name, a number or a reference.

What is searched for is sent by POST, so that no address of a person gets into a browser's history
or a proxy's log.
"""

import asyncio
import re
from dataclasses import dataclass, field

from google.protobuf.message import Message
from starlette.responses import Response

from balance_service._generated.balance.v1 import (
    account_pb2,
    hold_pb2,
    movement_pb2,
    user_pb2,
)
from balance_service.console import accounts, movements, users
from balance_service.console.calls import found
from balance_service.console.visits import Visit

_UUID = re.compile(r"(?:\w+:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
_ACCOUNT_NUMBER = re.compile(r"[1-9][0-9]{9}")
_SERVICE = "service:"
SHOWN_MAX = 20
# A page of ListUsers looks at 10,000 users.
USER_PAGES_MAX = 5
TEXT_LENGTH_MAX = 300
USERNAME_LENGTH_MAX, REFERENCE_LENGTH_MAX, SOURCE_LENGTH_MAX = 30, 100, 48


@dataclass
class Results:
    """What was found.

    Args:
        users: By user's id.
        accounts: By account's id.
        movements: By movement's id.
        more: Whether there may be more.
    """

    users: dict[str, user_pb2.User] = field(default_factory=dict)
    accounts: dict[str, account_pb2.Account] = field(default_factory=dict)
    movements: dict[str, movement_pb2.Movement] = field(default_factory=dict)
    more: bool = False

    @property
    def only_path(self) -> str:
        """The page of what was found, if it is one thing."""
        kinds = (("users", self.users), ("accounts", self.accounts), ("movements", self.movements))
        paths = [f"/{kind}/{key}" for kind, results in kinds for key in results]
        return paths[0] if len(paths) == 1 and not self.more else ""


async def show(visit: Visit) -> Response:
    """The search box."""
    return visit.page("find.html", asked="", results=None)


async def find(visit: Visit) -> Response:
    """Goes to what was meant, if it is one thing; lists it, if it may be several."""
    text = visit.form.get("q", "")
    if not text or len(text) > TEXT_LENGTH_MAX:
        return visit.redirect("/")
    if match := _UUID.fullmatch(text):
        path = await _path_of_id(visit, match[1].lower())
        return visit.redirect(path) if path else _list(visit, text, Results())
    results = Results()
    await asyncio.gather(*(search(visit, text, results) for search in _SEARCHES))
    return visit.redirect(results.only_path) if results.only_path else _list(visit, text, results)


def _list(visit: Visit, text: str, results: Results) -> Response:
    return visit.page("find.html", asked=text, results=results)


async def _path_of_id(visit: Visit, identifier: str) -> str:
    """The page of whatever has an id; empty if nothing has."""

    async def of_movement() -> movements.Movement | None:
        return await movements.find(visit, identifier)

    async def of_hold() -> Message:
        request = hold_pb2.GetHoldRequest(hold=identifier)
        return await visit.ask(visit.service.holds.GetHold, request)

    account, movement, hold, user = await asyncio.gather(
        found(accounts.read(visit, identifier)),
        of_movement(),
        found(of_hold()),
        found(users.read(visit, identifier)),
    )
    kinds = (("accounts", account), ("movements", movement), ("holds", hold), ("users", user))
    return next((f"/{kind}/{identifier}" for kind, there in kinds if there), "")


async def _search_account_number(visit: Visit, text: str, results: Results) -> None:
    number = re.sub(r"[\s-]", "", text)
    if _ACCOUNT_NUMBER.fullmatch(number):
        request = account_pb2.LookupAccountRequest(number=number)
        if account := await found(visit.ask(visit.service.accounts.LookupAccount, request)):
            results.accounts[account.id] = account


async def _search_people(visit: Visit, text: str, results: Results) -> None:
    """By a part of the address, or of the name; admins alone may."""
    if not visit.is_admin:
        return
    if "@" in text:
        asked = [user_pb2.ListUsersRequest(email=text)]
    else:
        asked = [user_pb2.ListUsersRequest(name=text)]
        if len(text) <= USERNAME_LENGTH_MAX:
            asked.append(user_pb2.ListUsersRequest(search=text))
    await asyncio.gather(*(_list_users(visit, request, results) for request in asked))


async def _list_users(visit: Visit, request: user_pb2.ListUsersRequest, results: Results) -> None:
    request.page_size = SHOWN_MAX
    for _ in range(USER_PAGES_MAX):
        listed = await visit.ask(visit.service.users.ListUsers, request)
        results.users.update((user.id, user) for user in listed.users)
        request.page_token = listed.next_page_token
        if not request.page_token or len(results.users) >= SHOWN_MAX:
            break
    results.more = results.more or bool(request.page_token)


async def _search_references(visit: Visit, text: str, results: Results) -> None:
    """By a reference of any outside system, and by a system and its reference."""
    asked = [("", text)]
    source, _, reference = text.partition(" ")
    if reference:
        asked.append((source, reference.strip()))

    async def list_movements(source: str, reference: str) -> None:
        request = movement_pb2.ListMovementsRequest(
            source=source, reference=reference, page_size=SHOWN_MAX
        )
        listed = await visit.ask(visit.service.movements.ListMovements, request)
        results.movements.update((movement.id, movement) for movement in listed.movements)
        results.more = results.more or bool(listed.next_page_token)

    await asyncio.gather(
        *(
            list_movements(source, reference)
            for source, reference in asked
            if len(reference) <= REFERENCE_LENGTH_MAX and len(source) <= SOURCE_LENGTH_MAX
        )
    )


async def _search_external_ids(visit: Visit, text: str, results: Results) -> None:
    """By what a sibling service calls a user or an account: `service:billing 4711`."""
    source, _, external_id = text.partition(" ")
    if not (source.startswith(_SERVICE) and external_id):
        return
    external_id = external_id.strip()
    of_account = account_pb2.LookupAccountRequest(external_id=external_id, source=source)
    account = await found(visit.ask(visit.service.accounts.LookupAccount, of_account))
    if account:
        results.accounts[account.id] = account
    of_user = user_pb2.LookupUserRequest(external_id=external_id, source=source)
    user = await found(visit.ask(visit.service.users.LookupUser, of_user))
    if user:
        results.users[user.id] = user


_SEARCHES = (
    _search_account_number,
    _search_people,
    _search_references,
    _search_external_ids,
)
